package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// countingStore counts the requests to a store, and calls before ahead of each Replace.
type countingStore struct {
	blob.Store
	replaces, reads int
	before          func()
}

func (a *countingStore) Replace(ctx context.Context, key, version string, r io.Reader) (blob.Info, error) {
	a.replaces++
	if a.before != nil {
		a.before()
	}
	return a.Store.Replace(ctx, key, version, r)
}

func (a *countingStore) Stat(ctx context.Context, key string) (blob.Info, error) {
	a.reads++
	return a.Store.Stat(ctx, key)
}

func (a *countingStore) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	a.reads++
	return a.Store.Open(ctx, key, offset, length)
}

func status(fence int64, state job.State, percent float64) topic.Job {
	return topic.Job{Job: "j", Footage: "f1", Fence: fence, State: state, Progress: job.Progress{Percent: percent}}
}

func TestSidecarGoesOnlyForward(t *testing.T) {
	other := status(9, job.Done, 100)
	other.Job = "of a lost ledger"
	for name, c := range map[string]struct {
		stored, m topic.Job
		stays     bool
	}{
		"older attempt":         {status(1, job.Done, 100), status(2, job.Processing, 0), false},
		"newer attempt":         {status(3, job.Processing, 0), status(2, job.Done, 100), true},
		"newer attempt waits":   {status(3, job.Queued, 0), status(2, job.Processing, 50), true},
		"further on":            {status(2, job.Processing, 60), status(2, job.Processing, 50), true},
		"as far":                {status(2, job.Processing, 50), status(2, job.Processing, 50), false},
		"behind":                {status(2, job.Processing, 40), status(2, job.Processing, 50), false},
		"ended":                 {status(2, job.Failed, 10), status(2, job.Processing, 50), true},
		"the end":               {status(2, job.Processing, 50), status(2, job.Queued, 50), false},
		"the end again":         {status(2, job.Done, 100), status(2, job.Done, 100), false},
		"another job's":         {other, status(1, job.Processing, 0), false},
		"not a status, as zero": {topic.Job{}, status(1, job.Processing, 0), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			text, err := json.Marshal(c.stored)
			if err != nil {
				t.Fatal(err)
			}
			if c.stored.Job == "" {
				text = []byte("not JSON")
			}
			if _, err := s.b.Put(t.Context(), wire.StatusKey("f1"), bytes.NewReader(text)); err != nil {
				t.Fatal(err)
			}
			var mine sidecar
			err = mine.write(t.Context(), s.b, c.m)
			if errors.Is(err, errNewerStatus) != c.stays || err != nil && !c.stays {
				t.Fatal(err)
			}
			want := c.m
			if c.stays {
				want = c.stored
			}
			if got := s.sidecar("f1"); got.Fence != want.Fence || got.State != want.State || got.Percent != want.Percent {
				t.Errorf("stored: %+v, want %+v", got, want)
			}
		})
	}
}

func TestSidecarCostsOneRequest(t *testing.T) {
	s := newStage(t)
	count := &countingStore{Store: s.b}
	write := func(mine *sidecar, m topic.Job, replaces, reads int) {
		t.Helper()
		count.replaces, count.reads = 0, 0
		if err := mine.write(t.Context(), count, m); err != nil {
			t.Fatal(err)
		}
		if count.replaces != replaces || count.reads != reads {
			t.Errorf("%d replaces and %d reads, want %d and %d", count.replaces, count.reads, replaces, reads)
		}
	}
	var first, second sidecar
	write(&first, status(1, job.Processing, 0), 1, 0)
	write(&first, status(1, job.Processing, 50), 1, 0)
	write(&first, status(1, job.Queued, 50), 1, 0)
	write(&second, status(2, job.Processing, 0), 2, 2) // one read of the stored status
	write(&second, status(2, job.Done, 100), 1, 0)
	if err := s.b.Delete(t.Context(), wire.StatusKey("f1")); err != nil {
		t.Fatal(err)
	}
	write(&second, status(2, job.Done, 100), 2, 1)
}

