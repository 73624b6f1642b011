package azure

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/blobtest"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) { os.Exit(azurite.Tests(m).Run()) }

// newContainerName returns the name of a container that no other test uses.
func newContainerName() string { return "c" + strings.ToLower(string(footage.NewID(time.Now()))) }

func open(t testing.TB, container string) *Store {
	t.Helper()
	s, err := New(t.Context(), Options{Account: azstorage.Account{ConnectionString: azurite.Get(t).ConnectionString()},
		Container: container})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, newContainerName()) })
}

func TestStager(t *testing.T) {
	blobtest.RunStager(t, func(t *testing.T) (blobtest.Staging, func() blobtest.Staging) {
		name := newContainerName()
		return open(t, name), func() blobtest.Staging { return open(t, name) }
	})
}

func TestExplain(t *testing.T) {
	answer := func(status int, code string) error {
		return &azcore.ResponseError{StatusCode: status, ErrorCode: code}
	}
	classes := []error{blob.ErrUnreachable, blob.ErrNotFound, blob.ErrTaken}
	for _, c := range []struct{ err, class error }{
		{&url.Error{Op: "Get", URL: "http://a/b?sig=secret", Err: io.ErrUnexpectedEOF}, blob.ErrUnreachable},
		{answer(http.StatusServiceUnavailable, "ServerBusy"), blob.ErrUnreachable},
		{answer(http.StatusInternalServerError, "InternalError"), blob.ErrUnreachable},
		{answer(http.StatusNotFound, "BlobNotFound"), blob.ErrNotFound},
		{answer(http.StatusPreconditionFailed, "LeaseIdMissing"), blob.ErrTaken},
		{answer(http.StatusForbidden, "AuthenticationFailed"), nil},
	} {
		got := explain(t.Context(), c.err)
		for _, class := range classes {
			if errors.Is(got, class) != errors.Is(c.class, class) {
				t.Errorf("%v: %v, want %v", c.err, got, c.class)
			}
		}
		if strings.Contains(got.Error(), "sig=") {
			t.Errorf("the error shows a signature: %v", got)
		}
	}
}
