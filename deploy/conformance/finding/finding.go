// Package finding is what the conformance kits found: one result for each statement of a protocol, as a table or as JSON.
package finding

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Level is how strictly the protocol demands something.
type Level string

// Levels, as defined by RFC 2119.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// Result is the outcome of a check.
type Result string

// Results. A departure from a MUST is Fail, from a SHOULD Warn.
const (
	Pass    Result = "pass"
	Fail    Result = "fail"
	Warn    Result = "warn"
	Skipped Result = "skipped"
)

// Finding is the result of one check.
type Finding struct {
	Name    string `json:"name"`
	Section string `json:"section"` // of the protocol
	Level   Level  `json:"level"`
	Result  Result `json:"result"`
	Detail  string `json:"detail,omitempty"` // what was found, or why the check was skipped
}

// Failed reports whether a MUST is broken.
func Failed(fs []Finding) bool {
	for _, f := range fs {
		if f.Result == Fail {
			return true
		}
	}
	return false
}

// Count returns how many findings have each result.
func Count(fs []Finding) map[Result]int {
	n := map[Result]int{}
	for _, f := range fs {
		n[f.Result]++
	}
	return n
}

// WriteTable writes a table of the findings and a line with the sums. Control characters of the server are removed.
func WriteTable(w io.Writer, fs []Finding) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RESULT\tLEVEL\tCHECK\tSECTION\tDETAIL")
	for _, f := range fs {
		fmt.Fprintln(t, strings.Join([]string{string(f.Result), string(f.Level), f.Name, f.Section, Printable(f.Detail)}, "\t"))
	}
	n := Count(fs)
	fmt.Fprintf(t, "%d passed, %d failed, %d warnings, %d skipped\n", n[Pass], n[Fail], n[Warn], n[Skipped])
	return t.Flush()
}

// Printable replaces control characters: a server must not control the terminal.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// ErrSkip is the class of errors that end a check without a result: it could not be tested.
var ErrSkip = errors.New("skipped")

// Skip returns an error of the class ErrSkip that says why a check could not be tested.
func Skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSkip, fmt.Sprintf(format, args...))
}

// Of turns the error of a check into its finding; nil passes.
func Of(name, section string, level Level, err error) Finding {
	f := Finding{Name: name, Section: section, Level: level, Result: Pass}
	switch {
	case err == nil:
		return f
	case errors.Is(err, ErrSkip):
		f.Result = Skipped
	case level == Must:
		f.Result = Fail
	default:
		f.Result = Warn
	}
	f.Detail = strings.TrimPrefix(err.Error(), ErrSkip.Error()+": ")
	return f
}