// Seq is the ledger's number of the change. It grows with every write, also over a sidecar
// of version 0.1.0, which counted milliseconds.
func TestSidecarSeq(t *testing.T) {
	s := newStage(t)
	j := s.put("f1")
	s.deliver(t.Context(), s.worker("w", counts(7)))
	if got, want := s.sidecar("f1").Seq, s.job(j.ID).Seq; got != want {
		t.Errorf("seq %d, the ledger has %d", got, want)
	}
	const milliseconds = 1_782_000_000_000
	old := status(1, job.Processing, 40)
	old.Seq = milliseconds
	text, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.b.Put(t.Context(), wire.StatusKey("f1"), bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	var mine sidecar
	for n := range int64(3) {
		m := status(2, job.Processing, 50)
		m.Seq = 100 + n
		if err := mine.write(t.Context(), s.b, m); err != nil {
			t.Fatal(err)
		}
		if got := s.sidecar("f1").Seq; got != milliseconds+1+n {
			t.Errorf("write %d: seq %d after %d", n, got, int64(milliseconds))
		}
	}
}

// TestSidecarAfterALostAnswer checks that the next write succeeds after a lost answer.
func TestSidecarAfterALostAnswer(t *testing.T) {
	s := newStage(t)
	lossy := &lost{Store: s.b, lose: true}
	var mine sidecar
	if err := mine.write(t.Context(), lossy, status(1, job.Processing, 10)); !errors.Is(err, errAnswer) {
		t.Fatal(err)
	}
	lossy.lose = false
	if err := mine.write(t.Context(), lossy, status(1, job.Processing, 20)); err != nil {
		t.Fatal(err)
	}
	if got := s.sidecar("f1"); got.Percent != 20 {
		t.Errorf("%+v", got)
	}
}

var errAnswer = errors.New("the answer was lost")

type lost struct {
	blob.Store
	lose bool
}

func (l *lost) Replace(ctx context.Context, key, version string, r io.Reader) (blob.Info, error) {
	info, err := l.Store.Replace(ctx, key, version, r)
	if l.lose {
		return blob.Info{}, errors.Join(err, errAnswer)
	}
	return info, err
}

// TestPausedBeforeTheSidecar pauses a worker between the ledger's answer and the write of the sidecar. Meanwhile its
// lease ends and another worker does the whole job.
func TestPausedBeforeTheSidecar(t *testing.T) {
	for name, c := range map[string]struct {
		at    int // the write before which the worker is paused
		count counterFunc
	}{
		"its first status": {1, waits},
		"a later status":   {2, waits},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			j := s.put("f1")
			hangs, goOn := make(chan struct{}), make(chan struct{})
			store := &countingStore{Store: s.b}
			store.before = func() {
				if store.replaces == c.at {
					close(hangs)
					<-goOn
				}
			}
			paused := s.worker("paused", c.count)
			paused.o.Blobs = struct {
				blob.Store
				blob.Local
			}{store, s.b}
			lease, err := s.q.Receive(t.Context(), 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			dead := make(chan struct{})
			go func() {
				defer close(dead)
				_ = paused.deliver(t.Context(), lease)
			}()
			select {
			case <-hangs:
			case <-time.After(time.Minute):
				t.Fatal("the worker does not write the sidecar")
			}
			s.later(time.Minute)
			s.deliver(t.Context(), s.worker("live", counts(7)))
			want := s.text("f1")
			close(goOn)
			<-dead
			if got := s.text("f1"); got != want || !strings.Contains(got, `"state": "done"`) {
				t.Errorf("the sidecar was\n%s\nand became\n%s", want, got)
			}
			if got := s.job(j.ID); got.State != job.Done || got.Worker != "live" {
				t.Errorf("%+v", got)
			}
		})
	}
}

// waits is a count that runs until it is stopped.
func waits(ctx context.Context, _ count.Source, _ func(job.Progress)) (count.Outcome, error) {
	<-ctx.Done()
	return count.Outcome{}, ctx.Err()
}

// text returns the stored sidecar.
func (s *stage) text(id string) string {
	s.t.Helper()
	r, err := s.b.Open(s.t.Context(), wire.StatusKey(footage.ID(id)), 0, -1)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}
