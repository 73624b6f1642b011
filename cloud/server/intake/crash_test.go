package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

var errDead = errors.New("the process is dead")

// crashing stops at step crashAt, before or after the step, and does nothing more. Steps
// are the calls that change something durable.
type crashing struct {
	steps, crashAt int
	after          bool
	dead           bool
	at             string
}

func (m *crashing) step(name string, f func() error) error {
	if m.dead {
		return errDead
	}
	m.steps++
	if m.steps != m.crashAt {
		return f()
	}
	m.dead, m.at = true, name
	if m.after {
		_ = f()
	}
	return errDead
}

type crashingUploads struct {
	*ledger.Uploads
	m *crashing
}

type crashingFootage struct {
	*ledger.Catalog
	m *crashing
}

type crashingJobs struct {
	*ledger.Jobs
	m *crashing
}

type crashingThumbnails struct {
	*ledger.Thumbnails
	m *crashing
}

func (b crashingFootage) RecordUpload(ctx context.Context, id string, f ledger.Footage) (r ledger.Recorded, err error) {
	err = b.m.step("record", func() error { r, err = b.Catalog.RecordUpload(ctx, id, f); return err })
	return r, err
}

func (b crashingFootage) RestoreVideo(ctx context.Context, id string, f footage.ID, lost, key string) (j ledger.Job,
	err error) {
	err = b.m.step("restore", func() error { j, err = b.Catalog.RestoreVideo(ctx, id, f, lost, key); return err })
	return j, err
}

func (b crashingJobs) MarkQueued(ctx context.Context, id string) error {
	return b.m.step("mark queued", func() error { return b.Jobs.MarkQueued(ctx, id) })
}

func (b crashingUploads) Create(ctx context.Context, u ledger.Upload) (r ledger.Upload, err error) {
	err = b.m.step("create", func() error { r, err = b.Uploads.Create(ctx, u); return err })
	return r, err
}

func (b crashingUploads) SaveOffset(ctx context.Context, id string, n int64, s []byte) error {
	return b.m.step("save", func() error { return b.Uploads.SaveOffset(ctx, id, n, s) })
}

func (b crashingUploads) SetKey(ctx context.Context, id, key string) error {
	return b.m.step("set key", func() error { return b.Uploads.SetKey(ctx, id, key) })
}

func (b crashingUploads) Finish(ctx context.Context, id string) error {
	return b.m.step("finish", func() error { return b.Uploads.Finish(ctx, id) })
}

func (b crashingUploads) Delete(ctx context.Context, id string) error {
	return b.m.step("delete upload", func() error { return b.Uploads.Delete(ctx, id) })
}

func (b crashingThumbnails) Put(ctx context.Context, t ledger.Thumbnail) error {
	return b.m.step("put thumbnail", func() error { return b.Thumbnails.Put(ctx, t) })
}

type crashingOwners struct {
	*ledger.Owners
	m *crashing
}

func (b crashingOwners) Claim(ctx context.Context, id footage.ID, device string) error {
	return b.m.step("claim", func() error { return b.Owners.Claim(ctx, id, device) })
}

type crashingBlobs struct {
	Blobs
	m *crashing
}

func (b crashingBlobs) Stage(ctx context.Context, id string) error {
	return b.m.step("stage", func() error { return b.Blobs.Stage(ctx, id) })
}

// Append crashes in the middle: a part of the bytes is durable.
func (b crashingBlobs) Append(ctx context.Context, id string, offset int64, r io.Reader) (n int64, err error) {
	err = b.m.step("append", func() error { n, err = b.Blobs.Append(ctx, id, offset, r); return err })
	if errors.Is(err, errDead) && b.m.at == "append" && !b.m.after {
		_, _ = b.Blobs.Append(ctx, id, offset, io.LimitReader(r, 700))
	}
	return n, err
}

func (b crashingBlobs) Commit(ctx context.Context, id, key string) (i blob.Info, err error) {
	err = b.m.step("commit", func() error { i, err = b.Blobs.Commit(ctx, id, key); return err })
	return i, err
}

func (b crashingBlobs) Discard(ctx context.Context, id string) error {
	return b.m.step("discard", func() error { return b.Blobs.Discard(ctx, id) })
}

func (b crashingBlobs) Delete(ctx context.Context, key string) error {
	return b.m.step("delete blob", func() error { return b.Blobs.Delete(ctx, key) })
}

type crashingQueue struct {
	queue.Queue
	m *crashing
}

func (q crashingQueue) Enqueue(ctx context.Context, id string) error {
	return q.m.step("enqueue", func() error { return q.Queue.Enqueue(ctx, id) })
}

