package must

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"testing"
)

// probe is a testing.TB that records whether the test ended.
type probe struct {
	testing.TB
	ended bool
}

func (p *probe) Helper() {}

func (p *probe) Fatal(...any) {
	p.ended = true
	runtime.Goexit()
}

func (p *probe) Fatalf(string, ...any) { p.Fatal() }

// ends reports whether f ends its test.
func ends(f func(testing.TB)) bool {
	p := &probe{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(p)
	}()
	<-done
	return p.ended
}

func TestErrorsEndTheTest(t *testing.T) {
	broken, class := errors.New("broken"), fs.ErrNotExist
	for name, c := range map[string]struct {
		run  func(testing.TB)
		want bool
	}{
		"Do without error":        {func(t testing.TB) { Do(t, nil) }, false},
		"Do with error":           {func(t testing.TB) { Do(t, broken) }, true},
		"Get without error":       {func(t testing.TB) { Get(1, nil)(t) }, false},
		"Get with error":          {func(t testing.TB) { Get(1, broken)(t) }, true},
		"FailWith the class":      {func(t testing.TB) { FailWith(t, fmt.Errorf("file: %w", class), class) }, false},
		"FailWith another class":  {func(t testing.TB) { FailWith(t, broken, class) }, true},
		"FailWith without errors": {func(t testing.TB) { FailWith(t, nil, class) }, true},
	} {
		if got := ends(c.run); got != c.want {
			t.Errorf("%s: the test ended: %t, want %t", name, got, c.want)
		}
	}
	if v := Get("value", nil)(t); v != "value" {
		t.Errorf("Get returned %q", v)
	}
}
