// Package clock collects what others say about the time: a GNSS receiver
// (gpsd), time servers (NTP) and the Date header of the cloud's answers. All of
// it is a hint. A hint never sets the system's clock and never makes it count as
// synced; it says how wrong the clock seems, explains why a certificate does not
// hold, and, where it comes from GNSS, bounds from below what time it can be.
//
// Nothing in this package trusts a source: each may be wrong or lie. Times before
// the program was built are no times, lines and packets are bounded, and sources
// that contradict each other are told, not averaged.
package clock

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Source is a kind of source.
type Source string

// Sources, the best first. GNSS comes first because it needs no network and
// nobody in between; NTP takes its own way into account; a Date has whole seconds
// and is what the last proxy wrote.
const (
	GNSS Source = "gnss"
	NTP  Source = "ntp"
	Date Source = "date"
)

var sources = []Source{GNSS, NTP, Date}

// Hint is what one source said at one moment.
type Hint struct {
	Source      Source
	From        string        // who said it, in words for people
	Time        time.Time     // what time it was, UTC
	Uncertainty time.Duration // Time is right within it, unless the source is wrong
	// At is when it was said, with the reading of the monotonic clock: jumps of the
	// wall clock since then change nothing.
	At time.Time
}

// ErrImplausible marks a time that cannot be: before this program was built, or
// a century after.
var ErrImplausible = errors.New("cannot be the time")

// newHint checks what a source said.
func newHint(s Source, from string, t time.Time, within time.Duration, at time.Time) (Hint, error) {
	if !plausible(t) {
		return Hint{}, fmt.Errorf("%s says %s: %w", from, stamp(t), ErrImplausible)
	}
	return Hint{Source: s, From: from, Time: t.UTC(), Uncertainty: within, At: at}, nil
}

func plausible(t time.Time) bool {
	return !t.Before(Built()) && t.Before(Built().AddDate(100, 0, 0))
}

// stamp prints a time in a form for people.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// earliest is for programs that were built without their history.
var earliest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// committed is the time of the newest commit, set by the linker where a program
// is made to be shipped: not every build knows its history.
var committed string

// Built is a time that is certainly over: the day before the newest commit in
// this program.
var Built = sync.OnceValue(func() time.Time {
	if committed != "" {
		return builtFrom(committed)
	}
	info, _ := debug.ReadBuildInfo()
	return builtFrom(commitOf(info))
})

// commitOf is the time of the commit that a program was built from, "" when it
// does not know. info may be nil.
func commitOf(info *debug.BuildInfo) string {
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				return s.Value
			}
		}
	}
	return ""
}

// builtFrom takes a day off, for who committed may have had a clock that was
// somewhat ahead.
func builtFrom(commit string) time.Time {
	t, err := time.Parse(time.RFC3339, commit)
	if t = t.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1); err != nil || t.Before(earliest) {
		return earliest
	}
	return t
}
