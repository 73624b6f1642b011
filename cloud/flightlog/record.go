package flightlog

import (
	"fmt"
	"math"
	"sort"
	"time"
)

// recorder makes a Log out of records as they are read. It holds at most MaxSamples of them.
type recorder struct {
	l       *Log
	stride  int // only every such record is kept
	missing int // records without a position
	at      int // line of the first of them
	faults  int // how many there are, with those that are not kept
	// thin is called when every second of the kept samples is left out; nil for none.
	thin func()
	told uint // kinds of faults of sound that are recorded
}

func newRecorder(dialect string) *recorder {
	nan := math.NaN()
	return &recorder{l: &Log{Dialect: dialect, Home: Place{Lat: nan, Lon: nan, Alt: nan}}, stride: 1}
}

func (r *recorder) fault(line int, offset time.Duration, format string, args ...any) {
	if r.faults++; r.faults <= MaxFaults {
		r.l.Faults = append(r.l.Faults, Fault{Line: line, Offset: offset, Text: fmt.Sprintf(format, args...)})
	}
}

// add takes a record that stands in a line. A position that is none, and 0,0 of a receiver without a fix, are
// removed. It reports whether the record is kept.
func (r *recorder) add(s Sample, line int) bool {
	if s.HasPosition() && !isPlace(s.Lat, s.Lon) {
		r.fault(line, s.Offset, "latitude %g, longitude %g is no place", s.Lat, s.Lon)
		s.Lat, s.Lon = math.NaN(), math.NaN()
	}
	if !s.HasPosition() || isZero(s.Lat, s.Lon) {
		s.Lat, s.Lon = math.NaN(), math.NaN()
		r.without(line)
	}
	return r.keep(s)
}

func (r *recorder) without(line int) {
	if r.missing++; r.missing == 1 {
		r.at = line
	}
}

// keep adds a record as it is.
func (r *recorder) keep(s Sample) bool {
	l := r.l
	l.Records++
	r.sound(&s)
	if (l.Records-1)%r.stride != 0 {
		return false
	}
	if len(l.Samples) == MaxSamples {
		for i := range MaxSamples / 2 {
			l.Samples[i] = l.Samples[2*i]
		}
		l.Samples = l.Samples[:MaxSamples/2]
		if r.stride *= 2; r.thin != nil {
			r.thin()
		}
		if (l.Records-1)%r.stride != 0 {
			return false
		}
	}
	l.Samples = append(l.Samples, s)
	return true
}

// log ends the reading: order, repeated records, positions that are older than their record. what names the bytes that
// have no position.
func (r *recorder) log(what string) (*Log, error) {
	l := r.l
	if l.Fixes() == 0 {
		switch {
		case l.Records == 0:
			return nil, fmt.Errorf("%w: %s", ErrNoLog, what)
		case r.at > 0:
			return nil, fmt.Errorf("%w: none of its %d records has a position (the first is in line %d)", ErrNoLog,
				l.Records, r.at)
		}
		return nil, fmt.Errorf("%w: none of its %d records has a position", ErrNoLog, l.Records)
	}
	sort.SliceStable(l.Samples, func(i, j int) bool { return l.Samples[i].Offset < l.Samples[j].Offset })
	l.Samples = distinct(l.Samples)
	r.jumps(l.Samples)
	l.End = max(l.End, l.Samples[len(l.Samples)-1].Offset)
	hold(l.Samples)
	if r.missing > 0 {
		r.fault(r.at, 0, "%d of %d records have no position", r.missing, l.Records)
	}
	sort.SliceStable(l.Faults, func(i, j int) bool { return l.Faults[i].Line < l.Faults[j].Line })
	if more := r.faults - len(l.Faults) + 1; more > 1 {
		l.Faults[len(l.Faults)-1] = Fault{Text: fmt.Sprintf("%d more faults", more)}
	}
	return l, nil
}

func isPlace(lat, lon float64) bool { return math.Abs(lat) <= 90 && math.Abs(lon) <= 180 }

// isZero reports whether a position is that of a receiver without a fix. No cattle live where it is.
func isZero(lat, lon float64) bool { return math.Abs(lat) < 1e-4 && math.Abs(lon) < 1e-4 }

// distinct leaves out samples that have the offset of the one before; one with a position is preferred.
func distinct(samples []Sample) []Sample {
	kept := samples[:1]
	for _, s := range samples[1:] {
		switch last := &kept[len(kept)-1]; {
		case s.Offset != last.Offset:
			kept = append(kept, s)
		case !last.HasPosition() && s.HasPosition():
			*last = s
		}
	}
	return kept
}

// hold marks positions that only repeat an older one. A receiver is seldom slower than once a second, so a position
// that stays for longer is that of a drone that stays.
func hold(samples []Sample) {
	const slowest = 1500 * time.Millisecond
	last := -1 // the sample with the newest position
	for i := range samples {
		s := &samples[i]
		if !s.HasPosition() {
			continue
		}
		s.Held = last >= 0 && s.Lat == samples[last].Lat && s.Lon == samples[last].Lon &&
			s.Offset-samples[last].Offset <= slowest
		if !s.Held {
			last = i
		}
	}
}
