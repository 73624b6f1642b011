package tus

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Level is how strongly the protocol says something.
type Level string

// Levels, as RFC 2119 has them.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
)

// Result is what became of a check.
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
	Detail  string `json:"detail,omitempty"` // what was found, or why it was skipped
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

// Count tells how many findings have each result.
func Count(fs []Finding) map[Result]int {
	n := map[Result]int{}
	for _, f := range fs {
		n[f.Result]++
	}
	return n
}

// WriteTable writes findings for people: what is not right comes with its detail.
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

// printable keeps what a server said from ruling the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// errSkip is the class of errors that end a check without a verdict.
var errSkip = errors.New("skipped")

func skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkip, fmt.Sprintf(format, args...))
}

// verdict turns the end of a check into its finding.
func verdict(c check, err error) Finding {
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
