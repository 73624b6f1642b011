// Package must ends a test or benchmark at an error that it does not expect.
package must

import (
	"errors"
	"testing"
)

// Do ends the test when err is not nil.
func Do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Get returns a value whose error ends the test: must.Get(os.ReadFile(path))(t).
func Get[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		Do(t, err)
		return v
	}
}

// FailWith ends the test unless err is of the class, as errors.Is sees it.
func FailWith(t testing.TB, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("got error %v, want %v", err, class)
	}
}
