// Package recycle starts the worker anew when its memory has grown. What Go uses goes
// back by itself; what the libraries below it take (decoder, ONNX Runtime, the C library's
// allocator) may only grow, over days, and nothing but a new process gives it back.
// It needs Linux's /proc.
package process

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"

	"cattlecounter/shared/settings"
)

// Guard says between jobs whether it is time to start anew. It is for one goroutine.
type Guard struct {
	limit settings.ByteSize
	log   *slog.Logger
	rss   func() (settings.ByteSize, error)
	off   bool
	seen  int // jobs at the last look, -1 before the first
}

// NewGuard returns a guard that wants the process to stay below limit; 0 allows all.
func NewGuard(limit settings.ByteSize, log *slog.Logger) *Guard {
	return &Guard{limit: limit, log: log, rss: RSS, off: limit <= 0, seen: -1}
}

// Due reports whether the memory is above the limit, after Go has given back what it can.
// jobs is how many this process has taken. A process that is above the limit before its
// first job would be so again after starting anew: that is said once, and Due is false
// from then on.
func (g *Guard) Due(jobs int) bool {
	if g.off || jobs == g.seen { // waiting for a job costs no memory
		return false
	}
	g.seen = jobs
	rss, err := g.rss()
	if err == nil && rss > g.limit {
		debug.FreeOSMemory()
		rss, err = g.rss()
	}
	switch {
	case err != nil:
		g.off = true
		g.log.Error("worker.max_memory does nothing: the memory in use cannot be read", "err", err)
	case rss <= g.limit:
	case jobs == 0:
		g.off = true
		g.log.Error("worker.max_memory does nothing: it is below what this worker needs before its first job; raise it",
			"memory", rss.Short(), "max_memory", g.limit.Short())
	default:
		g.log.Info("memory is above worker.max_memory: starting anew", "memory", rss.Short(), "max_memory", g.limit.Short(), "jobs", jobs, "pid", os.Getpid())
		return true
	}
	return false
}

// RSS is how much memory this process has in RAM.
func RSS() (settings.ByteSize, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return parse(b)
}

// parse finds the line "VmRSS:	  123456 kB" (proc_pid_status(5)).
func parse(status []byte) (settings.ByteSize, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, unit, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
			n, err := strconv.ParseInt(string(kb), 10, 64)
			if err != nil || n < 0 || string(unit) != "kB" {
				return 0, fmt.Errorf("VmRSS is %q", bytes.TrimSpace(rest))
			}
			return settings.ByteSize(n) << 10, nil
		}
	}
	return 0, fmt.Errorf("no VmRSS in %d bytes of status", len(status))
}

// Exec puts a new process of the same program, arguments and environment in the place of
// this one, with the same process number. It returns only with an error. Close
// everything before; a file that a library has left open is closed here.
func Exec() error {
	if err := closeOnExec(); err != nil {
		return fmt.Errorf("start anew: %w", err)
	}
	return fmt.Errorf("start anew: %w", syscall.Exec(program(), os.Args, os.Environ()))
}

const self = "/proc/self/exe"

// program is this one. Its path is better than self, after which the system would name
// the process "exe", but may belong to another file by now: an upgrade takes effect when
// an operator restarts the worker, not when its memory grows.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return self
	}
	there, err := os.Stat(path)
	if err != nil {
		return self
	}
	if mine, err := os.Stat(self); err != nil || !os.SameFile(mine, there) {
		return self
	}
	return path
}

// closeOnExec marks every file but the standard ones; Go has marked its own.
func closeOnExec() error {
	const dir = "/proc/self/fd"
	open, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range open {
		n, err := strconv.Atoi(filepath.Base(e.Name()))
		if err != nil {
			return err
		}
		if n > 2 {
			syscall.CloseOnExec(n) // the one that read dir is closed by now, which is fine
		}
	}
	return nil
}