func (s *site) die(m *crashing) {
	uploads := crashingUploads{s.ledger.Uploads, m}
	s.in.sessions, s.in.received, s.in.stale = uploads, uploads, uploads
	s.in.footage, s.in.jobs = crashingFootage{s.ledger.Footage, m}, crashingJobs{s.ledger.Jobs, m}
	s.in.thumbnails = crashingThumbnails{s.ledger.Thumbnails, m}
	s.in.owners = crashingOwners{s.ledger.Owners, m}
	s.in.blobs, s.in.queue = crashingBlobs{s.blobs, m}, crashingQueue{s.queue, m}
}

// atEveryStep repeats a run with a crash before and after each step, until a run has
// fewer steps.
func atEveryStep(t *testing.T, life func(t *testing.T, m *crashing)) {
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			m := &crashing{crashAt: k, after: after}
			when := map[bool]string{false: "before", true: "after"}[after]
			t.Run(fmt.Sprintf("%s step %d", when, k), func(t *testing.T) {
				life(t, m)
				if t.Failed() {
					t.Logf("died %s %q", when, m.at)
				}
			})
			if !m.dead {
				break
			}
			if k > 50 {
				t.Fatal("the runs have no end")
			}
		}
	}
}

// resume is a client that continues: it asks for the offset and sends the rest, or
// creates a new upload when the session does not exist.
func (s *site) resume(path string, content []byte, metadata ...string) string {
	s.t.Helper()
	r := s.do("HEAD", path, nil)
	if path == "" || r.status == http.StatusNotFound {
		path = s.create(len(content), metadata...)
		r = s.do("HEAD", path, nil)
	}
	if r.status != http.StatusOK {
		s.t.Fatalf("head: %d", r.status)
	}
	if n := must.Get(strconv.Atoi(r.header.Get("Upload-Offset")))(s.t); n < len(content) {
		s.wantPatch(path, n, content[n:])
	}
	return path
}

// tryUpload is a client whose server may crash. It returns the path of the session,
// empty when no answer had one.
func (s *site) tryUpload(content []byte, metadata ...string) string {
	s.t.Helper()
	r := s.do("POST", "/files/", nil, "Upload-Length", strconv.Itoa(len(content)), "Upload-Metadata", meta(metadata...))
	path := r.header.Get("Location")
	if r.status != http.StatusCreated {
		return ""
	}
	half := len(content) / 2
	if r := s.patch(path, 0, content[:half]); r.status == http.StatusNoContent {
		s.patch(path, half, content[half:])
	}
	return path
}

// wantOnce checks that there is one footage, one job and one message.
func (s *site) wantOnce(id footage.ID, content []byte) {
	s.t.Helper()
	ctx := context.Background()
	f := must.Get(s.ledger.Footage.Get(ctx, id))(s.t)
	stats := must.Get(s.ledger.Totals.Stats(ctx))(s.t)
	if f.SHA256 != footage.Sum(content) || f.Job == nil || f.Job.State != job.Queued {
		s.t.Fatalf("%+v job %+v", f.Footage, f.Job)
	}
	if stats.Footage != 1 || stats.Jobs[job.Queued] != 1 || s.messages() != 1 {
		s.t.Fatalf("%+v, %d messages", stats, s.messages())
	}
	if !bytes.Equal(s.blob(f.BlobKey), content) {
		s.t.Fatal("the blob differs from the upload")
	}
}

func TestCrashAtEveryStepThenClientResumes(t *testing.T) {
	content := clip("x", 6000)
	metadata := []string{"footage", "f1", "sha256", digestOf(content)}
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		s.die(m)
		path := s.tryUpload(content, metadata...)
		s.close()
		s = newSite(t, s.dir)
		path = s.resume(path, content, metadata...)
		must.Do(t, s.in.sweep(t.Context())) // a lost message is a matter of the next round
		s.wantOnce("f1", content)
		s.resume(path, content, metadata...) // and once more: nothing changes
		s.wantOnce("f1", content)
		s.clock.Advance(defaultExpire + time.Hour)
		must.Do(t, s.in.sweep(t.Context()))
		s.wantGone(path)
		s.wantOnce("f1", content)
	})
}

func TestCrashAtEveryStepOfTelemetry(t *testing.T) {
	content := []byte(strings.Repeat("1\n00:00:00,000 --> 00:00:01,000\n", 50))
	metadata := []string{"footage", "f1", "kind", "telemetry", "sha256", digestOf(content)}
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		s.die(m)
		path := s.tryUpload(content, metadata...)
		s.close()
		s = newSite(t, s.dir)
		s.resume(path, content, metadata...)
		if f := s.upload(clip("x", 2000), "footage", "f1"); !bytes.Equal(s.blob(f.TelemetryKey), content) {
			t.Fatalf("got footage %+v", f)
		}
	})
}

