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

// MemoryGuard decides between jobs whether the process has to restart. It belongs to one goroutine.
type MemoryGuard struct {
	limit   settings.ByteSize
	log     *slog.Logger
	rss     func() (settings.ByteSize, error)
	off     bool
	checked int // jobs at the last check, -1 before the first
}

// NewMemoryGuard returns a guard for a limit of memory in RAM; 0 is no limit.
func NewMemoryGuard(limit settings.ByteSize, log *slog.Logger) *MemoryGuard {
	return &MemoryGuard{limit: limit, log: log, rss: RSS, off: limit <= 0, checked: -1}
}

// RestartDue reports whether the memory is above the limit after Go has returned its unused memory. jobs is how many
// jobs this process has received. A process above the limit before its first job would be above it after a restart too:
// the guard logs this once and is off from then on.
func (g *MemoryGuard) RestartDue(jobs int) bool {
	if g.off || jobs == g.checked { // waiting for a job takes no memory
		return false
	}
	g.checked = jobs
	rss, err := g.rss()
	if err == nil && rss > g.limit {
		debug.FreeOSMemory()
		rss, err = g.rss()
	}
	switch {
	case err != nil:
		g.off = true
		g.log.Error("cannot read the memory in use; worker.max_memory is off", "err", err)
	case rss <= g.limit:
	case jobs == 0:
		g.off = true
		g.log.Error("memory is above worker.max_memory before the first job; worker.max_memory is off; raise it",
			"memory", rss.Short(), "max_memory", g.limit.Short())
	default:
		g.log.Info("memory is above worker.max_memory; restarting", "memory", rss.Short(), "max_memory",
			g.limit.Short(), "jobs", jobs, "pid", os.Getpid())
		return true
	}
	return false
}

// RSS returns the memory of this process in RAM. It needs Linux.
func RSS() (settings.ByteSize, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return parseRSS(b)
}

// parseRSS finds the line "VmRSS:	  123456 kB" (proc_pid_status(5)).
func parseRSS(status []byte) (settings.ByteSize, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kb, unit, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
			n, err := strconv.ParseInt(string(kb), 10, 64)
			if err != nil || n < 0 || string(unit) != "kB" {
				return 0, fmt.Errorf("VmRSS is %q, want a number of kB", bytes.TrimSpace(rest))
			}
			return settings.ByteSize(n) << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/self/status has no line VmRSS in %d bytes", len(status))
}

// Restart replaces this process by a new one of the same program, with the same arguments, environment and process ID.
// It returns only with an error. The caller closes everything first; Restart closes the files that a library left open.
// It needs Linux.
func Restart() error {
	if err := closeOnExec(); err != nil {
		return fmt.Errorf("restart the process: %w", err)
	}
	err := syscall.Exec(program(), os.Args, os.Environ()) //nolint:gosec // the program's own arguments
	return fmt.Errorf("restart the process: %w", err)
}

const self = "/proc/self/exe"

// program is the path of the running program. After an upgrade the path may name another file; then it is self: an
// upgrade takes effect when an operator restarts the worker, not when its memory grows. With self the system would name
// the process "exe", so the path has priority.
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

// closeOnExec marks every file but the standard ones. Go marks the files that it opens itself.
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
			syscall.CloseOnExec(n) // the descriptor that read dir is closed already; that is harmless
		}
	}
	return nil
}
