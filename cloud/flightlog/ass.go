package flightlog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Subtitles in the form of Advanced SubStation Alpha, as drones of Autel write them beside their videos. The
// columns of an event are named by a line Format (ASS specification, section "[Events]"); the text is that of a cue
// of a .SRT.
var (
	assTime  = regexp.MustCompile(`^(\d{1,2}):(\d{1,2}):(\d{1,2})[.,:](\d{1,6})$`)
	assBreak = regexp.MustCompile(`\\[Nn]`)
)

// isASS reports whether a text is one of subtitles in that form.
func isASS(start []byte) bool {
	text := bytes.TrimLeft(start, "\x00 \t\r\n")
	return bytes.HasPrefix(bytes.ToLower(text[:min(len(text), 16)]), []byte("[script info]")) ||
		bytes.Contains(start, []byte("\nDialogue:")) || bytes.HasPrefix(text, []byte("Dialogue:"))
}

// readASS reads them, as ReadSRT does.
func readASS(r io.Reader) (*Log, error) {
	p := newSubtitles()
	columns, start, text := 10, 1, 9 // what Format usually says
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 4096), longestLine)
	s.Split(p.split)
	for s.Scan() {
		line := strings.TrimSpace(strings.ReplaceAll(s.Text(), "\x00", ""))
		if p.first == "" && line != "" {
			p.first, p.firstAt = line, p.number
		}
		name, rest, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "format":
			names := strings.Split(strings.ToLower(rest), ",")
			if n, a, b := len(names), column(names, "start"), column(names, "text"); a >= 0 && b == n-1 {
				columns, start, text = n, a, b
			}
		case "dialogue":
			v := strings.SplitN(rest, ",", columns)
			if len(v) != columns {
				p.fault(p.number, p.sample.Offset, "an event of %d columns, want %d", len(v), columns)
				continue
			}
			m := assTime.FindStringSubmatch(strings.TrimSpace(v[start]))
			if m == nil {
				p.fault(p.number, p.sample.Offset, "%.20q is no time", v[start])
				continue
			}
			p.cue(clock(m))
			for _, part := range assBreak.Split(v[text], -1) {
				p.words(strings.TrimSpace(part))
			}
		}
	}
	p.end()
	if err := s.Err(); err != nil && p.l.Records == 0 {
		return nil, fmt.Errorf("flight log: %w", err)
	} else if err != nil {
		p.fault(p.number, p.sample.Offset, "it ends early: %v", err)
	}
	l, err := p.finish()
	if err == nil {
		l.Dialect = strings.Replace(l.Dialect, "-srt", "-ass", 1)
	}
	return l, err
}

func column(names []string, want string) int {
	for i, n := range names {
		if strings.TrimSpace(n) == want {
			return i
		}
	}
	return -1
}
