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

// named waits until the API knows footage of that name and ok likes it.
func (s *stage) named(name string, limit time.Duration, what string, ok func(footageView) bool) (f footageView) {
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

func counted(f footageView) bool { return f.Count != nil && f.Job != nil && f.Job.State == job.Done }

// status is what the agent's command line says.
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

// phase waits until the agent says so of the file.
func (s *stage) phase(name, phase string, limit time.Duration) (reason string) {
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

func near(got, want int) bool { return math.Abs(float64(got-want)) <= 0.15*float64(want) }

func TestFootageBecomesACount(t *testing.T) {
	s := newStage(t)
	s.all()
	path, animals := clip(t)
	s.drop(path, "DJI_0001.MP4")
	f := s.named("DJI_0001.MP4", 2*time.Minute, "is counted", counted)
	if !near(f.Count.Unique, animals) || f.Count.Low > f.Count.Unique || f.Count.High < f.Count.Unique {
		t.Errorf("count %+v, true %d", f.Count, animals)
	}
	s.phase("DJI_0001.MP4", "done", 20*time.Second)

	s.eventually("the count over MQTT", 20*time.Second, func() bool { return len(messages[topic.Count](t, s.heard, topic.KindCount)) > 0 })
	if c := messages[topic.Count](t, s.heard, topic.KindCount)[0]; c.Unique != f.Count.Unique || string(c.Footage) != f.ID || c.V != topic.Version {
		t.Errorf("over MQTT %+v, in the API %+v", c, f)
	}
	// A state that lasted a moment may be skipped: the newest one wins.
	s.eventually("the agent's word that the footage is uploaded", 20*time.Second, func() bool {
		m := messages[topic.Footage](t, s.heard, topic.KindFootage)
		return len(m) > 1 && m[len(m)-1].State == topic.Uploaded
	})
	if b := messages[topic.Status](t, s.heard, topic.KindStatus); len(b) == 0 || !b[0].Online || b[0].Session < 1 {
		t.Errorf("birth %+v", b)
	}
	s.jobsOnlyGoForward()

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
		t.Errorf("the card's original is gone: %v", err)
	}

	t.Run("the same file again is not counted twice", func(t *testing.T) {
		s.drop(path, "DJI_0002.MP4")
		s.phase("DJI_0002.MP4", "duplicate", time.Minute)
		if n := len(s.footage()); n != 1 {
			t.Errorf("%d pieces of footage in the cloud, want 1", n)
		}
	})
	t.Run("bad files end with a reason", func(t *testing.T) {
		s.dropBytes([]byte(strings.Repeat("a letter, not a film. ", 200)), "LETTER.MP4")
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s.dropBytes(whole[:len(whole)/2], "CUT.MP4")
		s.dropBytes(nil, "EMPTY.MP4")
		if r := s.phase("LETTER.MP4", "quarantined", time.Minute); !strings.Contains(r, "not a video") {
			t.Errorf("reason %q", r)
		}
		if r := s.phase("EMPTY.MP4", "quarantined", time.Minute); !strings.Contains(r, "empty") {
			t.Errorf("reason %q", r)
		}
		cut := s.named("CUT.MP4", time.Minute, "has failed", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Failed })
		if cut.Job.Reason == "" || strings.Contains(cut.Job.Reason, s.dir) {
			t.Errorf("reason %q", cut.Job.Reason)
		}
		s.phase("CUT.MP4", "failed", 20*time.Second)
	})
}

// jobsOnlyGoForward holds what subscribers rely on.
func (s *stage) jobsOnlyGoForward() {
	s.t.Helper()
	last := map[string]topic.Job{}
	for _, m := range messages[topic.Job](s.t, s.heard, topic.KindJob) {
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

func TestEdgeKilledMidUploadGoesOnWhereTheServerStands(t *testing.T) {
	s := newStage(t)
	s.edgeMore = "uplink: {rate_limit: 200KB}\n"
	s.all()
	path, animals := clip(t)
	s.drop(path, "DJI_0001.MP4")
	s.eventually("an upload under way", time.Minute, func() bool {
		for _, f := range s.status().Footage {
			if f.Phase == "uploading" && f.Percent > 30 && f.Percent < 90 {
				return true
			}
		}
		return false
	})
	s.edge.Kill()
	var killedAt int64
	s.eventually("the server keeps what came before the cut", 20*time.Second, func() bool {
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
				t.Fatalf("the upload fell back from %d to %d", least, u.Offset)
			}
			least = u.Offset
		}
		for _, f = range s.footage() {
			if counted(f) {
				return true
			}
		}
		return false
	})
	if !near(f.Count.Unique, animals) {
		t.Errorf("count %+v, true %d", f.Count, animals)
	}
	s.phase("DJI_0001.MP4", "done", 20*time.Second)
	b := messages[topic.Status](t, s.heard, topic.KindStatus)
	if last := b[len(b)-1]; !last.Online || last.Session < 2 {
		t.Errorf("last status %+v, want the second session's birth", last)
	}
}

