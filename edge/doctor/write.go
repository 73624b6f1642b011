package doctor

import (
	"fmt"
	"io"

	"cattlecounter/edge/uplink"
)

// WriteFinding prints a finding for people: one line, and a second one with what to do.
func WriteFinding(w io.Writer, f Finding) error {
	_, err := fmt.Fprintf(w, "%-4s  %-7s  %s\n", f.Level, f.Check, uplink.OneLine(f.Found))
	if err == nil && f.Do != "" {
		_, err = fmt.Fprintf(w, "      %-7s  -> %s\n", "", uplink.OneLine(f.Do))
	}
	return err
}