func TestCrashAtEveryStepOfAThumbnail(t *testing.T) {
	content := []byte("\xff\xd8\xff" + strings.Repeat("picture ", 100))
	metadata := []string{"footage", "f1", "kind", "thumbnail", "filename", "DJI_0001.MP4", "sha256", digestOf(content)}
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		s.die(m)
		path := s.tryUpload(content, metadata...)
		s.close()
		s = newSite(t, s.dir)
		s.resume(path, content, metadata...)
		shown := must.Get(s.ledger.Thumbnails.Get(t.Context(), "f1"))(t)
		if shown.Name != "DJI_0001.MP4" || !bytes.Equal(s.blob(shown.BlobKey), content) || s.messages() != 0 {
			t.Fatalf("got thumbnail %+v", shown)
		}
	})
}

func TestCrashAtEveryStepOfADuplicate(t *testing.T) {
	content := clip("x", 6000)
	metadata := []string{"footage", "f2", "sha256", digestOf(content)}
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		s.upload(content, "footage", "f1")
		s.die(m)
		path := s.tryUpload(content, metadata...)
		s.close()
		s = newSite(t, s.dir)
		s.resume(path, content, metadata...)
		f := must.Get(s.ledger.Footage.Get(t.Context(), "f2"))(t)
		if f.DuplicateOf != "f1" || s.messages() != 1 || !bytes.Equal(s.only("f1"), content) {
			t.Fatalf("%+v, %d messages", f, s.messages())
		}
	})
}

func TestCrashAtEveryStepOfARestore(t *testing.T) {
	content := clip("x", 6000)
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		f := s.upload(content, "footage", "f1")
		must.Do(t, s.blobs.Delete(t.Context(), f.BlobKey))
		must.Do(t, s.ledger.Jobs.Poison(t.Context(), f.Job.ID, "no such blob"))
		must.Do(t, must.Get(s.queue.Receive(t.Context(), time.Minute))(t).Delete(t.Context()))
		s.die(m)
		path := s.tryUpload(content, "footage", "f1")
		s.close()
		s = newSite(t, s.dir)
		s.resume(path, content, "footage", "f1")
		must.Do(t, s.in.sweep(t.Context()))
		j := must.Get(s.ledger.Jobs.GetByFootage(t.Context(), "f1"))(t)
		if j.State != job.Queued || s.messages() != 1 || !bytes.Equal(s.only("f1"), content) {
			t.Fatalf("%+v, %d messages", j, s.messages())
		}
	})
}

// Once all bytes are hashed, no client is needed: Run finishes the upload.
func TestCrashAtEveryStepThenOnlyRun(t *testing.T) {
	content := clip("x", 6000)
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		s.die(m)
		path := s.tryUpload(content, "footage", "f1")
		s.close()
		s = newSite(t, s.dir)
		s.clock.Advance(2 * idleTime)
		must.Do(t, s.in.sweep(t.Context()))
		if path != "" {
			u, err := s.ledger.Uploads.Get(t.Context(), strings.TrimPrefix(path, "/files/"))
			must.Do(t, err)
			if u.Offset < u.Size {
				return // the client has to send the rest
			}
		} else {
			return
		}
		s.wantOnce("f1", content)
	})
}

// After a crash during a refusal, a round of Run deletes the rest.
func TestCrashAtEveryStepOfARefusal(t *testing.T) {
	content := clip("x", 6000)
	atEveryStep(t, func(t *testing.T, m *crashing) {
		s := newSite(t, t.TempDir())
		s.die(m)
		s.tryUpload(content, "footage", "f1", "sha256", digestOf(nil))
		s.close()
		s = newSite(t, s.dir)
		s.clock.Advance(defaultExpire + time.Hour)
		for range 2 {
			must.Do(t, s.in.sweep(t.Context()))
		}
		if n := must.Get(s.ledger.Uploads.CountUnfinished(t.Context(), ""))(t); n != 0 || s.messages() != 0 {
			t.Fatalf("%d sessions and %d messages remain", n, s.messages())
		}
		if files := must.Get(filepath.Glob(filepath.Join(s.dir, "blobs", ".staging", "*")))(t); len(files) != 0 {
			t.Fatalf("staged bytes remain: %q", files)
		}
	})
}
