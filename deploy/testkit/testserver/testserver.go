// Package testserver starts servers of other projects for tests: one for all tests of a
// test program. It waits until the server is ready, and the server ends with the program.
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

// ErrNotInstalled means that the set-up of the tests did not run.
var ErrNotInstalled = errors.New("not installed: run deploy/setup/setup.sh test")

const (
	startTime = 60 * time.Second
	lastLines = 20 // lines
)

// Need ends a test when the start of its server failed. Outside of CI, ErrNotInstalled
// only skips the test.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// Runner is a *testing.M or wraps one.
type Runner interface{ Run() int }

// One is the server that all tests of a program share. Start and End are required.
type One[S any] struct {
	Start func() (S, error)
	End   func(S) error

	once   sync.Once
	server S
	err    error
	begun  bool
}

// Get returns the server and starts it at the first call. See Need for errors. With -short
// it skips the test.
func (o *One[S]) Get(t testing.TB) S {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped with -short: starts a server")
	}
	o.once.Do(func() {
		o.server, o.err = o.Start()
		o.begun = o.err == nil
	})
	Need(t, o.err)
	return o.server
}

// Tests runs m and ends the server.
func (o *One[S]) Tests(m Runner) Runner { return tests[S]{o, m} }

type tests[S any] struct {
	one *One[S]
	m   Runner
}

func (t tests[S]) Run() int {
	code := t.m.Run()
	if t.one.begun {
		if err := t.one.End(t.one.server); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	return code
}

// Await reads the output of a server until up reports that a line means that the server is
// ready. A goroutine reads the rest, so that the server never blocks on its output; it
// ends with the output.
func Await(name string, output io.Reader, up func(line string) bool) error {
	ready := make(chan error, 1)
	go func() {
		lines, last, waits := bufio.NewScanner(output), []string{}, true
		for lines.Scan() {
			if waits && up(lines.Text()) {
				ready <- nil
				waits = false
			}
			if last = append(last, lines.Text()); len(last) > lastLines {
				last = last[1:]
			}
		}
		_, _ = io.Copy(io.Discard, output) // after a line that is too long for the scanner
		if waits {
			ready <- fmt.Errorf("%s ended: %s", name, strings.Join(last, "; "))
		}
	}()
	select {
	case err := <-ready:
		return err
	case <-time.After(startTime):
		return fmt.Errorf("%s is not ready after %s", name, startTime)
	}
}
