package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// secondServer is a second server with the same ledger, queue and blobs.
func (s *site) secondServer() *site {
	s.t.Helper()
	o := &site{t: s.t, dir: s.dir, clock: s.clock, device: s.device, ledger: s.ledger, blobs: s.blobs, queue: s.queue}
	o.in = must.Get(New(Options{Ledger: s.ledger, Stager: s.blobs, Queue: s.queue, Now: s.clock.Now,
		MaxSize: 64 << 20}))(s.t)
	o.server = httptest.NewServer(o)
	s.t.Cleanup(o.server.Close)
	return o
}

// committed is a store that calls a function after a commit.
type committed struct {
	Blobs
	then func()
}

func (c committed) Commit(ctx context.Context, id, key string) (blob.Info, error) {
	info, err := c.Blobs.Commit(ctx, id, key)
	c.then()
	return info, err
}

// Two servers finish two files under one id at the same time. One file is recorded, and
// the other one is refused.
func TestTwoServersTwoFilesOneID(t *testing.T) {
	for name, second := range map[string][]byte{"two files": clip("y", 5000), "one file twice": clip("x", 5000)} {
		t.Run(name, func(t *testing.T) {
			a := newSite(t, t.TempDir())
			b := a.secondServer()
			first := clip("x", 5000)
			atA, atB, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			a.in.blobs = committed{a.in.blobs, func() { close(atA); <-atB }}
			b.in.blobs = committed{b.in.blobs, func() { close(atB); <-done }}
			pathA, pathB := a.create(len(first), "footage", "f1"), b.create(len(second), "footage", "f1")
			answers := make(chan reply, 2)
			go func() { answers <- a.patch(pathA, 0, first); close(done) }()
			<-atA
			go func() { answers <- b.patch(pathB, 0, second) }()
			if r := <-answers; r.status != http.StatusNoContent {
				t.Errorf("the first: %+v", r)
			}
			want := http.StatusConflict
			if bytes.Equal(first, second) {
				want = http.StatusNoContent
			}
			if r := <-answers; r.status != want {
				t.Errorf("the second: %+v, want %d", r, want)
			}
			if !bytes.Equal(a.only("f1"), first) || a.messages() != 1 {
				t.Errorf("another file is recorded, or there are %d messages instead of 1", a.messages())
			}
		})
	}
}

// A session that one server deletes while another one finishes it is not reported as
// complete, and nothing of it remains.
func TestDeletedWhileItIsFinished(t *testing.T) {
	a := newSite(t, t.TempDir())
	b := a.secondServer()
	content := clip("x", 5000)
	path := a.create(len(content), "footage", "f1")
	a.in.blobs = committed{a.in.blobs, func() {
		if r := b.do(http.MethodDelete, b.server.URL+path, nil); r.status != http.StatusNoContent {
			t.Errorf("got answer %+v", r)
		}
	}}
	a.want(a.patch(path, 0, content), http.StatusNotFound, wire.SlugUploadGone)
	if _, err := a.ledger.Footage.Get(t.Context(), "f1"); !errors.Is(err, ledger.ErrNotFound) {
		t.Error(err)
	}
	for info, err := range a.blobs.List(t.Context(), "") {
		must.Do(t, err)
		t.Errorf("unexpected blob %s", info.Key)
	}
}

// A server was frozen for so long that another one finished its session and deleted it.
// When it continues, it deletes nothing.
func TestServerFrozenForDays(t *testing.T) {
	a := newSite(t, t.TempDir())
	b := a.secondServer()
	content := clip("x", 5000)
	path := a.create(len(content), "footage", "f1")
	a.in.blobs = committed{a.in.blobs, func() {
		a.clock.Advance(2 * idleTime)
		must.Do(t, b.in.sweep(t.Context()))
		a.clock.Advance(defaultExpire + time.Hour)
		must.Do(t, b.in.sweep(t.Context()))
	}}
	a.want(a.patch(path, 0, content), http.StatusNotFound, wire.SlugUploadGone)
	if !bytes.Equal(a.only("f1"), content) || a.messages() != 1 {
		t.Errorf("%d messages", a.messages())
	}
}

// A new upload of the same content restores footage whose blob was lost. Its job is
// retried, if it had failed.
func TestLostBlobIsRestored(t *testing.T) {
	content := clip("x", 5000)
	for name, id := range map[string]footage.ID{"under its id": "f1", "under another id": "f2"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, t.TempDir())
			f := s.upload(content, "footage", "f1")
			must.Do(t, s.blobs.Delete(t.Context(), f.BlobKey))
			must.Do(t, s.ledger.Jobs.Poison(t.Context(), f.Job.ID, "no such blob"))
			must.Do(t, must.Get(s.queue.Receive(t.Context(), time.Minute))(t).Delete(t.Context()))
			s.upload(content, "footage", string(id))
			if !bytes.Equal(s.only("f1"), content) || s.messages() != 1 {
				t.Errorf("%d messages", s.messages())
			}
			if j := must.Get(s.ledger.Jobs.GetByFootage(t.Context(), "f1"))(t); j.State != job.Queued || j.Reason != "" {
				t.Errorf("got job %+v", j)
			}
			// A further upload does not replace the restored blob.
			key := must.Get(s.ledger.Footage.Get(t.Context(), "f1"))(t).BlobKey
			s.upload(content, "footage", "f3")
			if now := must.Get(s.ledger.Footage.Get(t.Context(), "f1"))(t).BlobKey; now != key || s.messages() != 1 {
				t.Errorf("%s, it was %s; %d messages", now, key, s.messages())
			}
			// Nor does the end of the sessions, even of the one that restored it.
			s.clock.Advance(defaultExpire + time.Hour)
			must.Do(t, s.in.sweep(t.Context()))
			if us := must.Get(s.ledger.Uploads.List(t.Context(), time.Time{}, 9))(t); len(us) != 0 {
				t.Errorf("got sessions %+v", us)
			}
			if !bytes.Equal(s.only("f1"), content) {
				t.Error("the blob was replaced")
			}
		})
	}
}

// A new upload of the same content does not restore a video that retention removed.
func TestRemovedVideoStaysRemoved(t *testing.T) {
	s := newSite(t, t.TempDir())
	content := clip("x", 5000)
	f := s.upload(content, "footage", "f1")
	must.Do(t, s.blobs.Delete(t.Context(), f.BlobKey))
	must.Do(t, s.ledger.Footage.RemoveVideo(t.Context(), "f1"))
	s.upload(content, "footage", "f1")
	s.upload(content, "footage", "f2")
	for info, err := range s.blobs.List(t.Context(), "footage/") {
		must.Do(t, err)
		t.Errorf("unexpected blob %s", info.Key)
	}
}

// unreachable is a store that does not answer.
type unreachable struct{ Blobs }

func (unreachable) Staged(context.Context, string) (int64, error) {
	return 0, fmt.Errorf("staged: %w", blob.ErrUnreachable)
}

// While the storage is unreachable, the answers have Retry-After.
func TestStorageUnreachable(t *testing.T) {
	s := newSite(t, t.TempDir())
	path := s.create(5000)
	blobs := s.in.blobs
	s.in.blobs = unreachable{blobs}
	for _, r := range []reply{s.patch(path, 0, []byte("x")),
		s.do(http.MethodHead, s.server.URL+path, nil, "Tus-Resumable", "1.0.0")} {
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "5" {
			t.Errorf("got answer %+v", r)
		}
	}
	s.in.blobs = blobs
	if at := s.head(path); at != 0 {
		t.Errorf("the upload continues at offset %d", at)
	}
}
