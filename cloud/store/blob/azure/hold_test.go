package azure

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/deploy/testkit/must"
)

// slow returns its first part, signals that, and returns the rest when the test permits it.
type slow struct {
	first, rest io.Reader
	at, on      chan struct{}
	once        sync.Once
}

func (s *slow) Read(b []byte) (int, error) {
	if n, err := s.first.Read(b); n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	s.once.Do(func() { close(s.at) })
	<-s.on
	return s.rest.Read(b)
}

// A server that hangs in an append loses the upload to another server. The service refuses
// what it still sends, also after the other server has released the upload.
func TestHoldFencesTheOtherServer(t *testing.T) {
	name := newContainerName()
	a, b := open(t, name), open(t, name)
	must.Do(t, a.Stage(t.Context(), "u"))
	all := film(6 * firstBlock)
	release, err := a.Hold(t.Context(), "u")
	must.Do(t, err)
	src := &slow{first: bytes.NewReader(all[:2*firstBlock]), rest: bytes.NewReader(film(7 * firstBlock)[3*firstBlock:]),
		at: make(chan struct{}), on: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := a.Append(t.Context(), "u", 0, src)
		done <- err
	}()
	<-src.at

	free, err := b.Hold(t.Context(), "u")
	must.Do(t, err)
	n, err := b.Staged(t.Context(), "u")
	must.Do(t, err)
	_, err = b.Append(t.Context(), "u", n, bytes.NewReader(all[n:]))
	must.Do(t, err)
	free()
	close(src.on)
	if err := <-done; !errors.Is(err, blob.ErrTaken) {
		t.Errorf("the hanging append failed with %v, want %v", err, blob.ErrTaken)
	}
	release()
	free, err = a.Hold(t.Context(), "u")
	must.Do(t, err)
	_, err = a.Commit(t.Context(), "u", "k")
	must.Do(t, err)
	free()
	r, err := b.Open(t.Context(), "k", 0, -1)
	if !bytes.Equal(content(t, r, err), all) {
		t.Error("the blob is not what the second server wrote")
	}
	free, err = b.Hold(t.Context(), "u") // nothing is staged any more
	must.Do(t, err)
	free()
}

// Two servers finish one upload, in any order of their steps. The blob is complete.
func TestTwoServersCommitOne(t *testing.T) {
	all := film(firstBlock + 10)
	isCopy := func(r *http.Request) bool {
		return r.Method == http.MethodPut && r.URL.Query().Get("comp") == "" && r.ContentLength <= 0
	}
	isDrop := func(r *http.Request) bool { return r.Method == http.MethodDelete }
	for name, late := range map[string]func(*http.Request) bool{"one begins its copy late": isCopy,
		"one drops late": isDrop} {
		t.Run(name, func(t *testing.T) {
			container := newContainerName()
			a, p := openTapped(t, container)
			b := open(t, container)
			must.Do(t, a.Stage(t.Context(), "u"))
			_, err := a.Append(t.Context(), "u", 0, bytes.NewReader(all))
			must.Do(t, err)
			at, on := make(chan struct{}), make(chan struct{})
			var once sync.Once
			p.intercept(func(r *http.Request) (*http.Response, error) {
				if late(r) {
					once.Do(func() { close(at) })
					<-on
				}
				return nil, nil
			})
			done := make(chan error)
			go func() {
				_, err := a.Commit(t.Context(), "u", "k")
				done <- err
			}()
			<-at
			_, err = b.Commit(t.Context(), "u", "k")
			must.Do(t, err)
			close(on)
			if err := <-done; err != nil && !errors.Is(err, blob.ErrNotFound) { // nothing is staged any more
				t.Errorf("the late commit: %v", err)
			}
			r, err := b.Open(t.Context(), "k", 0, -1)
			if !bytes.Equal(content(t, r, err), all) {
				t.Error("the blob is not complete")
			}
		})
	}
}

// A key that other servers change all the time gets no commit, and no byte is lost.
func TestCommitToABusyKey(t *testing.T) {
	s, p := openTapped(t, newContainerName())
	must.Do(t, s.Stage(t.Context(), "u"))
	_, err := s.Append(t.Context(), "u", 0, strings.NewReader("all"))
	must.Do(t, err)
	tries := 0
	p.intercept(func(r *http.Request) (*http.Response, error) {
		for name := range r.Header { // the SDK does not spell it as Go does
			if strings.EqualFold(name, "X-Ms-Copy-Source") {
				tries++
				return answerWith(http.StatusPreconditionFailed, string(bloberror.ConditionNotMet)), nil
			}
		}
		return nil, nil
	})
	if _, err := s.Commit(t.Context(), "u", "k"); err == nil || tries != commitTries {
		t.Errorf("after %d tries: %v", tries, err)
	}
	p.intercept(nil)
	if n, err := s.Staged(t.Context(), "u"); n != 3 || err != nil {
		t.Fatalf("%d bytes are staged: %v", n, err)
	}
	_, err = s.Commit(t.Context(), "u", "k")
	must.Do(t, err)
	r, err := s.Open(t.Context(), "k", 0, -1)
	if got := content(t, r, err); string(got) != "all" {
		t.Errorf("%q", got)
	}
}
