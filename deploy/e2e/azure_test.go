package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// Blobs and job messages are in Azure Storage. The API is killed in the middle of the upload, the worker in the middle of
// its job, and there is one count.
func TestFootageBecomesACountOnAzure(t *testing.T) {
	s := newStage(t, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: e2e, queue: e2e-jobs}\n", azurite.Get(t).ConnectionString().Reveal()))
	s.edgeMore = "uplink: {rate_limit: 300KB}\n"
	s.startBroker()
	s.startAPI()
	s.subscribe()
	s.startEdge()
	path, animals := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.killAPIMidUpload(s.startAPI)
	s.startWorker()
	s.awaitFootage("DJI_0001.MP4", time.Minute, "is being counted", func(f footageView) bool { return f.Job != nil && f.Job.State == job.Processing })
	s.worker.Kill()
	s.startWorker()
	f := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	if f.Job.Attempt != 2 || !isClose(f.Count.Unique, animals) {
		t.Errorf("attempt %d, count %+v, true %d", f.Job.Attempt, f.Count, animals)
	}
	s.awaitPhase("DJI_0001.MP4", "done", time.Minute)
	s.eventually("the count over MQTT", time.Minute, func() bool { return len(messages[topic.Count](t, s.received, topic.KindCount)) == 1 })
	var result struct {
		Count struct{ Unique int }
	}
	if err := s.get("/api/v1/footage/"+f.ID+"/result", &result); err != nil || result.Count.Unique != f.Count.Unique {
		t.Errorf("result %+v %v", result, err)
	}
	// The storage serves the result itself, by a link that expires.
	straight, err := http.Get(s.url("/api/v1/footage/" + f.ID + "/result?direct=1"))
	if err != nil {
		t.Fatal(err)
	}
	defer straight.Body.Close()
	result.Count.Unique = 0
	if err := json.NewDecoder(straight.Body).Decode(&result); err != nil || result.Count.Unique != f.Count.Unique {
		t.Errorf("through the direct link: %s %+v %v", straight.Status, result, err)
	}
	if to := straight.Request.URL; to.Host != azurite.Get(t).Blob || to.Query().Get("se") == "" || to.Query().Get("sp") != "r" {
		t.Errorf("the link is %s", to.Redacted())
	}
	if kept, err := filepath.Glob(s.path("cloud", "cache", "*")); err != nil || len(kept) != 1 || !strings.HasPrefix(filepath.Base(kept[0]), f.SHA256+"-") || filepath.Ext(kept[0]) == ".part" {
		t.Errorf("left in the cache: %v %v", kept, err)
	}
	if left, err := os.ReadDir(s.path("cloud", "blobs")); err == nil {
		t.Errorf("blobs on the disk, want none: %v", left)
	}
}

// killAPIMidUpload kills the API in the middle of the one upload, runs restart, and waits until the upload continues at
// its offset.
func (s *stage) killAPIMidUpload(restart func()) {
	s.t.Helper()
	s.eventually("an upload has started", time.Minute, func() bool {
		u := s.uploads()
		return len(u) == 1 && u[0].Offset > u[0].Size/4
	})
	before := s.uploads()[0].Offset
	s.api.Kill()
	restart()
	s.eventually("the upload continues at its offset", time.Minute, func() bool {
		u := s.uploads()
		if len(u) == 1 && u[0].Offset < before {
			s.t.Fatalf("the offset went back from %d to %d", before, u[0].Offset)
		}
		return len(s.footage()) == 1
	})
}
