package azure

import (
	"os"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/azstorage"
	"cattlecounter/cloud/azurite"
	"cattlecounter/cloud/blob"
	"cattlecounter/cloud/blob/blobtest"
	"cattlecounter/shared/footage"
)

func TestMain(m *testing.M) { os.Exit(azurite.Tests(m).Run()) }

// box is the name of a container that no other test has.
func box() string { return "c" + strings.ToLower(string(footage.NewID(time.Now()))) }

func open(t testing.TB, container string) *Store {
	t.Helper()
	s, err := New(t.Context(), Options{Account: azstorage.Account{ConnectionString: azurite.Get(t).ConnectionString()}, Container: container})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, box()) })
}

func TestStager(t *testing.T) {
	blobtest.RunStager(t, func(t *testing.T) (blobtest.Staging, func() blobtest.Staging) {
		name := box()
		return open(t, name), func() blobtest.Staging { return open(t, name) }
	})
}
