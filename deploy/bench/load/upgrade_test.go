package load

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/must"
)

// TestUpgrade replaces the programs of an older version, UPGRADE_FROM, one by one while clips arrive: first each cloud,
// then each worker. The first new cloud changes the ledger, so both versions work side by side from then on. At the end
// every clip must be counted, and a program of the old version that starts must refuse the ledger and say why.
func TestUpgrade(t *testing.T) {
	from := os.Getenv("UPGRADE_FROM")
	if from == "" {
		t.Skip("UPGRADE_FROM names no version: run make upgrade FROM=TAG")
	}
	devices := names(setting(t, "LOAD_STATIONS", 20))
	s := newStage(t, options{clouds: setting(t, "LOAD_CLOUDS", 2), workers: setting(t, "LOAD_WORKERS", 2), devices: devices, from: from})
	published := listen(t, s.mqtt)
	all := startStations(t, s.mqtt, devices)
	all.wait(t, 2*time.Minute)
	var urls []string
	for i := range s.ports {
		urls = append(urls, s.url(i))
	}
	sending, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	clips := make([][]*clip, min(setting(t, "LOAD_UPLOADS", 6), len(devices)))
	for i := range clips {
		wg.Go(func() { clips[i] = s.sendUntil(sending, i, urls, all) })
	}
	const meanwhile = 3 * time.Second // in which clips are sent and counted between two steps
	s.wait(meanwhile)
	s.useNew()
	for i := range s.running {
		must.Do(t, s.running[i].Stop(time.Minute))
		s.running[i] = s.startCloud(i)
		t.Logf("cloud %d of %d is new", i+1, len(s.running))
		s.wait(meanwhile)
	}
	for i := range s.counting {
		must.Do(t, s.counting[i].Stop(time.Minute))
		s.counting[i] = s.startWorker(i)
		t.Logf("worker %d of %d is new", i+1, len(s.counting))
		s.wait(meanwhile)
	}
	end()
	wg.Wait()
	var sent []*clip
	for _, cs := range clips {
		sent = append(sent, cs...)
	}
	s.settle(3*time.Minute, sent)
	s.account(sent, published)
	t.Logf("from %s: %d clips were sent meanwhile", from, len(sent))
	all.stop()
	published.stop()
	s.oldIsRefused()
}

// oldIsRefused starts both programs of the old version, which must end with an error that says what to do.
func (s *stage) oldIsRefused() {
	s.tb.Helper()
	s.useOld()
	refused := map[string]*process.Child{
		"cloud": s.start("old-cloud", []string{"CATTLE_CLOUD_DATA=" + s.path("old-cloud"), "CATTLE_CLOUD_HTTP_LISTEN=127.0.0.1:0"},
			s.program, "serve", "--config", s.config),
		"worker": s.start("old-worker", []string{workerConfig + "=" + s.config, "CATTLE_CLOUD_DATA=" + s.path("old-worker")}, s.worker),
	}
	for name, c := range refused {
		select {
		case <-c.Done():
		case <-time.After(time.Minute):
			s.tb.Errorf("the old %s goes on with the new ledger", name)
			c.Kill()
			continue
		}
		if log := c.Tail(4000); c.Err() == nil || !strings.Contains(log, "use the newer program") {
			s.tb.Errorf("the old %s ended with %v and said:\n%s", name, c.Err(), log)
		}
	}
}

// addDevicesByProgram adds the devices with the old cloud-api, because this test would bring the ledger to its own version.
func (s *stage) addDevicesByProgram(devices []string) {
	s.tb.Helper()
	for _, d := range devices {
		add := exec.CommandContext(s.tb.Context(), s.program, "device", "add", d, "--site", site, "--config", s.config)
		add.Env = append(os.Environ(), "CATTLE_CLOUD_DATA="+s.path("tool"))
		out, err := add.Output()
		must.Do(s.tb, err)
		s.tokens[d] = strings.TrimSpace(string(out))
	}
}

// useOld builds the programs of the old version, unless that is done, and starts them from now on.
func (s *stage) useOld() {
	s.tb.Helper()
	s.program, s.worker = s.path("old/cloud-api"), s.path("old/worker.test")
	if _, err := os.Stat(s.worker); err == nil {
		return
	}
	source := s.path("old/source")
	must.Do(s.tb, os.MkdirAll(source, 0o750))
	archive := exec.CommandContext(s.tb.Context(), "git", "-C", "../../..", "archive", "--format=tar", s.from)
	var fault bytes.Buffer
	archive.Stderr = &fault
	tree, err := archive.Output()
	if err != nil {
		s.tb.Fatalf("UPGRADE_FROM=%s: %v: %s", s.from, err, fault.String())
	}
	unpack := exec.CommandContext(s.tb.Context(), "tar", "-x", "-C", source)
	unpack.Stdin = bytes.NewReader(tree)
	run(s.tb, unpack)
	for _, args := range [][]string{{"build", "-o", s.program, "./cloud/cmd/cloud-api"}, {"test", "-c", "-o", s.worker, "./deploy/bench/load"}} {
		build := exec.CommandContext(s.tb.Context(), "go", args...)
		build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
		run(s.tb, build)
	}
	must.Do(s.tb, os.RemoveAll(source))
}

// useNew starts the programs of this version from now on.
func (s *stage) useNew() {
	s.tb.Helper()
	var err error
	s.worker, err = os.Executable()
	must.Do(s.tb, err)
	s.program = s.path("cloud-api")
}

func run(tb testing.TB, c *exec.Cmd) {
	tb.Helper()
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	if out, err := c.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
}
