package intake

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func TestExpiry(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) { o.Expire = time.Hour })
	content := clip("x", 5000)
	old := s.create(len(content))
	s.wantPatch(old, 0, content[:2000])
	s.clock.Advance(50 * time.Minute)
	young := s.create(len(content))
	s.wantPatch(old, 2000, content[2000:3000]) // touched again
	s.clock.Advance(50 * time.Minute)
	must.Do(t, s.in.sweep(t.Context()))
	if s.head(old) != 3000 || s.head(young) != 0 {
		t.Fatal("a session was deleted too early")
	}
	s.clock.Advance(time.Hour)
	s.want(s.patch(old, 3000, content[3000:]), http.StatusNotFound, wire.SlugUploadGone) // also before the round
	must.Do(t, s.in.sweep(t.Context()))
	s.wantGone(old)
	s.wantGone(young)
}

func TestExpirySparesRunningRequests(t *testing.T) {
	s := newSite(t, t.TempDir())
	path := s.create(5000)
	s.clock.Advance(defaultExpire + time.Hour)
	id := path[len("/files/"):]
	if _, free := s.in.locks.enter(id); !free {
		t.Fatal("locked")
	}
	must.Do(t, s.in.sweep(t.Context()))
	if _, err := s.ledger.Uploads.Get(t.Context(), id); err != nil {
		t.Fatalf("deleted during a request: %v", err)
	}
	s.in.locks.release(id)
	must.Do(t, s.in.sweep(t.Context()))
	if _, err := s.ledger.Uploads.Get(t.Context(), id); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
}

// lasting is a store whose commit waits until goOn is closed.
type lasting struct {
	Blobs
	began, goOn chan struct{}
}

func (l lasting) Commit(ctx context.Context, id, key string) (blob.Info, error) {
	close(l.began)
	<-l.goOn
	return l.Blobs.Commit(ctx, id, key)
}

// While the commit of a session takes long, no other server finishes the session.
func TestLongCommitIsNotFinishedTwice(t *testing.T) {
	s := newSite(t, t.TempDir())
	if s.in.touchEvery > idleTime/2 {
		t.Errorf("the session is touched only every %s", s.in.touchEvery)
	}
	s.in.touchEvery = time.Millisecond
	slow := lasting{s.in.blobs, make(chan struct{}), make(chan struct{})}
	s.in.blobs = slow
	content := clip("x", 5000)
	path := s.create(len(content))
	patched := make(chan reply, 1)
	go func() { patched <- s.patch(path, 0, content) }()
	<-slow.began
	for range 3 {
		s.clock.Advance(2 * idleTime)
		for since := s.clock.Now(); ; <-time.After(time.Millisecond) {
			if u := must.Get(s.ledger.Uploads.Get(t.Context(), path[len("/files/"):]))(t); !u.Updated.Before(since) {
				if u.Offset != int64(len(content)) || !u.Finished.IsZero() {
					t.Fatalf("got session %+v", u)
				}
				break
			}
		}
		if us := must.Get(s.ledger.Uploads.ListComplete(t.Context(), s.clock.Now().Add(-idleTime), 9))(t); len(us) != 0 {
			t.Fatalf("other servers would finish it: %+v", us)
		}
	}
	close(slow.goOn)
	if r := <-patched; r.status != http.StatusNoContent {
		t.Errorf("got answer %+v", r)
	}
}

// Messages are sent while the finish of a session takes long.
func TestLongCommitDelaysNoJobs(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) { o.SweepEvery = time.Millisecond })
	s.in.queue = away{s.queue}
	f := s.upload(clip("z", 4000))
	s.in.queue = s.queue
	real := s.in.blobs
	s.in.blobs = broken{real}
	content := clip("x", 5000)
	s.want(s.patch(s.create(len(content)), 0, content), http.StatusInternalServerError, wire.SlugInternal)
	slow := lasting{real, make(chan struct{}), make(chan struct{})}
	s.in.blobs = slow
	s.clock.Advance(2 * idleTime)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.in.Run(ctx) }()
	<-slow.began
	for must.Get(s.ledger.Jobs.Get(t.Context(), f.Job.ID))(t).State != job.Queued {
		<-time.After(time.Millisecond)
	}
	close(slow.goOn)
	cancel()
	must.Do(t, <-ended)
}

type broken struct{ Blobs }

func (broken) Commit(context.Context, string, string) (blob.Info, error) {
	return blob.Info{}, errors.New("broken")
}

// away is a queue that is unreachable.
type away struct{ queue.Queue }

var errUnreachable = errors.New("the queue is unreachable")

func (away) Enqueue(context.Context, string) error { return errUnreachable }

func TestQueueUnreachable(t *testing.T) {
	s := newSite(t, t.TempDir())
	s.in.queue = away{s.queue}
	f := s.upload(clip("x", 5000)) // the footage is safe all the same
	if f.Job.State != job.Uploaded || s.messages() != 0 {
		t.Fatalf("got job %+v", f.Job)
	}
	if err := s.in.sweep(t.Context()); !errors.Is(err, errUnreachable) {
		t.Fatal(err)
	}
	s.in.queue = s.queue
	must.Do(t, s.in.sweep(t.Context()))
	if j := must.Get(s.ledger.Jobs.Get(t.Context(), f.Job.ID))(t); j.State != job.Queued || s.messages() != 1 {
		t.Fatalf("got job %+v", j)
	}
}