func TestWorkerKilledMidJobGivesOneResult(t *testing.T) {
	s := newStage(t)
	s.startBroker()
	s.startAPI()
	s.listen()
	s.startEdge()
	path, animals := clip(t)
	s.drop(path, "DJI_0001.MP4")
	s.named("DJI_0001.MP4", time.Minute, "is queued", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Queued })
	s.startWorker()
	s.named("DJI_0001.MP4", time.Minute, "is being counted", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Processing })
	s.worker.Kill()
	s.startWorker()
	f := s.named("DJI_0001.MP4", 2*time.Minute, "is counted", counted)
	if f.Job.Attempt != 2 || !near(f.Count.Unique, animals) {
		t.Errorf("attempt %d, count %+v, true %d", f.Job.Attempt, f.Count, animals)
	}
	s.eventually("the count over MQTT", 20*time.Second, func() bool { return len(messages[topic.Count](t, s.heard, topic.KindCount)) > 0 })
	if n := len(messages[topic.Count](t, s.heard, topic.KindCount)); n != 1 {
		t.Errorf("%d counts over MQTT, want 1", n)
	}
	s.jobsOnlyGoForward()
}

func TestBrokerAndCloudAwayAtStartAndInTheMiddle(t *testing.T) {
	s := newStage(t)
	s.edgeMore = "uplink: {rate_limit: 300KB}\n"
	path, _ := clip(t)
	s.startEdge()
	s.drop(path, "DJI_0001.MP4")
	s.eventually("the agent has spooled it and says what it waits for", time.Minute, func() bool {
		f := s.status().Footage
		return len(f) == 1 && f[0].Waiting != ""
	})
	s.startAPI()
	s.startWorker()
	s.eventually("an upload under way", 2*time.Minute, func() bool { return len(s.uploads()) == 1 })
	s.api.Kill()
	s.startBroker()
	s.listen()
	s.startAPI()
	s.named("DJI_0001.MP4", 3*time.Minute, "is counted", counted)
	s.eventually("the count over MQTT", 90*time.Second, func() bool { return len(messages[topic.Count](t, s.heard, topic.KindCount)) > 0 })
	s.phase("DJI_0001.MP4", "done", 30*time.Second)
}

func TestUnknownTokenIsSaidSo(t *testing.T) {
	s := newStage(t)
	s.token = "cc_this-token-nobody-made"
	s.startBroker()
	s.startAPI()
	s.startEdge()
	path, _ := clip(t)
	s.drop(path, "DJI_0001.MP4")
	s.eventually("the agent says that its token is refused", time.Minute, func() bool {
		for _, f := range s.status().Footage {
			if strings.Contains(f.Waiting, "token") {
				return true
			}
		}
		return false
	})
	if n := len(s.footage()); n != 0 {
		t.Errorf("%d pieces of footage came in", n)
	}
}

// TestFullDiskInTheCloud fills the blob store's disk while footage comes in.
func TestFullDiskInTheCloud(t *testing.T) {
	s := newStage(t)
	blobs := s.path("cloud", "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	smalldisk.Over(t, blobs, "4m")
	defer s.stop() // before the disk goes
	ballast := filepath.Join(blobs, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 3<<20+512<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	s.all()
	path, _ := clip(t)
	s.drop(path, "DJI_0001.MP4")
	s.eventually("the agent says that the cloud is full", time.Minute, func() bool {
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
	s.named("DJI_0001.MP4", 6*time.Minute, "is counted once there is space", counted)
}

func TestAllInOneOnce(t *testing.T) {
	dir := t.TempDir()
	path, animals := clip(t)
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // safe to run twice
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
		if !near(unique, animals) {
			t.Errorf("count %d, true %d\n%s", unique, animals, out)
		}
		if !bytes.Contains(out, []byte("page      http://127.0.0.1:")) {
			t.Errorf("no link to the page:\n%s", out)
		}
	}
}
