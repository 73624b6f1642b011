package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/smalldisk"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

type footageView struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	SHA256      string `json:"sha256"`
	DuplicateOf string `json:"duplicate_of"`
	Job         *struct {
		ID      string    `json:"id"`
		State   job.State `json:"state"`
		Attempt int       `json:"attempt"`
		Percent float64   `json:"percent"`
		Reason  string    `json:"reason"`
	} `json:"job"`
	Count *struct {
		Unique int `json:"unique"`
		Low    int `json:"low"`
		High   int `json:"high"`
	} `json:"count"`
}

func (s *stage) footage() []footageView {
	s.t.Helper()
	var l struct{ Items []footageView }
	if err := s.get("/api/v1/footage", &l); err != nil {
		s.t.Logf("footage: %v", err)
	}
	return l.Items
}

// awaitFootage waits until the API has footage of that name for which ok returns true, and returns it.
func (s *stage) awaitFootage(name string, limit time.Duration, what string, ok func(footageView) bool) (f footageView) {
	s.t.Helper()
	s.eventually(name+": "+what, limit, func() bool {
		for _, f = range s.footage() {
			if f.Name == name {
				return ok(f)
			}
		}
		return false
	})
	return f
}

func isCounted(f footageView) bool { return f.Count != nil && f.Job != nil && f.Job.State == job.Done }

// status is the answer of "edge-agent status".
func (s *stage) status() (st struct {
	Link    struct{ Detail string }
	Footage []struct {
		Name    string
		Phase   string
		Percent float64
		Waiting string
		Reason  string
		Count   *struct{ Unique int }
	}
}) {
	out, err := exec.Command(filepath.Join(bin, "edge-agent"), "status", "--json", "--config", s.edgecfg).Output()
	if err != nil {
		return st
	}
	if err := json.Unmarshal(out, &st); err != nil {
		s.t.Errorf("status --json: %v: %s", err, out)
	}
	return st
}

// awaitPhase waits until the agent reports the phase of the file, and returns the reason it gives.
func (s *stage) awaitPhase(name, phase string, limit time.Duration) (reason string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("agent's status of %s is %s", name, phase), limit, func() bool {
		for _, f := range s.status().Footage {
			if f.Name == name && f.Phase == phase {
				reason = f.Reason
				return true
			}
		}
		return false
	})
	return reason
}

// isClose allows 15 % between a count and the true number of animals.
func isClose(got, want int) bool { return math.Abs(float64(got-want)) <= 0.15*float64(want) }

