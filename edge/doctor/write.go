package doctor

import (
	"fmt"
	"io"
	"strings"
)

// WriteFinding prints a finding for people: a line, and one more for what to do.
func WriteFinding(w io.Writer, f Finding) error {
	_, err := fmt.Fprintf(w, "%-4s  %-7s  %s\n", f.Level, f.Check, oneLine(f.Found))
	if err == nil && f.Do != "" {
		_, err = fmt.Fprintf(w, "      %-7s  -> %s\n", "", oneLine(f.Do))
	}
	return err
}

// oneLine makes foreign text fit for a terminal and a line.
func oneLine(s string) string {
	s = strings.ToValidUTF8(s, "?")
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 }), " ")
}
