package process

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cattlecounter/shared/settings"
)

func TestMain(m *testing.M) {
	switch os.Getenv("RESTART_TEST") {
	case "first":
		os.Setenv("RESTART_TEST", "second")
		if _, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0); err != nil { // as a library opens it, without close-on-exec
			panic(err)
		}
		panic(Restart())
	case "second":
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			panic(err)
		}
		comm, err := os.ReadFile("/proc/self/comm")
		if err != nil {
			panic(err)
		}
		var files []string
		for _, e := range open {
			to, _ := os.Readlink("/proc/self/fd/" + e.Name())
			files = append(files, to)
		}
		os.Stdout.WriteString(strings.Join(append([]string{strings.TrimSpace(string(comm)), os.Args[1]}, files...), "\n"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestRestart checks that the new process has the ID, name and arguments of the old one, and none of its files.
func TestRestart(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "an argument")
	if path, err := os.Executable(); err == nil {
		cmd.Path = path
	}
	cmd.Env = append(os.Environ(), "RESTART_TEST=first")
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, fault.String())
	}
	lines := strings.Split(out.String(), "\n")
	const longest = 15 // bytes of a process name on Linux
	name := filepath.Base(cmd.Path)
	if lines[0] != name[:min(longest, len(name))] || lines[1] != "an argument" {
		t.Errorf("%q", lines)
	}
	if n := strings.Count(out.String(), os.DevNull); n != 1 { // standard input
		t.Errorf("%d times %s is open: %q", n, os.DevNull, lines)
	}
}

func TestMemoryGuard(t *testing.T) {
	const limit = 100
	noProc := errors.New("no /proc")
	for name, c := range map[string]struct {
		limit settings.ByteSize
		rss   []settings.ByteSize // before job 0, 1, …
		err   error
		due   int // the number of jobs at which a restart is due, -1 for never
		log   string
		times int
	}{
		"off":                  {0, []settings.ByteSize{500, 500}, nil, -1, "", 0},
		"below":                {limit, []settings.ByteSize{50, 100, 99}, nil, -1, "", 0},
		"grows":                {limit, []settings.ByteSize{50, 60, 101}, nil, 2, "restarting", 1},
		"above from the start": {limit, []settings.ByteSize{101, 200, 300}, nil, -1, "raise it", 1},
		"cannot be read":       {limit, []settings.ByteSize{0, 0}, noProc, -1, "no /proc", 1},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			g := NewMemoryGuard(c.limit, slog.New(slog.NewTextHandler(&log, nil)))
			due := -1
			for jobs, rss := range c.rss {
				g.rss = func() (settings.ByteSize, error) { return rss, c.err }
				for range 3 { // as the worker asks while the queue is empty
					if g.RestartDue(jobs) && due < 0 {
						due = jobs
					}
				}
			}
			if due != c.due || strings.Count(log.String(), "\n") != c.times || !strings.Contains(log.String(), c.log) {
				t.Errorf("due at %d, want %d; log:\n%s", due, c.due, log.String())
			}
		})
	}
}

func TestRSS(t *testing.T) {
	n, err := RSS()
	if err != nil || n < 1<<20 {
		t.Errorf("%v %v", n, err)
	}
	for _, text := range []string{"", "VmRSS:\n", "VmRSS: many kB\n", "VmRSS: 12 MB\n", "VmRSS: -1 kB\n"} {
		if n, err := parseRSS([]byte(text)); err == nil {
			t.Errorf("%q is %v", text, n)
		}
	}
	if n, err := parseRSS([]byte("Name:\tworker\nVmRSS:\t    2048 kB\nThreads:\t1\n")); err != nil || n != 2<<20 {
		t.Errorf("%v %v", n, err)
	}
}