func TestFootageBecomesACount(t *testing.T) {
	s := newStage(t)
	s.startAll()
	path, animals := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	f := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	if !isClose(f.Count.Unique, animals) || f.Count.Low > f.Count.Unique || f.Count.High < f.Count.Unique {
		t.Errorf("count %+v, true %d", f.Count, animals)
	}
	s.awaitPhase("DJI_0001.MP4", "done", time.Minute)

	s.eventually("the count over MQTT", time.Minute, func() bool { return len(messages[topic.Count](t, s.received, topic.KindCount)) > 0 })
	if c := messages[topic.Count](t, s.received, topic.KindCount)[0]; c.Unique != f.Count.Unique || string(c.Footage) != f.ID || c.V != topic.Version {
		t.Errorf("over MQTT %+v, in the API %+v", c, f)
	}
	// A short state may be skipped: the newest one wins.
	s.eventually("the agent publishes that the footage is uploaded", time.Minute, func() bool {
		m := messages[topic.Footage](t, s.received, topic.KindFootage)
		return len(m) > 0 && m[len(m)-1].State == topic.Uploaded
	})
	if b := messages[topic.Status](t, s.received, topic.KindStatus); len(b) == 0 || !b[0].Online || b[0].Session < 1 {
		t.Errorf("birth %+v", b)
	}
	s.checkProgressOnlyGrows()

	var result struct {
		Count struct{ Unique int }
		Model struct{ Digest string }
	}
	if err := s.get("/api/v1/footage/"+f.ID+"/result", &result); err != nil || result.Count.Unique != f.Count.Unique || len(result.Model.Digest) != 64 {
		t.Errorf("result %+v %v", result, err)
	}
	sidecar, err := os.ReadFile(s.path("cloud", "blobs", "footage", f.ID, "video_status.json"))
	if err != nil || !bytes.Contains(sidecar, []byte(`"state": "done"`)) {
		t.Errorf("sidecar %s %v", sidecar, err)
	}
	if _, err := os.Stat(s.path("card", "DCIM", "100MEDIA", "DJI_0001.MP4")); err != nil {
		t.Errorf("the original is missing on the card: %v", err)
	}

	t.Run("a copy of the file is not counted", func(t *testing.T) {
		s.copyToCard(path, "DJI_0002.MP4")
		s.awaitPhase("DJI_0002.MP4", "duplicate", time.Minute)
		if n := len(s.footage()); n != 1 {
			t.Errorf("%d pieces of footage in the cloud, want 1", n)
		}
	})
	t.Run("bad files are refused with a reason", func(t *testing.T) {
		s.writeToCard([]byte(strings.Repeat("a letter, not a film. ", 200)), "LETTER.MP4")
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s.writeToCard(whole[:len(whole)/2], "CUT.MP4")
		s.writeToCard(nil, "EMPTY.MP4")
		if r := s.awaitPhase("LETTER.MP4", "quarantined", time.Minute); !strings.Contains(r, "not a video") {
			t.Errorf("reason %q", r)
		}
		if r := s.awaitPhase("EMPTY.MP4", "quarantined", time.Minute); !strings.Contains(r, "empty") {
			t.Errorf("reason %q", r)
		}
		cut := s.awaitFootage("CUT.MP4", time.Minute, "has failed", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Failed })
		if cut.Job.Reason == "" || strings.Contains(cut.Job.Reason, s.dir) {
			t.Errorf("reason %q", cut.Job.Reason)
		}
		s.awaitPhase("CUT.MP4", "failed", time.Minute)
	})
}

// checkProgressOnlyGrows checks what subscribers rely on: seq grows, and percent within an attempt.
func (s *stage) checkProgressOnlyGrows() {
	s.t.Helper()
	last := map[string]topic.Job{}
	for _, m := range messages[topic.Job](s.t, s.received, topic.KindJob) {
		if p, ok := last[m.Job]; ok && (m.Seq <= p.Seq || m.Attempt < p.Attempt || m.Attempt == p.Attempt && m.Percent < p.Percent) {
			s.t.Errorf("progress went backwards: %+v after %+v", m, p)
		}
		last[m.Job] = m
	}
	if len(last) == 0 {
		s.t.Error("no progress over MQTT")
	}
}

type uploadView struct {
	Name   string
	Size   int64
	Offset int64
}

func (s *stage) uploads() []uploadView {
	var l struct{ Items []uploadView }
	if err := s.get("/api/v1/uploads", &l); err != nil {
		s.t.Logf("uploads: %v", err)
	}
	return l.Items
}

func TestEdgeKilledMidUploadResumesAtServerOffset(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.edgeMore = "uplink: {rate_limit: 200KB}\n"
	s.startAll()
	path, animals := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.eventually("an upload has started", time.Minute, func() bool {
		for _, f := range s.status().Footage {
			if f.Phase == "uploading" && f.Percent > 30 && f.Percent < 90 {
				return true
			}
		}
		return false
	})
	s.edge.Kill()
	var killedAt int64
	s.eventually("the server stores the bytes before the kill", time.Minute, func() bool {
		u := s.uploads()
		if len(u) == 1 && u[0].Offset > 0 && u[0].Offset < u[0].Size {
			killedAt = u[0].Offset
			return true
		}
		return false
	})
	s.startEdge()
	least := killedAt
	f := footageView{}
	s.eventually("the count", 2*time.Minute, func() bool {
		for _, u := range s.uploads() {
			if u.Offset < least {
				t.Fatalf("the offset went back from %d to %d", least, u.Offset)
			}
			least = u.Offset
		}
		for _, f = range s.footage() {
			if isCounted(f) {
				return true
			}
		}
		return false
	})
	if !isClose(f.Count.Unique, animals) {
		t.Errorf("count %+v, true %d", f.Count, animals)
	}
	s.awaitPhase("DJI_0001.MP4", "done", time.Minute)
	b := messages[topic.Status](t, s.received, topic.KindStatus)
	if last := b[len(b)-1]; !last.Online || last.Session < 2 {
		t.Errorf("last status %+v, want the second session's birth", last)
	}
}

