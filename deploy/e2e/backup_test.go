package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/shared/topic"
)

// A restored ledger lacks what came after its backup. The station compares its spool with the cloud and sends that footage
// again; there is one count of it. Its messages have higher numbers than the old ones, so that subscribers accept them.
func TestLedgerIsRestored(t *testing.T) {
	t.Parallel()
	testRestore(t)
}

// In Azure Storage the blobs and messages from after the backup still exist when the footage is sent again.
func TestLedgerIsRestoredOnAzure(t *testing.T) {
	t.Parallel()
	testRestore(t, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: restored, queue: restored-jobs}\n", azurite.Get(t).ConnectionString().Reveal()))
}

func testRestore(t *testing.T, more ...string) {
	s := newStage(t, more...)
	s.startAll()
	path, animals := clip(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.writeToCard(b, "DJI_0001.MP4")
	first := s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	backup := s.path("backup.db")
	s.cloudAPI(true, "ledger", "backup", backup)
	s.writeToCard(append(b, "\x00\x00\x00\x08free"...), "DJI_0002.MP4")
	s.awaitFootage("DJI_0002.MP4", 2*time.Minute, "is counted", isCounted)
	s.awaitPhase("DJI_0002.MP4", "done", time.Minute)
	jobs := messages[topic.Job](t, s.received, topic.KindJob)
	newest := jobs[len(jobs)-1].Seq

	s.cloudAPI(false, "ledger", "restore", backup) // refused: the API has it open
	if err := s.api.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	s.cloudAPI(false, "ledger", "restore", backup) // refused: the worker has it open
	if err := s.worker.Stop(time.Minute); err != nil {
		t.Fatal(err)
	}
	s.cloudAPI(true, "ledger", "restore", backup)
	s.startAPI()
	s.startWorker()
	if fs := s.footage(); len(fs) != 1 || fs[0].ID != first.ID || !isCounted(fs[0]) {
		t.Fatalf("after the restore: %+v", fs)
	}
	if err := s.edge.Stop(time.Minute); err != nil { // the agent compares at its start
		t.Fatal(err)
	}
	s.startEdge()
	f := s.awaitFootage("DJI_0002.MP4", 2*time.Minute, "is counted again", isCounted)
	s.awaitPhase("DJI_0002.MP4", "done", time.Minute)
	if fs := s.footage(); len(fs) != 2 || !isClose(f.Count.Unique, animals) {
		t.Errorf("%+v", fs)
	}
	s.eventually("the new job is published with numbers above the old ones", time.Minute, func() bool {
		jobs := messages[topic.Job](t, s.received, topic.KindJob)
		last := jobs[len(jobs)-1]
		return last.Job == f.Job.ID && last.Seq > newest
	})
	if old, err := filepath.Glob(s.path("cloud", "ledger.db.before-*")); err != nil || len(old) != 1 {
		t.Errorf("the previous ledger: %v %v", old, err)
	}
	l, err := ledger.Open(t.Context(), s.path("cloud", "ledger.db"), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n, err := l.Totals.Stats(t.Context()); err != nil || n.Counts != 2 {
		t.Errorf("%+v %v", n, err)
	}
}

// cloudAPI runs a command of cloud-api, which must succeed when works is true and fail when it is false.
func (s *stage) cloudAPI(works bool, args ...string) {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(bin, "cloud-api"), append(args, "--config", s.cloudcfg)...).CombinedOutput()
	if works != (err == nil) {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	s.t.Logf("%v: %s", args, out)
}
