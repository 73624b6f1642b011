// Package testserver has what tests share that start a server of somebody else's: there
// is one for all tests of a program, it is waited for, and it ends with the program. No
// program imports it.
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

// ErrNotInstalled says that the set-up of the tests did not run.
var ErrNotInstalled = errors.New("not installed: run deploy/setup/setup.sh test")

const (
	startTime = 60 * time.Second
	lastWords = 20 // lines
)

// Need ends a test for the error of a start: skipped for ErrNotInstalled except in CI.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
}

// Runner is a *testing.M, or what goes round one.
type Runner interface{ Run() int }

// One is the server of all tests of a program. Start and End are required.
type One[S any] struct {
	Start func() (S, error)
	End   func(S) error

	once   sync.Once
	server S
	err    error
	begun  bool
}

// Get starts the server for the first test that asks, see Need. With -short it skips the test.
func (o *One[S]) Get(t testing.TB) S {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a server: skipped with -short")
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

// Await reads what a server says until up says that a line means it is up, and in the
// background all that follows, so that the server never waits to say it.
func Await(name string, says io.Reader, up func(line string) bool) error {
	word := make(chan error, 1)
	go func() {
		lines, last, waits := bufio.NewScanner(says), []string{}, true
		for lines.Scan() {
			if waits && up(lines.Text()) {
				word <- nil
				waits = false
			}
			if last = append(last, lines.Text()); len(last) > lastWords {
				last = last[1:]
			}
		}
		_, _ = io.Copy(io.Discard, says) // behind a line that is too long
		if waits {
			word <- fmt.Errorf("%s ended: %s", name, strings.Join(last, "; "))
		}
	}()
	select {
	case err := <-word:
		return err
	case <-time.After(startTime):
		return fmt.Errorf("%s does not listen after %s", name, startTime)
	}
}
