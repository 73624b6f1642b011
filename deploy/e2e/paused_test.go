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

// A worker that is paused for longer than its lease and then continues changes nothing: not while another worker counts,
// and not after that one has finished. It notices that its lease is lost, and leases the next job.
func TestPausedWorkerChangesNothing(t *testing.T) {
	azure := fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: paused, queue: paused-jobs}\n", azurite.Get(t).ConnectionString().Reveal())
	for _, c := range []struct {
		name, cloud string
		meanwhile   bool // it continues while the other one counts
	}{
		{"on a disk, after the other one", "", false},
		{"on azure, meanwhile", azure, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.cloud)
			s.startAll()
			path, animals := clip(t)
			s.copyToCard(path, "DJI_0001.MP4")
			s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is being counted", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Processing })
			paused := s.worker
			s.pause(paused)
			t.Cleanup(func() {
				if s.worker != paused {
					paused.Kill() // it may still be paused and ignore SIGTERM
				}
			})
			s.startWorker()
			s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted by another worker", func(f footageView) bool {
				return f.Job != nil && f.Job.Attempt == 2 && (f.Job.State == job.Done || c.meanwhile && f.Job.State == job.Processing)
			})
			if c.meanwhile {
				s.resumeUntilNoticed(paused)
			}
			f := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
			s.eventually("the status sidecar is current", time.Minute, func() bool {
				var m topic.Job
				err := s.get("/api/v1/footage/"+f.ID+"/status", &m)
				return err == nil && m.State == job.Done && m.Attempt == 2
			})
			s.eventually("the flight log was looked for, which the footage shows", time.Minute, func() bool {
				var v struct {
					FlightLog json.RawMessage `json:"flight_log"`
				}
				return s.get("/api/v1/footage/"+f.ID, &v) == nil && v.FlightLog != nil
			})
			want := s.snapshot(f.ID)
			if !c.meanwhile {
				s.resumeUntilNoticed(paused)
			}
			if got := s.snapshot(f.ID); !bytes.Equal(got, want) {
				t.Errorf("the paused worker changed\n%s\nto\n%s", want, got)
			}
			if !isClose(f.Count.Unique, animals) {
				t.Errorf("count %+v, true %d", f.Count, animals)
			}

			// Only the worker that was paused is left for the next job.
			if err := s.worker.Stop(time.Minute); err != nil {
				t.Error(err)
			}
			s.worker = paused
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			s.writeToCard(append(b, "\x00\x00\x00\x08free"...), "DJI_0002.MP4")
			if f := s.awaitFootage("DJI_0002.MP4", 2*time.Minute, "is counted", isCounted); f.Job.Attempt != 1 {
				t.Errorf("attempt %d", f.Job.Attempt)
			}
			s.checkOneEnd(f.Job.ID)
		})
	}
}

func signal(t testing.TB, c *process.Child, s os.Signal) {
	t.Helper()
	if err := c.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// pause stops a worker at a moment in which it holds no lock on the ledger: a worker that is stopped within a write to
// SQLite blocks every other process.
func (s *stage) pause(c *process.Child) {
	s.t.Helper()
	s.eventually("the worker is stopped outside a write to the ledger", time.Minute, func() bool {
		signal(s.t, c, syscall.SIGSTOP)
		s.eventually("the worker is stopped", time.Minute, func() bool {
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

// resumeUntilNoticed continues a paused worker until it has noticed that its lease is lost.
func (s *stage) resumeUntilNoticed(paused *process.Child) {
	s.t.Helper()
	signal(s.t, paused, syscall.SIGCONT)
	s.eventually("the paused worker gives its job up", time.Minute, func() bool {
		return strings.Contains(paused.Tail(1<<20), "lease lost; job stopped")
	})
}

// snapshot is what the API reports about footage, its result and its status sidecar.
func (s *stage) snapshot(id string) []byte {
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

// checkOneEnd checks the messages about a job with two attempts: its end is published once, and no message of an attempt
// follows one of a later attempt.
func (s *stage) checkOneEnd(id string) {
	s.t.Helper()
	ends, newest := 0, 0
	for _, m := range messages[topic.Job](s.t, s.received, topic.KindJob) {
		if m.Job != id {
			continue
		}
		if m.Attempt < newest {
			s.t.Errorf("attempt %d was published after attempt %d", m.Attempt, newest)
		}
		newest = max(newest, m.Attempt)
		if m.State == job.Done {
			ends++
		}
	}
	if ends != 1 || newest != 2 {
		s.t.Errorf("its end was published %d times, newest attempt %d", ends, newest)
	}
}
