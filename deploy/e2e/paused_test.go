package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// A worker that is paused for longer than its lease and then goes on can change
// nothing: not while another worker counts, and not after that one has finished. It
// notices, lets go, and takes the next job.
func TestPausedWorkerChangesNothing(t *testing.T) {
	azure := fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: paused, queue: paused-jobs}\n", azurite.Get(t).ConnectionString().Reveal())
	for _, c := range []struct {
		name, cloud string
		meanwhile   bool // it goes on while the other one counts
	}{
		{"on a disk, after the other one", "", false},
		{"on azure, meanwhile", azure, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.cloud)
			s.all()
			path, animals := clip(t)
			s.drop(path, "DJI_0001.MP4")
			s.named("DJI_0001.MP4", 2*time.Minute, "is being counted", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Processing })
			paused := s.worker
			s.pause(paused)
			t.Cleanup(func() {
				if s.worker != paused {
					paused.Kill() // it may still be paused, and would not hear a request to stop
				}
			})
			s.startWorker()
			s.named("DJI_0001.MP4", 2*time.Minute, "is counted by another worker", func(f footageView) bool {
				return f.Job != nil && f.Job.Attempt == 2 && (f.Job.State == job.Done || c.meanwhile && f.Job.State == job.Processing)
			})
			if c.meanwhile {
				s.wakes(paused)
			}
			f := s.named("DJI_0001.MP4", 2*time.Minute, "is counted", counted)
			s.eventually("the sidecar says so as well", time.Minute, func() bool {
				var m topic.Job
				err := s.get("/api/v1/footage/"+f.ID+"/status", &m)
				return err == nil && m.State == job.Done && m.Attempt == 2
			})
			want := s.everything(f.ID)
			if !c.meanwhile {
				s.wakes(paused)
			}
			if got := s.everything(f.ID); !bytes.Equal(got, want) {
				t.Errorf("the paused worker changed\n%s\nto\n%s", want, got)
			}
			if !near(f.Count.Unique, animals) {
				t.Errorf("count %+v, true %d", f.Count, animals)
			}

			// The next job ends only when the one that was paused takes it.
			if err := s.worker.Stop(20 * time.Second); err != nil {
				t.Error(err)
			}
			s.worker = paused
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s.dropBytes(append(b, "\x00\x00\x00\x08free"...), "DJI_0002.MP4")
			if f := s.named("DJI_0002.MP4", 2*time.Minute, "is counted", counted); f.Job.Attempt != 1 {
				t.Errorf("attempt %d", f.Job.Attempt)
			}
			s.oneEnd(f.Job.ID)
		})
	}
}

func signal(t testing.TB, c *process.Child, s os.Signal) {
	t.Helper()
	if err := c.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// pause stops a worker where it holds no lock on the ledger: one that is stopped within a
// write to SQLite holds up every other process, whatever its lease.
func (s *stage) pause(c *process.Child) {
	s.t.Helper()
	s.eventually("the worker is stopped outside of a write to the ledger", 20*time.Second, func() bool {
		signal(s.t, c, syscall.SIGSTOP)
		s.eventually("the worker is stopped", 10*time.Second, func() bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID()))
			return err != nil || strings.Contains(string(b), ") T ")
		})
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(string(locks)) { // "1: POSIX  ADVISORY  WRITE 1234 08:01:5678 120 120"
			if f := strings.Fields(line); len(f) > 4 && f[1] == "POSIX" && f[3] == "WRITE" && f[4] == fmt.Sprint(c.PID()) {
				signal(s.t, c, syscall.SIGCONT)
				return false
			}
		}
		return true
	})
}

// wakes lets a paused worker go on until it has noticed.
func (s *stage) wakes(paused *process.Child) {
	s.t.Helper()
	signal(s.t, paused, syscall.SIGCONT)
	s.eventually("the paused worker lets go", time.Minute, func() bool {
		return strings.Contains(paused.Tail(1<<20), "it is not this worker's any more")
	})
}

// everything is what the API says about footage, its result and its status sidecar.
func (s *stage) everything(id string) []byte {
	s.t.Helper()
	var all []byte
	for _, path := range []string{"/api/v1/footage/" + id, "/api/v1/footage/" + id + "/result", "/api/v1/footage/" + id + "/status"} {
		var text json.RawMessage
		if err := s.get(path, &text); err != nil {
			s.t.Fatal(err)
		}
		all = append(append(all, text...), '\n')
	}
	return all
}

// oneEnd holds what subscribers heard of a job that was tried twice: its end once,
// and nothing of an attempt after a later one.
func (s *stage) oneEnd(id string) {
	s.t.Helper()
	ends, newest := 0, 0
	for _, m := range messages[topic.Job](s.t, s.heard, topic.KindJob) {
		if m.Job != id {
			continue
		}
		if m.Attempt < newest {
			s.t.Errorf("attempt %d was told after %d", m.Attempt, newest)
		}
		newest = max(newest, m.Attempt)
		if m.State == job.Done {
			ends++
		}
	}
	if ends != 1 || newest != 2 {
		s.t.Errorf("its end was told %d times, newest attempt %d", ends, newest)
	}
}
