// Package clock collects hints of the time from a GNSS receiver (gpsd), time servers
// (NTP) and the Date header of the cloud's answers. A hint never sets the system's
// clock and never marks it as synced. It shows how wrong the clock is and explains
// why a certificate is not valid. A hint from GNSS is also a lower bound of the time.
//
// No source is trusted: each may be wrong or lie. Times before the program was built
// are refused, and lines and packets are bounded. Sources that disagree are reported,
// not averaged.
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

// Sources, best first. GNSS needs no network. NTP measures its own delay. A Date has
// whole seconds and may come from a proxy.
const (
	GNSS Source = "gnss"
	NTP  Source = "ntp"
	Date Source = "date"
)

var sources = []Source{GNSS, NTP, Date}

// Hint is the time that one source gave.
type Hint struct {
	Source      Source
	From        string        // name of the source for people
	Time        time.Time     // UTC
	Uncertainty time.Duration // Time is right within it, unless the source is wrong
	// At is when the hint arrived, with its monotonic reading: later jumps of the wall
	// clock do not matter.
	At time.Time
}

// ErrImplausible marks a time before this program was built, or a century after.
var ErrImplausible = errors.New("time is not plausible")

// newHint makes a hint of a plausible time. The error wraps ErrImplausible.
func newHint(s Source, from string, t time.Time, within time.Duration, at time.Time) (Hint, error) {
	if !plausible(t) {
		return Hint{}, fmt.Errorf("%s gives %s: %w", from, stamp(t), ErrImplausible)
	}
	return Hint{Source: s, From: from, Time: t.UTC(), Uncertainty: within, At: at}, nil
}

func plausible(t time.Time) bool {
	return !t.Before(Built()) && t.Before(Built().AddDate(100, 0, 0))
}

// stamp prints a time for people.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// earliest stands in for the build day of a program built without its history.
var earliest = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// committed is the time of the newest commit. The linker sets it for a release,
// because not every build knows its history.
var committed string

// Built is a time that is certainly in the past: the day before this program's newest
// commit.
var Built = sync.OnceValue(func() time.Time {
	if committed != "" {
		return builtFrom(committed)
	}
	info, _ := debug.ReadBuildInfo()
	return builtFrom(commitOf(info))
})

// commitOf is the time of the commit that a program was built from, "" when unknown.
// info may be nil.
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

// builtFrom subtracts a day, because the committer's clock may have been fast.
func builtFrom(commit string) time.Time {
	t, err := time.Parse(time.RFC3339, commit)
	if t = t.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1); err != nil || t.Before(earliest) {
		return earliest
	}
	return t
}
