// Package process starts the project's programs as child processes, keeps
// their logs, and ends them. A child never outlives its parent.
package process

import (
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
	"strings"
	"syscall"
	"time"
)

// Child is one running program. Make it with Start.
type Child struct {
	Name string
	Log  string // file that takes both outputs, appended to

	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start runs a program in the background. Its output goes to logDir/name.log.
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
		// The kernel ties "die with the parent" to the thread that forked.
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

// Done is closed when the program has ended; Err is valid then.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is how the program ended: nil for exit code 0. Only after Done.
func (c *Child) Err() error { return c.err }

// PID is the process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Memory is a size in bytes out of /proc/PID/status (Linux), such as VmRSS or VmHWM.
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

// Kill ends the program as a power cut would, and waits.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// Signal sends a signal; a program that has ended takes none.
func (c *Child) Signal(s os.Signal) error { return c.cmd.Process.Signal(s) }

// Stop asks the program to end and kills it when it has not within the limit.
func (c *Child) Stop(limit time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		return nil
	case <-time.After(limit):
		c.Kill()
		return fmt.Errorf("%s did not stop within %s and was killed, see %s", c.Name, limit, c.Log)
	}
}

// Tail is the end of the program's log, for error messages.
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

// ErrEnded says that a program ended before it was ready.
var ErrEnded = errors.New("ended before it was ready")

// WaitHTTP waits until url answers 200.
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
			return fmt.Errorf("%s: no answer at %s: %w\n%s", c.Name, url, context.Cause(ctx), c.Tail(4000))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// FreePort returns a loopback port that is free now: the wanted one when it is
// (0 for any).
func FreePort(ctx context.Context, wanted int) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", wanted))
	if err != nil && wanted != 0 {
		l, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