func TestLostMessages(t *testing.T) {
	ctx := t.Context()
	s := newSite(t, t.TempDir())
	ids := map[job.State]string{}
	for _, state := range []job.State{job.Queued, job.Processing, job.Done} {
		ids[state] = s.upload(clip(string(state), 5000)).Job.ID
	}
	for _, state := range []job.State{job.Processing, job.Done} {
		_, _, err := s.ledger.Attempts.Begin(ctx, ids[state], "w")
		must.Do(t, err)
	}
	must.Get(s.ledger.Attempts.Finish(ctx, ids[job.Done], 1, ledger.Count{}, "k"))(t)
	for range ids { // the queue loses everything
		must.Do(t, must.Get(s.queue.Receive(ctx, time.Minute))(t).Delete(ctx))
	}
	has := func(state job.State, want bool) {
		t.Helper()
		must.Do(t, s.in.sweep(ctx))
		if got := must.Get(s.queue.Has(ctx, ids[state]))(t); got != want {
			t.Fatalf("message of the %s job: %t, want %t", state, got, want)
		}
	}
	has(job.Queued, false) // a request may be at it
	s.clock.Advance(2 * idleTime)
	must.Get(s.ledger.Attempts.UpdateProgress(ctx, ids[job.Processing], 1, job.Progress{Percent: 1}))(t) // its worker writes
	has(job.Queued, true)
	has(job.Processing, false)
	s.clock.Advance(2 * idleTime)
	has(job.Processing, true)
	has(job.Done, false)
	must.Do(t, s.in.sweep(ctx))
	if s.messages() != 2 {
		t.Fatalf("%d messages", s.messages())
	}
}

func TestRunEnds(t *testing.T) {
	s := newSite(t, t.TempDir(), func(o *Options) { o.SweepEvery = time.Millisecond })
	s.in.queue = away{s.queue}
	f := s.upload(clip("x", 5000))
	s.in.queue = s.queue
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.in.Run(ctx) }()
	for seq := int64(0); ; { // every round makes progress: wait for the job to be queued
		vs := must.Get(s.ledger.Changes.Jobs(ctx, seq, 10))(t)
		if len(vs) > 0 {
			seq = vs[len(vs)-1].Seq
			if vs[len(vs)-1].Job.ID == f.Job.ID && vs[len(vs)-1].State == job.Queued {
				break
			}
		}
	}
	cancel()
	must.Do(t, <-ended)
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := newSite(t, t.TempDir(), func(o *Options) { o.Metrics = reg })
	content := clip("x", 5000)
	s.upload(content, "footage", "f1")
	s.upload(content, "footage", "f2")
	s.create(10)
	s.do("POST", "/files/", nil, "Upload-Length", "0")
	s.wantMetrics(reg, map[string]float64{
		"cattle_intake_received_bytes_total":                           10_000,
		"cattle_intake_requests_active":                                0,
		"cattle_intake_sessions_open":                                  1,
		"cattle_intake_uploads_finished_total counted":                 1,
		"cattle_intake_uploads_finished_total duplicate":               1,
		"cattle_intake_uploads_finished_total telemetry":               0,
		"cattle_intake_refused_total " + string(wire.SlugEmpty):        1,
		"cattle_intake_refused_total " + string(wire.SlugHashMismatch): 0,
	})
	if _, err := New(Options{Ledger: s.ledger, Stager: s.blobs, Queue: s.queue, Metrics: reg}); err == nil {
		t.Error("metrics were registered twice without an error")
	}
	if _, err := New(Options{}); err == nil {
		t.Error("an intake without options was created")
	}
}

// wantMetrics checks values by metric name and label value.
func (s *site) wantMetrics(reg *prometheus.Registry, want map[string]float64) {
	s.t.Helper()
	got := map[string]float64{}
	families, err := reg.Gather()
	must.Do(s.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			s.t.Errorf("%s: %v (found: %t), want %v", name, g, ok, v)
		}
	}
}

// Every answer about an unfinished upload has Upload-Expires. New bytes move it, and it is
// exact: an expired upload is not found even before Run has deleted it.
func TestUploadExpiresHeader(t *testing.T) {
	s := newSite(t, t.TempDir())
	want := func(r reply, status int, expires time.Time) {
		t.Helper()
		if got := r.header.Get("Upload-Expires"); r.status != status || got != expires.UTC().Format(http.TimeFormat) {
			t.Errorf("%d, expires %q, want %d, %s", r.status, got, status, expires)
		}
	}
	content := clip("x", 5000)
	r := s.do("POST", "/files/", nil, "Upload-Length", "5000")
	until := s.clock.Now().Add(defaultExpire)
	want(r, http.StatusCreated, until)
	path := r.header.Get("Location")
	s.clock.Advance(time.Hour)
	want(s.do("HEAD", path, nil), http.StatusOK, until)
	until = s.clock.Now().Add(defaultExpire)
	want(s.patch(path, 0, content[:2000]), http.StatusNoContent, until)
	want(s.patch(path, 0, content), http.StatusConflict, until)
	s.clock.Advance(defaultExpire + time.Second)
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		if r := s.do(method, path, nil, "Upload-Offset", "2000", "Content-Type",
			octets); r.status != http.StatusNotFound || r.header.Get("Upload-Offset")+r.header.Get("Upload-Expires") != "" {
			t.Errorf("%s of an expired upload: %d %v", method, r.status, r.header)
		}
	}
	path = s.create(len(content))
	if r := s.patch(path, 0, content); r.header.Get("Upload-Expires") != "" || s.do("HEAD", path,
		nil).header.Get("Upload-Expires") != "" {
		t.Error("the answer about a finished upload has Upload-Expires")
	}
}
