package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/local"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/status"
)

// asProgram makes the test binary behave as edge-agent, so that the race detector
// covers the program.
const asProgram = "EDGE_AGENT_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram)
		main()
	}
	os.Exit(m.Run())
}

const patience = 60 * time.Second

// station is the program on a card and a fake cloud.
type station struct {
	t      *testing.T
	card   string
	spool  string
	config string
	cloud  *fakecloud.Cloud
	log    *bytes.Buffer
	cmd    *exec.Cmd
	binary string // "": the test binary
}

func newStation(t *testing.T) *station {
	t.Helper()
	s := &station{t: t, cloud: fakecloud.New("cc_t"), card: t.TempDir(), log: new(bytes.Buffer)}
	srv := httptest.NewServer(s.cloud)
	t.Cleanup(srv.Close)
	dir, err := os.MkdirTemp("", "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.spool, s.config = filepath.Join(dir, "spool"), filepath.Join(dir, "edge.yaml")
	text := fmt.Sprintf("site: s\ndevice: d\ntoken: cc_t\ncloud: {url: %q}\nwatch: {folders: [%q], stable: 200ms, sidecar: 0s, poll: 50ms}\nspool: {dir: %q}\n",
		srv.URL, s.card, s.spool)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

// useRelease makes the station run the program as it is released, which starts much
// faster than the test binary.
func (s *station) useRelease() {
	s.t.Helper()
	s.binary = filepath.Join(s.t.TempDir(), "edge-agent")
	cmd := exec.CommandContext(s.t.Context(), "go", "build", "-trimpath", "-o", s.binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

func (s *station) start() {
	s.t.Helper()
	s.startLogging(s.log)
}

func (s *station) startLogging(log io.Writer) {
	s.t.Helper()
	s.cmd = exec.Command(cmp.Or(s.binary, os.Args[0]), "run", "--config", s.config)
	s.cmd.Env = append(os.Environ(), asProgram+"=1")
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *station) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *station) film(name string, size int) {
	s.t.Helper()
	b := make([]byte, size)
	_, _ = rand.Read(b)
	copy(b, "\x00\x00\x00\x20ftypisom")
	part := filepath.Join(s.card, name+".part") // the watcher leaves it alone
	if err := os.WriteFile(part, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(part, strings.TrimSuffix(part, ".part")); err != nil {
		s.t.Fatal(err)
	}
}

// until polls the program until its status satisfies ok.
func (s *station) until(what string, ok func(status.Status) bool) status.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := local.Status(ctx, s.spool)
		if err == nil && ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: not within the time limit; %+v %v", what, st.Footage, err)
		}
	}
}

func allSent(n int) func(status.Status) bool {
	return func(st status.Status) bool {
		for _, f := range st.Footage {
			if f.State != spool.Reclaimed {
				return false
			}
		}
		return len(st.Footage) == n
	}
}

func (s *station) received() int64 {
	s.cloud.Lock()
	defer s.cloud.Unlock()
	return s.cloud.Received
}

// After a kill in the middle of an upload, the program resumes at the server's offset.
func TestKilledMidUpload(t *testing.T) {
	s := newStation(t)
	const size = 40 << 20
	reached, release := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	s.cloud.Before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch && once.CompareAndSwap(false, true) {
			r.Body = &tap{body: r.Body, after: 13 << 20, reached: reached, release: release}
		}
		return false
	}
	s.film("a.mp4", size)
	s.start()
	<-reached
	s.kill()
	close(release)
	s.start()
	s.until("sent", allSent(1))
	// Only the bytes still in the closed connection may arrive twice.
	if got := s.received(); got < size || got > size+8<<20 {
		t.Errorf("%d bytes arrived for %d", got, size)
	}
}

// tap closes reached after so many bytes, and waits there for release.
type tap struct {
	body    io.Reader
	after   int
	reached chan struct{}
	release chan struct{}
	n       int
	closed  bool
}

func (tp *tap) Read(b []byte) (int, error) {
	n, err := tp.body.Read(b)
	tp.n += n
	if !tp.closed && tp.n >= tp.after {
		tp.closed = true
		close(tp.reached)
		<-tp.release
	}
	return n, err
}

func (tp *tap) Close() error { return nil }

// After repeated kills while it reads the card, the program has lost nothing, holds no
// half file and sends every file once.
func TestKilledMidIngest(t *testing.T) {
	s := newStation(t)
	const files, size = 4, 24 << 20
	for i := range files {
		s.film(fmt.Sprintf("f%d.mp4", i), size)
	}
	for i := range 8 {
		s.start()
		<-time.After(time.Duration(250+70*i) * time.Millisecond) // the fault, not a wait
		s.kill()
	}
	s.start()
	st := s.until("sent", allSent(files))
	s.cloud.Lock()
	defer s.cloud.Unlock()
	if len(s.cloud.Footage) != files {
		t.Errorf("%d pieces arrived", len(s.cloud.Footage))
	}
	for _, f := range st.Footage {
		if got := s.cloud.Footage[f.ID]; got == nil || got.SHA256 != f.SHA256 || got.Size != size {
			t.Errorf("%s: %+v", f.ID, got)
		}
	}
}

func TestTermStopsCleanly(t *testing.T) {
	s := newStation(t)
	s.start()
	s.until("up", func(status.Status) bool { return true })
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := s.cmd.Wait()
	s.cmd = nil
	if d := time.Since(began); err != nil || d > patience {
		t.Errorf("%v after %s", err, d)
	}
	if _, err := local.Status(t.Context(), s.spool); !errors.Is(err, local.ErrNotRunning) {
		t.Error(err)
	}
}

