package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/shared/job"
)

// TestDrain checks that a stopped worker finishes its current job within worker.drain and begins no other one. A second
// signal returns the job to the queue at once.
func TestDrain(t *testing.T) {
	s := newStage(t)
	s.startBroker()
	s.startAPI()
	s.startEdge()
	path, animals := clip(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.writeToCard(b, "DJI_0001.MP4")
	s.writeToCard(append(b[:len(b):len(b)], "\x00\x00\x00\x08free"...), "DJI_0002.MP4")
	for _, name := range []string{"DJI_0001.MP4", "DJI_0002.MP4"} {
		s.awaitFootage(name, time.Minute, "is queued", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Queued })
	}
	s.workerEnv = []string{"CATTLE_CLOUD_WORKER_DRAIN=5m", "CATTLE_CLOUD_WORKER_MAX_DELIVERIES=1"}

	s.startWorker()
	first := s.awaitAttempt(1)
	signal(t, s.worker, syscall.SIGTERM)
	awaitExit(t, s.worker)
	f := s.awaitFootage(first, time.Minute, "was finished", isCounted)
	if f.Job.Attempt != 1 || !isClose(f.Count.Unique, animals) {
		t.Errorf("%+v %+v, true %d", f.Job, f.Count, animals)
	}
	if log := s.worker.Tail(1 << 20); !strings.Contains(log, "finishing the current job") || !strings.Contains(log, "until=") {
		t.Errorf("the log has no line about the drain:\n%s", log)
	}
	for _, f := range s.footage() {
		if f.Name != first && (f.Job.State != job.Queued || f.Job.Attempt != 0) {
			t.Errorf("another job was begun: %+v", f)
		}
	}

	s.startWorker()
	second := s.awaitAttempt(1)
	signal(t, s.worker, syscall.SIGTERM)
	s.eventually("the worker logs the first signal", time.Minute, func() bool {
		return strings.Count(s.worker.Tail(1<<20), "finishing the current job") == 2
	})
	signal(t, s.worker, syscall.SIGTERM)
	awaitExit(t, s.worker)
	if f := s.awaitFootage(second, time.Minute, "is back in the queue", func(f footageView) bool { return f.Job.State == job.Queued }); f.Job.Reason != "the worker was stopped" {
		t.Errorf("%+v", f.Job)
	}
	s.startWorker()
	if f := s.awaitFootage(second, 2*time.Minute, "is counted", isCounted); f.Job.Attempt != 2 {
		t.Errorf("%+v", f.Job)
	}
}

// awaitAttempt waits until a job is in its n-th attempt, and returns the name of its footage.
func (s *stage) awaitAttempt(n int) (name string) {
	s.t.Helper()
	s.eventually("a job is begun", 2*time.Minute, func() bool {
		for _, f := range s.footage() {
			if f.Job != nil && f.Job.State == job.Processing && f.Job.Attempt == n {
				name = f.Name
				return true
			}
		}
		return false
	})
	return name
}

// awaitExit waits until the program has ended by itself with exit code 0.
func awaitExit(t *testing.T, c *process.Child) {
	t.Helper()
	select {
	case <-c.Done():
		if c.Err() != nil {
			t.Errorf("%s: %v\n%s", c.Name, c.Err(), c.Tail(4000))
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s still runs:\n%s", c.Name, c.Tail(4000))
	}
}
