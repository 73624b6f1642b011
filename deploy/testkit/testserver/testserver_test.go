package testserver

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestAwait(t *testing.T) {
	up := func(line string) bool { return line == "ready" }
	if err := Await("it", strings.NewReader("starting\nready\nmore\n"), up); err != nil {
		t.Error(err)
	}
	if err := Await("it", strings.NewReader("starting\nno port is free\n"), up); err == nil || err.Error() != "it ended: starting; no port is free" {
		t.Error(err)
	}
	output, w := io.Pipe()
	waited := make(chan error, 1)
	go func() { waited <- Await("it", output, up) }()
	for _, line := range []string{"ready\n", strings.Repeat("long", 20_000), "more\n", "and more\n"} { // Await must read each write
		if _, err := w.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(<-waited, w.Close()); err != nil {
		t.Error(err)
	}
}

type runs func() int

func (r runs) Run() int { return r() }

func TestOne(t *testing.T) {
	started, ended := 0, 0
	one := One[string]{
		Start: func() (string, error) { started++; return "server", nil },
		End:   func(string) error { ended++; return nil },
	}
	if code := one.Tests(runs(func() int { return 3 })).Run(); code != 3 || ended != 0 {
		t.Errorf("exit code %d, and %d servers ended that no test started", code, ended)
	}
	code := one.Tests(runs(func() int {
		first, again := one.Get(t), one.Get(t)
		if first != "server" || again != first || started != 1 {
			t.Errorf("started %d times", started)
		}
		return 0
	})).Run()
	if code != 0 || ended != 1 {
		t.Errorf("code %d, ended %d times", code, ended)
	}
}