func TestWorkerKilledMidJobGivesOneResult(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.startBroker()
	s.startAPI()
	s.subscribe()
	s.startEdge()
	path, animals := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.awaitFootage("DJI_0001.MP4", time.Minute, "is queued", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Queued })
	s.startWorker()
	s.awaitFootage("DJI_0001.MP4", time.Minute, "is being counted", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Processing })
	s.worker.Kill()
	s.startWorker()
	f := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	if f.Job.Attempt != 2 || !isClose(f.Count.Unique, animals) {
		t.Errorf("attempt %d, count %+v, true %d", f.Job.Attempt, f.Count, animals)
	}
	s.eventually("the count over MQTT", time.Minute, func() bool { return len(messages[topic.Count](t, s.received, topic.KindCount)) > 0 })
	if n := len(messages[topic.Count](t, s.received, topic.KindCount)); n != 1 {
		t.Errorf("%d counts over MQTT, want 1", n)
	}
	s.checkProgressOnlyGrows()
}

func TestBrokerAndCloudUnreachableForAWhile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.edgeMore = "uplink: {rate_limit: 300KB}\n"
	path, _ := clip(t)
	s.startEdge()
	s.copyToCard(path, "DJI_0001.MP4")
	s.eventually("the footage is spooled, and the agent reports why it waits", time.Minute, func() bool {
		f := s.status().Footage
		return len(f) == 1 && f[0].Waiting != ""
	})
	s.startAPI()
	s.startWorker()
	s.eventually("an upload has started", 2*time.Minute, func() bool { return len(s.uploads()) == 1 })
	s.api.Kill()
	s.startBroker()
	s.subscribe()
	s.startAPI()
	s.awaitFootage("DJI_0001.MP4", 3*time.Minute, "is counted", isCounted)
	s.eventually("the count over MQTT", 90*time.Second, func() bool { return len(messages[topic.Count](t, s.received, topic.KindCount)) > 0 })
	s.awaitPhase("DJI_0001.MP4", "done", time.Minute)
}

func TestRefusedTokenIsReported(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.token = "cc_this-token-does-not-exist"
	s.startBroker()
	s.startAPI()
	s.startEdge()
	path, _ := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.eventually("the agent reports that its token is refused", time.Minute, func() bool {
		for _, f := range s.status().Footage {
			if strings.Contains(f.Waiting, "token") {
				return true
			}
		}
		return false
	})
	if n := len(s.footage()); n != 0 {
		t.Errorf("%d pieces of footage in the cloud, want none", n)
	}
}

// TestFullDiskInTheCloud fills the disk of the blob store while footage is uploaded.
func TestFullDiskInTheCloud(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	blobs := s.path("cloud", "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	smalldisk.MountOver(t, blobs, "4m")
	defer s.stop() // before the disk is unmounted
	ballast := filepath.Join(blobs, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20+512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s.startAll()
	path, _ := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.eventually("the agent reports that the cloud is full", time.Minute, func() bool {
		for _, f := range s.status().Footage {
			if strings.Contains(f.Waiting, "full") {
				return true
			}
		}
		return false
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.awaitFootage("DJI_0001.MP4", 6*time.Minute, "is counted after space was freed", isCounted)
}

func TestAllInOneOnce(t *testing.T) {
	dir := t.TempDir()
	path, animals := clip(t)
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second run empties the data folder of the first
		cmd := exec.Command(filepath.Join(bin, "allinone"), "--bin", bin, "--data", filepath.Join(dir, "demo"), "--fresh", "--once",
			"--footage", abs, "--model", model(t))
		cmd.Env = append(cmd.Environ(), "ONNXRUNTIME_LIB="+library(t))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var unique int
		for line := range strings.Lines(string(out)) {
			if _, err := fmt.Sscanf(line, "COUNT %d animals", &unique); err == nil {
				break
			}
		}
		if !isClose(unique, animals) {
			t.Errorf("count %d, true %d\n%s", unique, animals, out)
		}
		if !bytes.Contains(out, []byte("page      http://127.0.0.1:")) {
			t.Errorf("the output has no link to the page:\n%s", out)
		}
	}
}
