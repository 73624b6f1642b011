// Package flightlog reads what drones write of a flight: where the camera was, how high and how it was turned. Logs
// come beside the video (DJI's .SRT, CSV, GPX), inside of it, and in photographs; all of them end as one normal
// form, a Log.
//
// The normal form is stable: other rooms compute positions on the ground from it. Fields may be added, and what
// they mean does not change. Nothing in it is derived: a number that the log does not give is NaN, and a time that
// it does not give is zero.
//
// A log is not trusted. Memory is bounded whatever its size, and what cannot be read is a Fault with its line; the rest
// of the log is still read. The package does no I/O besides the readers that it is given, and needs no C code.
package flightlog

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// ErrNoLog means that the bytes are no flight log of any known form. The error that wraps it says what was found
// instead.
var ErrNoLog = errors.New("no flight log")

// Attitude says how something is turned against north and the horizon, in degrees. Parts that are not known are NaN.
type Attitude struct {
	Yaw   float64 // clockwise from true north, from -180 to 180
	Pitch float64 // 0 at the horizon, -90 straight down
	Roll  float64 // clockwise as seen from behind
}

// Unknown is an Attitude of which nothing is known.
func Unknown() Attitude { return Attitude{Yaw: math.NaN(), Pitch: math.NaN(), Roll: math.NaN()} }

// Known reports whether at least yaw or pitch is known.
func (a Attitude) Known() bool { return !math.IsNaN(a.Yaw) || !math.IsNaN(a.Pitch) }

// Sample is what a log says of one moment. A number that is not known is NaN, a time that is not known is zero.
type Sample struct {
	// Offset is the time since the first picture of the video where Log.OfVideo is true, and otherwise since the first
	// record of the log.
	Offset time.Duration
	// Time is the wall clock. Its location is always UTC; where Log.Zone is Local, it is the reading of a local clock.
	Time     time.Time
	Lat, Lon float64 // WGS 84, degrees; both are known or both are NaN
	// Held says that the position repeats that of an earlier sample because the receiver is slower than the log: it is
	// older than Offset. Interpolation between positions skips such samples; their other numbers are of this moment.
	Held       bool
	RelAlt     float64  // metres above the take-off point, by barometer: drifts by 1 to 3 m a flight
	AbsAlt     float64  // metres above a datum that drones do not agree on; not to be trusted alone
	Camera     Attitude // of the camera
	Body       Attitude // of the aircraft
	Focal35    float64  // focal length in millimetres, as for film of 35 mm, without digital zoom
	Zoom       float64  // digital zoom; 1 is none
	HFOV, VFOV float64  // field of view of the picture in degrees, where the log says it
	Satellites int      // 0 where not known
	Recording  bool     // the log says that the camera records a video at this moment
	RTK        bool     // the position comes from a receiver with carrier phase corrections
}

// NewSample returns a sample of which only the offset is known.
func NewSample(offset time.Duration) Sample {
	nan := math.NaN()
	return Sample{Offset: offset, Lat: nan, Lon: nan, RelAlt: nan, AbsAlt: nan, Camera: Unknown(), Body: Unknown(),
		Focal35: nan, Zoom: nan, HFOV: nan, VFOV: nan}
}

// HasPosition reports whether the sample has latitude and longitude.
func (s Sample) HasPosition() bool { return !math.IsNaN(s.Lat) && !math.IsNaN(s.Lon) }

// Zone says what the clock of a log shows.
type Zone string

// The zones of a clock.
const (
	UnknownZone Zone = ""      // the log has no times, or it is not known what they are
	UTC         Zone = "utc"   // of a satellite receiver, or with a zone in the log
	Local       Zone = "local" // of the drone's own clock, without a zone
)

// Place is a point on the earth. Parts that are not known are NaN.
type Place struct {
	Lat, Lon float64 // WGS 84, degrees
	Alt      float64 // metres, as Sample.AbsAlt
}

// Known reports whether latitude and longitude are known.
func (p Place) Known() bool { return !math.IsNaN(p.Lat) && !math.IsNaN(p.Lon) }

// Fault is one thing in a log that could not be read or is not plausible.
type Fault struct {
	Line   int           // of a text, from 1; 0 for other forms
	Offset time.Duration // of the sample, 0 where it has none
	Text   string        // what is wrong, for a person
}

// String is the fault with its line.
func (f Fault) String() string {
	if f.Line > 0 {
		return fmt.Sprintf("line %d: %s", f.Line, f.Text)
	}
	return f.Text
}

// Log is the normal form of a flight log. Its zero value has no samples. It is safe for concurrent reads.
type Log struct {
	// Dialect names the form and who writes it, such as "dji-srt-brackets". It is for people and for metrics; no code
	// depends on it.
	Dialect string
	Model   string // of the drone, "" where not known
	Serial  string // of the drone, "" where not known
	// OfVideo says that offsets count from the first picture of the video. Otherwise the log covers a whole flight, and
	// only its times say which part belongs to a video: see Fit.
	OfVideo bool
	Zone    Zone
	Home    Place // the take-off point as the log has it, Known or not
	// Samples are in order of their offsets, which all differ: of records of one moment the first with a position
	// is kept. A long log is thinned evenly, to at most MaxSamples.
	Samples []Sample
	Records int           // how many records the log has, with those that Samples leaves out
	End     time.Duration // the end of the last record
	// Faults are in order of their lines, the first MaxFaults of them. The last one says how many more there are.
	Faults []Fault
}

// Limits of a Log, whatever the size of what it is read from.
const (
	MaxSamples = 1 << 17
	MaxFaults  = 20
)

// Fixes returns how many samples have a position.
func (l *Log) Fixes() int {
	n := 0
	for i := range l.Samples {
		if l.Samples[i].HasPosition() {
			n++
		}
	}
	return n
}

// Captured returns the wall clock at offset 0, from the first sample with a time. Its zone is Log.Zone. The zero time
// means that the log has no times. Where several records a second have times in whole seconds, the next change of the
// second counts: it is exact to the time between two records.
func (l *Log) Captured() time.Time {
	first := slices.IndexFunc(l.Samples, func(s Sample) bool { return !s.Time.IsZero() })
	if first < 0 {
		return time.Time{}
	}
	of := func(s *Sample) time.Time { return s.Time.Add(-s.Offset) }
	start, began := of(&l.Samples[first]), &l.Samples[first]
	for i := first + 1; i < len(l.Samples) && began.Time.Nanosecond() == 0; i++ {
		s := &l.Samples[i]
		later := of(s).Sub(start)
		if s.Offset-began.Offset > 2*time.Second || later < 0 && s.Time.After(began.Time) || s.Time.Nanosecond() != 0 {
			break
		}
		if s.Time.Sub(began.Time) == time.Second && later > 0 && later < time.Second {
			return of(s)
		}
	}
	return start
}

// Last returns the wall clock of the last sample with a time, or the zero time.
func (l *Log) Last() time.Time {
	for i := len(l.Samples) - 1; i >= 0; i-- {
		if t := l.Samples[i].Time; !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