// program runs a short command and returns its exit code and output.
func program(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	s := newStation(t)
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("sight: north\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--help"}, exitOK, "Exit codes: 0 done; 1 failed; 2 wrong use"},
		{[]string{"version"}, exitOK, "edge-agent dev"},
		{[]string{"--version"}, exitOK, "edge-agent dev"},
		{[]string{"config", "check", "-c", s.config}, exitOK, "ok: s/d"},
		{[]string{"config", "check", "-c", bad}, exitUsage, "sight: unknown key"},
		{[]string{"config", "check", "-c", "/does/not/exist"}, exitUsage, "no such file"},
		{[]string{"run", "-c", bad}, exitUsage, "sight: unknown key"},
		{[]string{"status", "-c", s.config}, exitNotRunning, "the agent is not running"},
		{[]string{"ctl", "-c", s.config, "pause"}, exitNotRunning, "the agent is not running"},
		{[]string{"probe", "-c", s.config}, exitNotRunning, "the agent is not running"},
		{[]string{"ctl", "-c", s.config, "retry", "all"}, exitUsage, "is not KEY=VALUE"},
		{[]string{"fsck", "-c", s.config}, exitFailure, "the spool does not exist yet"},
		{[]string{"doctor", "-c", bad, "--ntp="}, exitFailure, "fail  config   " + bad},
		{[]string{"dance"}, exitUsage, "Try: edge-agent --help"},
		{nil, exitUsage, "Try: edge-agent --help"},
	} {
		code, out, errs := program(t, c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
	s.film("a.mp4", 1<<20)
	s.start()
	s.until("sent", allSent(1))
	if code, out, errs := program(t, "probe", "-c", s.config); code != 0 || out != "alive\n" {
		t.Errorf("probe: code %d, %q, %q", code, out, errs)
	}
	code, out, _ := program(t, "status", "-c", s.config, "--json")
	var st status.Status
	if err := json.Unmarshal([]byte(out), &st); code != 0 || err != nil || len(st.Footage) != 1 ||
		st.Totals[status.PhaseWaiting] != 1 {
		t.Errorf("%d %v %s", code, err, out)
	}
	if code, out, _ = program(t, "status", "-c", s.config); code != 0 || !strings.Contains(out, "a.mp4") ||
		!strings.Contains(out, "off (mqtt.url is empty)") {
		t.Errorf("%d %s", code, out)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"ctl", "-c", s.config, "pause"}, exitOK, "upload paused"},
		{[]string{"ctl", "-c", s.config, "resume"}, exitOK, "upload resumed"},
		{[]string{"ctl", "-c", s.config, "rescan"}, exitOK, "scanned now"},
		{[]string{"ctl", "-c", s.config, "fsck"}, exitOK, "the spool is whole"},
		{[]string{"ctl", "-c", s.config, "retry"}, exitFailure, "retry is refused: set the argument footage"},
		{[]string{"ctl", "-c", s.config, "dance"}, exitFailure, "unknown order"},
		{[]string{"fsck", "-c", s.config}, exitFailure, "edge-agent ctl fsck"},
	} {
		if code, out, errs := program(t, c.args...); code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%v: exit %d\n%s%s", c.args, code, out, errs)
		}
	}
	if code, _, errs := program(t, "run", "-c", s.config); code != exitFailure ||
		!strings.Contains(errs, "another edge-agent runs on it") {
		t.Errorf("a second agent: %d %s", code, errs)
	}
}

func TestFsckCommand(t *testing.T) {
	s := newStation(t)
	s.start()
	s.until("up", func(status.Status) bool { return true })
	s.kill()
	if code, out, errs := program(t, "fsck", "-c", s.config); code != exitOK || !strings.Contains(out, "result   whole") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if err := os.Remove(filepath.Join(s.spool, "store", "MANIFEST")); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := program(t, "fsck", "-c", s.config); code != exitFailure ||
		!strings.Contains(out, "MANIFEST is missing") || !strings.Contains(errs, "--repair") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, errs := program(t, "fsck", "-c", s.config, "--repair", "--json"); code != exitOK ||
		!strings.Contains(out, `"salvaged"`) {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, errs := program(t, "fsck", "-c", s.config); code != exitOK || !strings.Contains(out, "result   whole") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}

// The board has no C libraries, little memory and little disk.
func TestDependencies(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for prefix, why := range map[string]string{
		"runtime/cgo": "it must cross-compile", "gocv.io": "OpenCV is the worker's",
		"github.com/yalue/onnxruntime_go": "inference is the worker's",
		"github.com/gofiber":              "it has no web server", "github.com/Azure": "only the cloud uses cloud storage",
		"modernc.org/sqlite": "its records live in the spool", "cattlecounter/cloud": "edge and cloud meet in shared only",
		"github.com/mochi-mqtt": "the broker is the cloud's", "testing": "tests stay out of programs",
		"cattlecounter/deploy/testkit/fakecloud": "tests stay out of programs",
	} {
		for dep := range strings.FieldsSeq(string(out)) {
			if dep == prefix || strings.HasPrefix(dep, prefix+"/") || strings.HasPrefix(dep, prefix+".") {
				t.Errorf("edge-agent depends on %s: %s", dep, why)
			}
		}
	}
}
