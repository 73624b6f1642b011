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

// A ledger that is restored knows nothing of what came after its backup: the station
// compares its books, sends that again, and there is one count of it. Subscribers
// who drop what they have heard hear of it.
func TestLedgerIsRestored(t *testing.T) { restored(t) }

// With blobs and messages in Azure Storage those of what came after the backup are
// still there when it comes again.
func TestLedgerIsRestoredOnAzure(t *testing.T) {
	restored(t, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: restored, queue: restored-jobs}\n", azurite.Get(t).ConnectionString().Reveal()))
}

func restored(t *testing.T, more ...string) {
	s := newStage(t, more...)
	s.all()
	path, animals := clip(t)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.dropBytes(b, "DJI_0001.MP4")
	first := s.named("DJI_0001.MP4", 2*time.Minute, "is counted", counted)
	backup := s.path("backup.db")
	s.cloud(true, "ledger", "backup", backup)
	s.dropBytes(append(b, "\x00\x00\x00\x08free"...), "DJI_0002.MP4")
	s.named("DJI_0002.MP4", 2*time.Minute, "is counted", counted)
	s.phase("DJI_0002.MP4", "done", 20*time.Second)
	jobs := messages[topic.Job](t, s.heard, topic.KindJob)
	newest := jobs[len(jobs)-1].Seq

	s.cloud(false, "ledger", "restore", backup) // while it is in use
	if err := s.api.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	s.cloud(false, "ledger", "restore", backup) // the worker has it open
	if err := s.worker.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	s.cloud(true, "ledger", "restore", backup)
	s.startAPI()
	s.startWorker()
	if fs := s.footage(); len(fs) != 1 || fs[0].ID != first.ID || !counted(fs[0]) {
		t.Fatalf("after the restore: %+v", fs)
	}
	if err := s.edge.Stop(20 * time.Second); err != nil { // it compares at its start
		t.Fatal(err)
	}
	s.startEdge()
	f := s.named("DJI_0002.MP4", 2*time.Minute, "is counted again", counted)
	s.phase("DJI_0002.MP4", "done", 20*time.Second)
	if fs := s.footage(); len(fs) != 2 || !near(f.Count.Unique, animals) {
		t.Errorf("%+v", fs)
	}
	s.eventually("its new job is told with numbers above the old ones", 20*time.Second, func() bool {
		jobs := messages[topic.Job](t, s.heard, topic.KindJob)
		last := jobs[len(jobs)-1]
		return last.Job == f.Job.ID && last.Seq > newest
	})
	if old, err := filepath.Glob(s.path("cloud", "ledger.db.before-*")); err != nil || len(old) != 1 {
		t.Errorf("the ledger that was replaced: %v %v", old, err)
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

// cloud runs a command of cloud-api, which works or is refused.
func (s *stage) cloud(works bool, args ...string) {
	s.t.Helper()
	out, err := exec.Command(filepath.Join(bin, "cloud-api"), append(args, "--config", s.cloudcfg)...).CombinedOutput()
	if works != (err == nil) {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	s.t.Logf("%v: %s", args, out)
}
