// Package testserver helps tests that run an external server. All tests of a test program share one server, which
// starts at the first use and ends with the test program. No program imports this package.
package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// ErrNotInstalled: the server is not installed on this machine.
var ErrNotInstalled = errors.New("not installed: run deploy/setup/setup.sh test")

const (
	startTime  = 3 * time.Minute
	errorLines = 20 // of the server's output, in the error of AwaitReady
)

// SkipOrFail ends the test if err, the error of a server's start, is not nil. For ErrNotInstalled it skips the test,
// except in CI. For any other error it fails the test.
func SkipOrFail(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// Runner runs the tests of a test program and returns its exit code: a *testing.M, or a wrapper of one.
type Runner interface{ Run() int }

// Shared is one server for all tests of a test program. Start and End are required. Get is safe for concurrent use.
type Shared[S any] struct {
	Start func() (S, error)
	End   func(S) error

	once    sync.Once
	server  S
	err     error
	started bool
}

// Get returns the server, which the first call starts. An error of the start ends every test that calls Get, see
// SkipOrFail. With -short Get skips the test.
func (o *Shared[S]) Get(t testing.TB) S {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a server: skipped with -short")
	}
	o.once.Do(func() {
		o.server, o.err = o.Start()
		o.started = o.err == nil
	})
	SkipOrFail(t, o.err)
	return o.server
}

// Tests returns a Runner that runs m, and then ends the server if Get has started it.
func (o *Shared[S]) Tests(m Runner) Runner { return tests[S]{o, m} }

type tests[S any] struct {
	shared *Shared[S]
	m      Runner
}

func (t tests[S]) Run() int {
	code := t.m.Run()
	if t.shared.started {
		if err := t.shared.End(t.shared.server); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// AwaitReady reads the output of a server until ready returns true for a line. In the background it reads the rest, so
// that the server never blocks on its output. It returns an error when the output ends or three minutes pass before that.
func AwaitReady(name string, output io.Reader, ready func(line string) bool) error {
	result := make(chan error, 1)
	go func() {
		lines, last, waiting := bufio.NewScanner(output), []string{}, true
		for lines.Scan() {
			if waiting && ready(lines.Text()) {
				result <- nil
				waiting = false
			}
			if last = append(last, lines.Text()); len(last) > errorLines {
				last = last[1:]
			}
		}
		_, _ = io.Copy(io.Discard, output) // the scanner stops at a line that is too long
		if waiting {
			result <- fmt.Errorf("%s ended before it was ready: %s", name, strings.Join(last, "; "))
		}
	}()
	select {
	case err := <-result:
		return err
	case <-time.After(startTime):
		return fmt.Errorf("%s is not ready after %s", name, startTime)
	}
}
