package flightlog

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// What is read of a log must be possible for a drone. A wrong number is worse than none, so what is not is left out, and a
// fault says so.

const (
	leastFocal   = 11.5 // millimetres as for film of 35 mm: no drone has a wider lens
	farthestTilt = 130  // degrees of pitch
)

// sound leaves out numbers of a sample that no camera has. Each kind is one fault.
func (r *recorder) sound(s *Sample) {
	tell := func(kind int, format string, value float64) {
		if r.told&(1<<kind) == 0 {
			r.told |= 1 << kind
			r.fault(0, s.Offset, format, value)
		}
	}
	if s.Focal35 < leastFocal {
		if s.Focal35 > 0 {
			tell(0, "the focal length %.2f mm is that of the lens, not as for film of 35 mm; it is not used", s.Focal35)
		}
		s.Focal35 = math.NaN()
	}
	if math.Abs(s.Camera.Pitch) > farthestTilt {
		tell(1, "the camera's pitch of %g degrees is impossible; its angles are not used", s.Camera.Pitch)
		s.Camera = Unknown()
	}
	if math.Abs(s.Body.Pitch) > farthestTilt {
		s.Body = Unknown()
	}
}

// run is a row of positions that a drone can have flown.
type run struct {
	last  int // sample
	fixes int
}

const (
	mostSpeed = 100.0 // metres a second, between two positions
	nearby    = 300.0 // metres: so far positions may jump at any time
	mostRuns  = 32
)

// reachable reports whether a drone can have flown from one sample to a later one.
func reachable(a, b *Sample) bool {
	d := metresBetween(a.Lat, a.Lon, b.Lat, b.Lon)
	return d <= nearby || d <= mostSpeed*(b.Offset-a.Offset).Seconds()
}

// jumps leaves out positions from which a drone cannot have come to the others: the last place of another day, which
// receivers give before their first fix, and single wrong ones. samples are in order of time.
func (r *recorder) jumps(samples []Sample) {
	var runs []run
	of := make([]int, len(samples))
	for i := range samples {
		of[i] = -1
		s := &samples[i]
		if !s.HasPosition() {
			continue
		}
		for k := range runs {
			if reachable(&samples[runs[k].last], s) && (of[i] < 0 || runs[k].fixes > runs[of[i]].fixes) {
				of[i] = k
			}
		}
		if of[i] < 0 && len(runs) < mostRuns {
			of[i] = len(runs)
			runs = append(runs, run{})
		}
		if k := of[i]; k >= 0 {
			runs[k].last = i
			runs[k].fixes++
		}
	}
	if len(runs) < 2 {
		return
	}
	best := 0
	for k := range runs {
		if runs[k].fixes > runs[best].fixes {
			best = k
		}
	}
	all := 0
	for _, k := range runs {
		all += k.fixes
	}
	const sure, most = 4, 3 // fixes, and the part of all positions that may be left out: one of so many
	if runs[best].fixes < sure {
		return
	}
	first := slices.IndexFunc(of, func(k int) bool { return k >= 0 && k != best })
	at := samples[first].Offset.Round(time.Millisecond)
	if gone := all - runs[best].fixes; gone*most > all {
		r.fault(0, at, "%d of %d positions are too far from the others to be flown there, from %s on", gone, all, at)
		return
	}
	for i := range samples {
		if of[i] >= 0 && of[i] != best {
			samples[i].Lat, samples[i].Lon = math.NaN(), math.NaN()
		}
	}
	r.fault(0, at, "%d of %d positions are too far from the others to be flown there, from %s on; they are left out",
		all-runs[best].fixes, all, at)
}

// unsure says why the order of the numbers of lists is a guess, "" where it is none.
func (o *order) unsure(lists []listed) string {
	if o.votes != 0 {
		return ""
	}
	for _, l := range lists {
		if v := l.position; v.known() && v.letters == [2]byte{} && isPlace(v.a, v.b) && isPlace(v.b, v.a) {
			return fmt.Sprintf("nothing says which of %g and %g is the latitude; the longitude is taken to come first", v.a, v.b)
		}
	}
	return ""
}

// distrust leaves out the position of the record.
func (r *record) distrust(format string, args ...any) {
	if !r.noPlace {
		r.noPlace, r.unclear = true, fmt.Sprintf(format, args...)
	}
}

// coordinate sets one that has a name. A record may have it twice; 0 is then that of a field without a value.
func (r *record) coordinate(name string, at *float64, v float64) {
	const near = 1e-3
	switch {
	case math.IsNaN(*at) || *at == 0:
		*at = v
	case v != 0 && math.Abs(v-*at) > near:
		r.distrust("%s is given as %g and as %g", name, *at, v)
	}
	r.form |= formNamed
}
