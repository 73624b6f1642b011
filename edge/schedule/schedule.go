// Package schedule is the hours of the day in which the agent may use the link.
package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a board's system may lack the time zones
)

const (
	dayMinutes = 24 * 60
	maxWindows = 24
)

// Windows are hours of the day in one time zone. The zero value is always open.
type Windows struct {
	spans []span
	zone  *time.Location
}

// span is [from, to) in minutes of the day. It spans midnight when from > to.
type span struct{ from, to int }

// Zone returns the time zone with this name in the IANA database, or the device's
// own for "".
func Zone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a time zone such as Europe/Berlin", name)
	}
	return zone, nil
}

// Parse reads windows such as "22:00-06:00". The end is not part of the window and may
// be 24:00. Without any window the schedule is always open.
func Parse(texts []string, zone *time.Location) (Windows, error) {
	w := Windows{zone: zone}
	if len(texts) > maxWindows {
		return Windows{}, fmt.Errorf("%d windows, at most %d", len(texts), maxWindows)
	}
	var errs []error
	for _, text := range texts {
		s, err := parseSpan(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%.40q: %w", text, err))
			continue
		}
		w.spans = append(w.spans, s)
	}
	return w, errors.Join(errs...)
}

func parseSpan(text string) (span, error) {
	from, to, ok := strings.Cut(text, "-")
	a, err1 := parseTime(from)
	b, err2 := parseTime(to)
	switch {
	case !ok || err1 != nil || err2 != nil || a == dayMinutes:
		return span{}, errors.New("is not a window such as 22:00-06:00")
	case a == b:
		return span{}, errors.New("begins when it ends; to be always open, remove all windows")
	}
	return span{a, b}, nil
}

// parseTime reads HH:MM as minutes of the day, up to 24:00.
func parseTime(s string) (int, error) {
	s = strings.TrimSpace(s)
	h, m, _ := strings.Cut(s, ":")
	hours, err1 := strconv.ParseUint(h, 10, 8)
	minutes, err2 := strconv.ParseUint(m, 10, 8)
	at := int(hours)*60 + int(minutes)
	if len(s) != len("22:00") || err1 != nil || err2 != nil || minutes > 59 || at > dayMinutes {
		return 0, fmt.Errorf("%.10q is not a time of day", s)
	}
	return at, nil
}

// Always reports whether there are no windows.
func (w Windows) Always() bool { return len(w.spans) == 0 }

// Zone is the time zone of the windows.
func (w Windows) Zone() *time.Location {
	if w.zone == nil {
		return time.Local
	}
	return w.zone
}

// At reports whether a window is open at t, and when that changes: the zero time for
// never. On days with a change to or from summer time it may change earlier, so the
// caller must call At again from time to time.
func (w Windows) At(t time.Time) (open bool, change time.Time) {
	open = w.open(t)
	if w.Always() {
		return open, time.Time{}
	}
	for _, c := range w.bounds(t) {
		if c.After(t) && w.open(c) != open {
			return open, c
		}
	}
	return open, time.Time{}
}

func (w Windows) open(t time.Time) bool {
	if w.Always() {
		return true
	}
	h, m, _ := t.In(w.zone).Clock()
	at := h*60 + m
	return slices.ContainsFunc(w.spans, func(s span) bool {
		if s.from < s.to {
			return s.from <= at && at < s.to
		}
		return s.from <= at || at < s.to
	})
}

// bounds returns every beginning and end of today and the next two days in order. Two
// days are too few when the change to summer time skips a bound.
func (w Windows) bounds(t time.Time) []time.Time {
	y, m, d := t.In(w.zone).Date()
	var list []time.Time
	for day := range 3 {
		for _, s := range w.spans {
			list = append(list, time.Date(y, m, d+day, 0, s.from, 0, 0, w.zone), time.Date(y, m, d+day, 0, s.to, 0, 0, w.zone))
		}
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// Texts returns the windows in the form that Parse reads.
func (w Windows) Texts() []string {
	var list []string
	for _, s := range w.spans {
		list = append(list, fmt.Sprintf("%02d:%02d-%02d:%02d", s.from/60, s.from%60, s.to/60, s.to%60))
	}
	return list
}
