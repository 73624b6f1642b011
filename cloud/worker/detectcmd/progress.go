package detectcmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress shows how far the command is: one line that renews itself on a
// terminal, a line every few seconds elsewhere.
type progress struct {
	w        io.Writer
	total    int
	terminal bool
	start    time.Time
	last     time.Time
}

const (
	terminalPace = 200 * time.Millisecond
	logPace      = 5 * time.Second
)

func newProgress(w io.Writer, total int) *progress {
	f, ok := w.(*os.File)
	now := time.Now()
	return &progress{w: w, total: total, terminal: ok && term.IsTerminal(int(f.Fd())), start: now, last: now}
}

func (p *progress) step(done int) {
	now := time.Now()
	pace := logPace
	if p.terminal {
		pace = terminalPace
	}
	if now.Sub(p.last) < pace {
		return
	}
	p.last = now
	spent := now.Sub(p.start)
	left := time.Duration(float64(spent) / float64(done) * float64(p.total-done)).Round(time.Second)
	text := fmt.Sprintf("%d of %d pictures, %.2f a second, %v left", done, p.total, float64(done)/spent.Seconds(), left)
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.w, text)
}

func (p *progress) end(boxes int) {
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	spent := time.Since(p.start)
	fmt.Fprintf(p.w, "%d pictures, %d detections, %v\n", p.total, boxes, spent.Round(10*time.Millisecond))
}
