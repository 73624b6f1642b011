package flightlog

import (
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// setTime reads a wall clock. UTC is preferred where a table has both.
func (t *table) setTime(f field, text string) {
	at, zoned, ok := parseTime(text)
	if !ok && t.elapsed < 0 && f.name != "" { // some tables count from their start in such a column
		if n := duration(text, f); n >= 0 && !strings.Contains(text, ":") {
			t.elapsed = n
		}
	}
	local := f.unit == "local" || strings.HasSuffix(f.name, "local")
	if !ok || !t.sample.Time.IsZero() && local {
		return
	}
	utc := zoned || f.unit == "utc" || f.unit == "gmt" || strings.Contains(f.name, "utc")
	t.sample.Time, t.local = at, !utc
}

// dayFirst are dates that do not start with the year: 5/17/2026 3:04:05 PM, 17.05.2026 15:04:05.
var dayFirst = regexp.MustCompile(`^(\d{1,2})([./-])(\d{1,2})[./-](\d{4})[ T,]+(.*)$`)

// compact are dates without signs between their numbers: 20260517 15:04:05:678, 20260517T150405.678Z.
var compact = regexp.MustCompile(`^(\d{4})(\d\d)(\d\d)[ T_-](\d\d):?(\d\d):?(\d\d)(.*)$`)

// parseTime reads a date with a time in the forms of such tables, or the seconds or milliseconds since 1970.
func parseTime(text string) (at time.Time, zoned, ok bool) {
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		switch {
		case v > 1e14 && v < 1e17:
			return time.UnixMicro(int64(v)).UTC(), true, true
		case v > 1e11 && v < 1e14:
			return time.UnixMilli(int64(v)).UTC(), true, true
		case v > 1e9 && v < 1e11:
			return time.UnixMilli(int64(v * 1000)).UTC(), true, true
		}
		return at, false, false
	}
	if m := dayFirst.FindStringSubmatch(text); m != nil {
		day, month := m[3], m[1] // of converters, which write as in the United States
		if n, _ := strconv.Atoi(m[1]); n > 12 || m[2] == "." {
			day, month = m[1], m[3]
		}
		text = m[4] + "-" + month + "-" + day + " " + m[5]
	}
	if m := compact.FindStringSubmatch(text); m != nil {
		text = m[1] + "-" + m[2] + "-" + m[3] + " " + m[4] + ":" + m[5] + ":" + m[6] + m[7]
	}
	m := dateTime.FindStringSubmatch(text)
	if m == nil {
		return at, false, false
	}
	r := record{sample: NewSample(0)}
	r.date(m)
	return r.sample.Time, r.zoned > 0, !r.sample.Time.IsZero()
}

var minutes = regexp.MustCompile(`^(?:(\d{1,3})[h:] ?)?(\d{1,3})[m:] ?(\d{1,2}(?:[.,]\d+)?)s?$`)

// duration reads the time since the start: a number with a unit, or 1:02:03.4, or 2m 3.4s. Below 0 it is none.
func duration(text string, f field) time.Duration {
	if m := minutes.FindStringSubmatch(text); m != nil {
		h, _ := strconv.Atoi(m[1])
		n, _ := strconv.Atoi(m[2])
		rest := time.Duration(number(m[3]) * float64(time.Second))
		return time.Duration(h)*time.Hour + time.Duration(n)*time.Minute + rest
	}
	unit := time.Second
	if strings.HasPrefix(f.unit, "ms") || strings.HasPrefix(f.unit, "milli") || strings.HasSuffix(f.name,
		"millisecond") ||
		strings.HasSuffix(f.name, "ms") {
		unit = time.Millisecond
	}
	if f.unit == "us" || strings.HasPrefix(f.unit, "micro") || strings.HasSuffix(f.name, "timeus") {
		unit = time.Microsecond
	}
	v := number(text) * float64(unit)
	if math.IsNaN(v) || v < 0 || v > float64(1000*time.Hour) {
		return -1
	}
	return time.Duration(v).Round(time.Microsecond)
}

// plainLines turns CR into LF and leaves out zeros, so that the reader of tables knows lines of every kind. CR LF
// becomes one LF and an empty line, which that reader skips without counting it: see lastCR.
type plainLines struct {
	in     io.Reader
	lastCR bool
}

func (p *plainLines) Read(b []byte) (int, error) {
	for {
		n, err := p.in.Read(b)
		kept := 0
		for _, c := range b[:n] {
			after := p.lastCR
			p.lastCR = c == '\r'
			if c == 0 || c == '\n' && after {
				continue
			}
			if c == '\r' {
				c = '\n'
			}
			b[kept] = c
			kept++
		}
		if kept > 0 || err != nil || len(b) == 0 {
			return kept, err
		}
	}
}
