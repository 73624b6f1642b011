package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a cloud without an API: ledger, queue and blobs on a temporary disk.
type stage struct {
	t   *testing.T
	l   *ledger.Ledger
	q   queue.Queue
	b   *disk.Store
	mu  sync.Mutex
	now time.Time // of the queue
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir := t.TempDir()
	s := &stage{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	var err error
	if s.l, err = ledger.Open(t.Context(), emptyledger.In(t, dir), ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.l.Close() })
	if s.q, err = embedded.New(t.Context(), s.l.DB(), s.clock); err != nil {
		t.Fatal(err)
	}
	if s.b, err = disk.New(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// later moves the queue's clock forward.
func (s *stage) later(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// put records footage and enqueues its job.
func (s *stage) put(id footage.ID) ledger.Job {
	s.t.Helper()
	content := "content of " + string(id)
	key := fmt.Sprintf("footage/%s/original.mp4", id)
	if _, err := s.b.Put(s.t.Context(), key, strings.NewReader(content)); err != nil {
		s.t.Fatal(err)
	}
	rec, err := s.l.Footage.Record(s.t.Context(), ledger.Footage{
		ID: id, Site: "ranch", Device: "dock", Name: "DJI_0001.MP4", Size: int64(len(content)),
		SHA256: footage.Sum([]byte(content)), BlobKey: key, Received: time.Now(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(s.q.Enqueue(s.t.Context(), rec.Job.ID), s.l.Jobs.MarkQueued(s.t.Context(), rec.Job.ID)); err != nil {
		s.t.Fatal(err)
	}
	return *rec.Job
}

func (s *stage) worker(name string, c Counter) *Worker {
	return New(Options{
		Name: name, Jobs: s.l.Jobs, Attempts: s.l.Attempts, Queue: s.q, Blobs: s.b, Counter: c, CacheDir: s.t.TempDir(),
		Lease: 10 * time.Second, MaxDeliveries: 2,
	})
}

// deliver gives the next message to the worker and waits until the worker has handled it.
func (s *stage) deliver(ctx context.Context, w *Worker) {
	s.t.Helper()
	lease, err := s.q.Receive(ctx, 10*time.Second)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = w.deliver(ctx, lease) // the ledger shows the result
}

func (s *stage) job(id string) ledger.Job {
	s.t.Helper()
	j, err := s.l.Jobs.Get(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

func (s *stage) messages() int {
	s.t.Helper()
	n, err := s.q.Len(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *stage) sidecar(id footage.ID) (m topic.Job) {
	s.t.Helper()
	r, err := s.b.Open(s.t.Context(), wire.StatusKey(id), 0, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

type counterFunc func(ctx context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error)

func (f counterFunc) Count(ctx context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error) {
	return f(ctx, s, progress)
}

var modelDigest = footage.Sum([]byte("model"))

func outcome(n int) count.Outcome {
	return count.Outcome{Still: []byte("jpeg"), Result: report.Result{
		Schema: report.Schema, Model: report.Model{Name: "m", Digest: modelDigest},
		Count: report.Count{Unique: n, Low: n - 1, High: n + 1, ByClass: map[string]int{"cow": n}},
	}}
}

func counts(n int) counterFunc {
	return func(_ context.Context, _ count.Source, progress func(job.Progress)) (count.Outcome, error) {
		progress(job.Progress{FramesDone: 5, FramesTotal: 10, Percent: 50, Count: n})
		return outcome(n), nil
	}
}

func fails(err error) counterFunc {
	return func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
		return count.Outcome{}, err
	}
}

func TestCountIsRecordedAndAcknowledged(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	s.deliver(t.Context(), s.worker("w", counts(7)))
	if got := s.job(j.ID); got.State != job.Done || got.ResultKey != wire.ResultKey("f1", modelDigest, 1, "json") {
		t.Errorf("%+v", got)
	}
	c, err := s.l.Counts.Get(t.Context(), "f1")
	if err != nil || c.Unique != 7 || c.Low != 6 || c.High != 8 || c.ByClass["cow"] != 7 {
		t.Errorf("%+v %v", c, err)
	}
	for _, ext := range []string{"json", "csv", "jpg"} {
		if _, err := s.b.Stat(t.Context(), wire.ResultKey("f1", modelDigest, 1, ext)); err != nil {
			t.Error(err)
		}
	}
	if m := s.sidecar("f1"); m.State != job.Done || m.Percent != 100 || m.Count != 7 || m.Attempt != 1 {
		t.Errorf("sidecar %+v", m)
	}
	if n := s.messages(); n != 0 {
		t.Errorf("%d messages remain", n)
	}
}

func TestFaultyFootageFailsTheJob(t *testing.T) {
	for _, class := range []error{video.ErrEmpty, video.ErrNotVideo, video.ErrTruncated, video.ErrDecode} {
		t.Run(class.Error(), func(t *testing.T) {
			s := newStage(t)
			j := s.put("f1")
			w := s.worker("w", fails(fmt.Errorf("after 12 of 240 frames: %w", class)))
			s.deliver(t.Context(), w)
			got := s.job(j.ID)
			if got.State != job.Failed || !strings.Contains(got.Reason, "after 12 of 240 frames") || !strings.Contains(got.Reason, count.Advice(class)) {
				t.Errorf("%+v", got)
			}
			if m := s.sidecar("f1"); m.State != job.Failed || m.Reason != got.Reason {
				t.Errorf("sidecar %+v", m)
			}
			if s.messages() != 0 {
				t.Error("the message is still in the queue")
			}
			s.put("f2")
			s.deliver(t.Context(), s.worker("w", counts(3)))
			if c, err := s.l.Counts.Get(t.Context(), "f2"); err != nil || c.Unique != 3 {
				t.Errorf("the worker does not count the next job: %+v %v", c, err)
			}
		})
	}
}

func TestOtherFaultsAreRetriedThenPoisoned(t *testing.T) {
	for name, c := range map[string]counterFunc{
		"error": fails(errors.New("out of memory")),
		"panic": func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
			panic("out of memory")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			j := s.put("f1")
			w := s.worker("w", c)
			for range 2 {
				s.deliver(t.Context(), w)
				if got := s.job(j.ID); got.State != job.Queued || !strings.Contains(got.Reason, "out of memory") {
					t.Fatalf("%+v", got)
				}
				if _, err := s.q.Receive(t.Context(), 10*time.Second); !errors.Is(err, queue.ErrEmpty) {
					t.Fatalf("no delay before the next delivery: %v", err)
				}
				s.later(maxBackoff)
			}
			s.deliver(t.Context(), w)
			got := s.job(j.ID)
			if got.State != job.Poisoned || !strings.Contains(got.Reason, "2 deliveries") || !strings.Contains(got.Reason, "out of memory") {
				t.Errorf("%+v", got)
			}
			if s.messages() != 0 {
				t.Error("the message is still in the queue")
			}
		})
	}
}

// TestConsecutiveFaultsSlowTheWorkerDown checks that jobs do not use up their deliveries during an outage.
func TestConsecutiveFaultsSlowTheWorkerDown(t *testing.T) {
	s := newStage(t)
	for _, id := range []footage.ID{"f1", "f2", "f3", "f4"} {
		s.put(id)
	}
	ctx, stop := context.WithCancel(t.Context())
	fault := errors.New("storage unreachable")
	w := s.worker("w", counterFunc(func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
		return outcome(1), fault
	}))
	var pauses []time.Duration
	w.pause = func(_ context.Context, d time.Duration) {
		pauses = append(pauses, d)
		if len(pauses) == 3 {
			fault = nil
		}
		if d == idlePoll {
			stop()
		}
	}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if want := []time.Duration{firstBackoff, 2 * firstBackoff, 4 * firstBackoff, idlePoll}; !slices.Equal(pauses, want) {
		t.Errorf("pauses %v, want %v", pauses, want)
	}
	if w.faults != 0 {
		t.Errorf("%d faults after a success", w.faults)
	}
}

// TestZombieChangesNothing continues a worker that hung beyond its lease, after another worker has finished its job.
func TestZombieChangesNothing(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	hangs, goOn := make(chan struct{}), make(chan struct{})
	zombie := s.worker("zombie", counterFunc(func(ctx context.Context, _ count.Source, _ func(job.Progress)) (count.Outcome, error) {
		close(hangs)
		<-goOn // ignores ctx, like a paused process
		return outcome(99), nil
	}))
	lease, err := s.q.Receive(t.Context(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		_ = zombie.deliver(t.Context(), lease)
	}()
	<-hangs
	s.later(time.Minute)
	s.deliver(t.Context(), s.worker("live", counts(7)))
	close(goOn)
	<-dead
	if c, err := s.l.Counts.Get(t.Context(), "f1"); err != nil || c.Unique != 7 {
		t.Errorf("count %+v %v", c, err)
	}
	if got := s.job(j.ID); got.State != job.Done || got.Worker != "live" || got.Attempt != 2 {
		t.Errorf("%+v", got)
	}
	var doc report.Result
	r, err := s.b.Open(t.Context(), s.job(j.ID).ResultKey, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := json.NewDecoder(r).Decode(&doc); err != nil || doc.Count.Unique != 7 {
		t.Errorf("the zombie wrote its result: %+v %v", doc.Count, err)
	}
}

func TestShutdownReturnsTheJobAtOnce(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	const stops = 5 // more than MaxDeliveries: shutdowns never poison a job
	for range stops {
		ctx, stop := context.WithCancel(t.Context())
		w := s.worker("w", counterFunc(func(ctx context.Context, _ count.Source, _ func(job.Progress)) (count.Outcome, error) {
			stop()
			<-ctx.Done()
			return count.Outcome{}, ctx.Err()
		}))
		if err := w.Run(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
		if got := s.job(j.ID); got.State != job.Queued {
			t.Fatalf("%+v", got)
		}
	}
	s.deliver(t.Context(), s.worker("next", counts(4)))
	if got := s.job(j.ID); got.State != job.Done || got.Attempt != stops+1 {
		t.Errorf("%+v", got)
	}
}

func TestCanceledJobStops(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	w := s.worker("w", counterFunc(func(ctx context.Context, _ count.Source, _ func(job.Progress)) (count.Outcome, error) {
		if err := s.l.Jobs.Cancel(context.WithoutCancel(ctx), j.ID); err != nil {
			t.Error(err)
		}
		select {
		case <-ctx.Done():
			return count.Outcome{}, ctx.Err()
		case <-time.After(time.Minute):
			t.Error("the count was not stopped")
			return outcome(1), nil
		}
	}))
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Canceled {
		t.Errorf("%+v", got)
	}
}

func TestMessageOfAFinishedJobIsDropped(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	s.deliver(t.Context(), s.worker("w", counts(7)))
	if err := s.q.Enqueue(t.Context(), j.ID); err != nil {
		t.Fatal(err)
	}
	s.deliver(t.Context(), s.worker("w", counts(8)))
	if c, _ := s.l.Counts.Get(t.Context(), "f1"); c.Unique != 7 || s.messages() != 0 {
		t.Errorf("counted twice: %+v, %d messages", c, s.messages())
	}
}

// remote hides the plain files of a store.
type remote struct{ blob.Store }

func TestFootageFromARemoteStore(t *testing.T) {
	s := newStage(t)
	s.put("f1")
	w := s.worker("w", counterFunc(func(ctx context.Context, src count.Source, _ func(job.Progress)) (count.Outcome, error) {
		if !strings.HasSuffix(src.Path, ".mp4") || src.Size != int64(len("content of f1")) {
			t.Errorf("%+v", src)
		}
		return outcome(1), nil
	}))
	w.o.Blobs = remote{s.b}
	s.deliver(t.Context(), w)
	if c, err := s.l.Counts.Get(t.Context(), "f1"); err != nil || c.Unique != 1 {
		t.Errorf("%+v %v", c, err)
	}
	left, err := filepath.Glob(filepath.Join(w.o.CacheDir, "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("files remain in the cache: %v %v", left, err)
	}
}

// TestFaultsOfTheCacheReturnTheJob checks that a full disk of the worker and a store with wrong bytes are not faults of
// the footage: the job returns to the queue with the reason.
func TestFaultsOfTheCacheReturnTheJob(t *testing.T) {
	for name, c := range map[string]struct {
		spare  int64
		blob   string
		reason string
	}{
		"full disk":   {1 << 60, "", "too little space for footage"},
		"other bytes": {0, "CONTENT of f1", "other bytes than were stored"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			j := s.put("f1")
			if c.blob != "" {
				if _, err := s.b.Put(t.Context(), "footage/f1/original.mp4", strings.NewReader(c.blob)); err != nil {
					t.Fatal(err)
				}
			}
			o := s.worker("w", counts(1)).o
			o.Blobs, o.CacheSpare = remote{s.b}, c.spare
			s.deliver(t.Context(), New(o))
			if got := s.job(j.ID); got.State != job.Queued || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("%+v", got)
			}
			if m := s.sidecar("f1"); m.State != job.Queued || !strings.Contains(m.Reason, c.reason) {
				t.Errorf("%+v", m)
			}
		})
	}
}

// The reason at a job names the file and not the folders of the machine, whatever failed; the log has them.
func TestReasonsNameNoFolders(t *testing.T) {
	s := newStage(t)
	dir := filepath.Join(t.TempDir(), "My Herds")
	_, missing := os.Open(filepath.Join(dir, "clip.mp4"))
	for id, fault := range map[footage.ID]error{"back": missing, "failed": fmt.Errorf("%w: %w", missing, video.ErrTruncated), "text": errors.New("cannot run /opt/tools/decode")} {
		j := s.put(id)
		var log bytes.Buffer
		w := s.worker("w1", counterFunc(func(context.Context, count.Source, func(job.Progress)) (count.Outcome, error) {
			return count.Outcome{}, fault
		}))
		w.o.Log = slog.New(slog.NewTextHandler(&log, nil))
		s.deliver(t.Context(), w)
		reasons := []string{s.job(j.ID).Reason, s.sidecar(id).Reason}
		as, err := s.l.Attempts.List(t.Context(), j.ID, 9)
		if err != nil || len(as) != 1 {
			t.Fatalf("attempts: %+v, %v", as, err)
		}
		for _, r := range append(reasons, as[0].Reason) {
			if r == "" || strings.Contains(r, "/") || strings.Contains(r, "Herds") {
				t.Errorf("%s: the reason is %q", id, r)
			}
		}
		if !strings.Contains(log.String(), "/opt/tools/decode") && !strings.Contains(log.String(), dir) {
			t.Errorf("%s: the log has no folder: %s", id, log.String())
		}
	}
}
