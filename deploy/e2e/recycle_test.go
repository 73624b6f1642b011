package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// restarting is in the log line before each restart.
const restarting = "worker.max_memory; restarting"

// TestWorkerRestartsItself checks that a worker above worker.max_memory restarts after each job, as the same process, and
// that every job is counted once. A worker above it before its first job logs this and counts without a restart.
func TestWorkerRestartsItself(t *testing.T) {
	s := newStage(t)
	s.startAll()
	path, animals := clip(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	count := func() {
		t.Helper()
		n++
		name := fmt.Sprintf("DJI_%04d.MP4", n)
		b = append(b, "\x00\x00\x00\x08free"...) // the same pictures in another file
		s.writeToCard(b, name)
		if f := s.awaitFootage(name, 2*time.Minute, "is counted", isCounted); f.Job.Attempt != 1 || !isClose(f.Count.Unique, animals) {
			t.Errorf("%s: %+v %+v, true %d", name, f.Job, f.Count, animals)
		}
	}
	ready := func(times int) {
		t.Helper()
		s.eventually(fmt.Sprintf("start %d of the worker", times), time.Minute, func() bool {
			return strings.Count(s.worker.Tail(1<<20), "worker ready") == times
		})
	}
	restart := func(limit int64) {
		t.Helper()
		if err := s.worker.Stop(time.Minute); err != nil {
			t.Fatal(err)
		}
		s.workerEnv = []string{fmt.Sprintf("CATTLE_CLOUD_WORKER_MAX_MEMORY=%dB", limit)}
		s.startWorker()
	}

	ready(1)
	fresh := s.memory("VmRSS")
	count()
	used := s.memory("VmRSS")
	t.Logf("%d MiB before the first job, %d MiB after it", fresh>>20, used>>20)
	if used < fresh+fresh/4 {
		t.Fatal("no limit lies between both")
	}

	restart(fresh + fresh/8)
	ready(2)
	pid := s.worker.PID()
	const times = 2
	for i := range times {
		count()
		ready(3 + i)
	}
	log := s.worker.Tail(1 << 20)
	if got := strings.Count(log, restarting); got != times || !strings.Contains(log, fmt.Sprint("pid=", pid)) {
		t.Errorf("%d restarts in %d jobs", got, times)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || string(name) != "worker\n" {
		t.Errorf("the process is called %q: %v", name, err)
	}

	restart(1 << 20)
	count()
	s.eventually("the log reports the end of the job", time.Minute, func() bool { return strings.Count(s.worker.Tail(1<<20), "job done") == n })
	log = s.worker.Tail(1 << 20)
	if strings.Count(log, restarting) != times || strings.Count(log, "raise it") != 1 {
		t.Errorf("with far too low a limit:\n%s", log)
	}
	// A count is published again when more becomes known of its footage, such as when it was recorded.
	counted := func() map[footage.ID]bool {
		all := map[footage.ID]bool{}
		for _, c := range messages[topic.Count](t, s.received, topic.KindCount) {
			all[c.Footage] = true
		}
		return all
	}
	s.eventually("the counts over MQTT", time.Minute, func() bool { return len(counted()) >= n })
	if got := len(counted()); got != n {
		t.Errorf("counts of %d pieces of footage, want %d", got, n)
	}
}

// memory is a size in the worker's /proc/PID/status, in bytes.
func (s *stage) memory(field string) int64 {
	s.t.Helper()
	n, err := s.worker.Memory(field)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}
