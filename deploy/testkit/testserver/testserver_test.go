package testserver

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAwaitReady(t *testing.T) {
	ready := func(line string) bool { return line == "ready" }
	if err := AwaitReady("server", strings.NewReader("starting\nready\nmore\n"), ready); err != nil {
		t.Error(err)
	}
	err := AwaitReady("server", strings.NewReader("starting\nno port is free\n"), ready)
	if want := "server ended before it was ready: starting; no port is free"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %s", err, want)
	}
	output, w := io.Pipe()
	result := make(chan error, 1)
	go func() { result <- AwaitReady("server", output, ready) }()
	// A write to the pipe returns when all of it has been read.
	for _, text := range []string{"ready\n", strings.Repeat("long", 20_000), "still the long line\n", "next line\n"} {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(<-result, w.Close()); err != nil {
		t.Error(err)
	}
}

type runs func() int

func (r runs) Run() int { return r() }

func TestSharedStartsAndEndsOnce(t *testing.T) {
	started, ended := 0, 0
	shared := Shared[string]{
		Start: func() (string, error) { started++; return "server", nil },
		End:   func(string) error { ended++; return nil },
	}
	if code := shared.Tests(runs(func() int { return 3 })).Run(); code != 3 || ended != 0 {
		t.Errorf("without Get: exit code %d, want 3; %d servers ended, want 0", code, ended)
	}
	code := shared.Tests(runs(func() int {
		first, second := shared.Get(t), shared.Get(t)
		if first != "server" || second != first || started != 1 {
			t.Errorf("Get returned %q and %q, started %d times; want server, started once", first, second, started)
		}
		return 0
	})).Run()
	if code != 0 || ended != 1 {
		t.Errorf("exit code %d, want 0; ended %d times, want once", code, ended)
	}
}
