package main

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

// meter shows progress to a person: one line that is redrawn on a terminal, a new line every few seconds elsewhere.
// It belongs to one goroutine at a time.
type meter struct {
	w        io.Writer
	name     string
	terminal bool
	began    time.Time
	shown    time.Time
}

// newMeter starts a meter that writes to w.
func newMeter(w io.Writer, name string) *meter {
	f, ok := w.(*os.File)
	now := time.Now()
	return &meter{w: w, name: name, terminal: ok && term.IsTerminal(int(f.Fd())), began: now, shown: now}
}

// show writes that done of total units are finished, and extra at the end of the line. total is 0 when it is unknown.
// A call soon after the last written line is ignored.
func (m *meter) show(done, total float64, unit, extra string) {
	now := time.Now()
	pace := logPace
	if m.terminal {
		pace = terminalPace
	}
	if now.Sub(m.shown) < pace {
		return
	}
	m.shown = now
	line := m.line(done, total, unit, extra, now.Sub(m.began))
	if m.terminal {
		fmt.Fprint(m.w, clearLine, line)
		return
	}
	fmt.Fprintln(m.w, line)
}

func (m *meter) line(done, total float64, unit, extra string, spent time.Duration) string {
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

// clear removes the line from a terminal.
func (m *meter) clear() {
	if m.terminal {
		fmt.Fprint(m.w, clearLine)
	}
}
