// Package meter shows progress to a person: one line that renews itself on a
// terminal, a line every few seconds elsewhere.
package meter

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

const (
	terminalPace = 200 * time.Millisecond
	logPace      = 5 * time.Second
	barWidth     = 24
	clearLine    = "\r\x1b[K"
)

// Meter is one running job. It is used by one goroutine at a time.
type Meter struct {
	w        io.Writer
	name     string
	terminal bool
	began    time.Time
	told     time.Time
}

// New begins a meter that writes to w.
func New(w io.Writer, name string) *Meter {
	f, ok := w.(*os.File)
	now := time.Now()
	return &Meter{w: w, name: name, terminal: ok && term.IsTerminal(int(f.Fd())), began: now, told: now}
}

// Show tells that done of total units are done; total may be 0 when it is not
// known. extra goes to the end. Calls that come too often are dropped.
func (m *Meter) Show(done, total float64, unit, extra string) {
	now := time.Now()
	pace := logPace
	if m.terminal {
		pace = terminalPace
	}
	if now.Sub(m.told) < pace {
		return
	}
	m.told = now
	line := m.line(done, total, unit, extra, now.Sub(m.began))
	if m.terminal {
		fmt.Fprint(m.w, clearLine, line)
		return
	}
	fmt.Fprintln(m.w, line)
}

func (m *Meter) line(done, total float64, unit, extra string, spent time.Duration) string {
	rate := done / spent.Seconds()
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", m.name)
	if total > 0 {
		share := min(done/total, 1)
		full := int(share * barWidth)
		fmt.Fprintf(&b, "[%s%s] %3.0f %%  ", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*share)
	} else {
		fmt.Fprintf(&b, "%.0f %s  ", done, unit)
	}
	fmt.Fprintf(&b, "%.1f %s/s", rate, unit)
	if total > done && rate > 0 {
		fmt.Fprintf(&b, "  %s left", time.Duration((total-done)/rate*float64(time.Second)).Round(time.Second))
	}
	if extra != "" {
		fmt.Fprintf(&b, "  %s", extra)
	}
	return b.String()
}

// Clear removes the line from a terminal.
func (m *Meter) Clear() {
	if m.terminal {
		fmt.Fprint(m.w, clearLine)
	}
}
