// Package process starts programs as child processes, writes their output to log files, and stops them. On Linux a child
// never outlives its parent.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Child is one running program. Start creates it. Its methods are safe for concurrent use.
type Child struct {
	Name string
	Log  string // file to which both outputs are appended

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs a program in the background with env added to the environment. Its output goes to logDir/name.log, which is
// created or appended to.
func Start(name, logDir string, env []string, program string, args ...string) (*Child, error) {
	path := filepath.Join(logDir, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...) //nolint:noctx // it ends by Stop or Kill, or with this process
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = childAttr()
	c := &Child{Name: name, Log: path, cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel kills the child when the thread that forked it ends, so the thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// Done is closed when the program has ended. Err is valid from then on.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is nil when the program ended with exit code 0. Call it only after Done is closed.
func (c *Child) Err() error { return c.err }

// PID is the process identifier.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Memory reads a size from /proc/PID/status (Linux only), such as VmRSS or VmHWM, in bytes.
func (c *Child) Memory(field string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.PID()))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "\n"+field+":")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0, fmt.Errorf("%s of %s: %w", field, c.Name, err)
	}
	return kb << 10, nil
}

// CPU is the processor time of the program so far, in user and system mode, to 10 ms (Linux only).
func (c *Child) CPU() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.PID()))
	if err != nil {
		return 0, err
	}
	const tick = time.Second / 100 // USER_HZ on Linux
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("processor time of %s: unexpected line %q", c.Name, b)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err = errors.Join(err, err2); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", c.Name, err)
	}
	return time.Duration(user+system) * tick, nil
}

// Kill ends the program as a power cut does, and waits for its end.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// Signal sends a signal. It fails with os.ErrProcessDone when the program has ended.
func (c *Child) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// Stop sends SIGTERM and waits. A program that still runs after the limit is killed, which is an error.
func (c *Child) Stop(limit time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		return nil
	case <-time.After(limit):
		c.Kill()
		return fmt.Errorf("%s did not stop within %s and was killed; see %s", c.Name, limit, c.Log)
	}
}

// Tail returns at most n bytes of the end of the log, for error messages.
func (c *Child) Tail(n int64) string {
	f, err := os.Open(c.Log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		_, _ = f.Seek(-n, io.SeekEnd)
	}
	b, _ := io.ReadAll(io.LimitReader(f, n))
	return string(b)
}

// ErrEnded is the error of a program that ended before it was ready.
var ErrEnded = errors.New("ended before it was ready")

// WaitHTTP waits until url answers 200. It fails when the program ends or ctx ends; the error has the end of the log.
func (c *Child) WaitHTTP(ctx context.Context, url string) error {
	client := &http.Client{Timeout: 2 * time.Second}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s: %w: %w\n%s", c.Name, ErrEnded, c.err, c.Tail(4000))
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer at %s: %w\n%s", c.Name, url, context.Cause(ctx), c.Tail(4000))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// FreePort returns a free loopback port: the wanted one when it is free, else any. wanted 0 means any.
func FreePort(ctx context.Context, wanted int) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", wanted))
	if err != nil && wanted != 0 {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return 0, fmt.Errorf("no free port on 127.0.0.1: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
