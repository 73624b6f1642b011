package tus

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
		fmt.Fprintln(t, strings.Join([]string{string(f.Result), string(f.Level), f.Name, f.Section, printable(f.Detail)}, "\t"))
	}
	n := Count(fs)
	fmt.Fprintf(t, "%d passed, %d failed, %d warnings, %d skipped\n", n[Pass], n[Fail], n[Warn], n[Skipped])
	return t.Flush()
}

// printable replaces control characters: a server must not control the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// errSkip is the class of errors that end a check without a result.
var errSkip = errors.New("skipped")

func skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkip, fmt.Sprintf(format, args...))
}

// newFinding turns the error of a check into its finding.
func newFinding(c check, err error) Finding {
	f := Finding{Name: c.name, Section: c.section, Level: c.level, Result: Pass}
	switch {
	case err == nil:
		return f
	case errors.Is(err, errSkip):
		f.Result = Skipped
	case c.level == Must:
		f.Result = Fail
	default:
		f.Result = Warn
	}
	f.Detail = strings.TrimPrefix(err.Error(), errSkip.Error()+": ")
	return f
}
