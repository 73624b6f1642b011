package place

import (
	"cmp"
	"math"
	"slices"
	"time"

	"cattlecounter/cloud/flightlog"
)

// path is a flight log in metres.
type path struct {
	frame             Frame
	east, north       series
	up                series  // above take-off
	above             series  // absolute height against its first value
	yaw, pitch, roll  series  // of the camera in radians; yaw is unwrapped
	body              series  // yaw of the aircraft in radians, unwrapped
	focal             series  // width of the picture in units of its focal length
	homeE, homeN      float64 // take-off
	homeKnown         bool
	quantum           float64 // metres: the steps in which the log rounds positions
	bandwidth         float64 // seconds over which positions are smoothed
	gap               float64 // seconds between two positions, usually
	rtk, fieldOfView  bool
	gimbal, directing bool // the camera's pitch and yaw are known
}

const (
	// sensorWidth is the width of a video picture in millimetres at the scale of a focal length "as for 35 mm": equal
	// diagonals (CIPA DCG-001), the 4:3 sensors of drones, and a picture as wide as the sensor.
	sensorWidth = 34.6
	usualFocal  = 24.0 // millimetres, when the log has none
	lagPosition = 2.5  // seconds for which a position is used beyond its time
)

// newPath reads the log. It returns nil when no position lies within the recording.
func newPath(l *flightlog.Log) *path {
	p := &path{}
	first := slices.IndexFunc(l.Samples, func(s flightlog.Sample) bool { return s.HasPosition() })
	if first < 0 {
		return nil
	}
	o := l.Samples[first]
	p.frame = NewFrame(o.Lat, o.Lon)
	if l.Home.Known() {
		if e, n := p.frame.Metres(l.Home.Lat, l.Home.Lon); math.Hypot(e, n) < 20e3 {
			p.homeE, p.homeN, p.homeKnown = e, n, true
		}
	}
	turn := func(s *series, t, degrees float64) {
		v := degrees * math.Pi / 180
		if n := len(s.v); n > 0 {
			v = s.v[n-1] + math.Remainder(v-s.v[n-1], 2*math.Pi)
		}
		s.add(t, v)
	}
	rtk, base := 0, math.NaN()
	coarse := len(l.Samples) > 1
	for _, s := range l.Samples {
		t := s.Offset.Seconds()
		if s.HasPosition() && !s.Held {
			e, n := p.frame.Metres(s.Lat, s.Lon)
			coarse = coarse && rounded(s.Lat) && rounded(s.Lon)
			p.east.add(t, e)
			p.north.add(t, n)
			if s.RTK {
				rtk++
			}
		}
		p.up.add(t, s.RelAlt)
		if math.IsNaN(base) {
			base = s.AbsAlt
		}
		p.above.add(t, s.AbsAlt-base)
		turn(&p.yaw, t, s.Camera.Yaw)
		turn(&p.body, t, s.Body.Yaw)
		p.pitch.add(t, s.Camera.Pitch*math.Pi/180)
		p.roll.add(t, s.Camera.Roll*math.Pi/180)
		zoom := 1.0
		if s.Zoom >= 1 {
			zoom = s.Zoom
		}
		switch {
		case s.HFOV > 1 && s.HFOV < 170:
			p.fieldOfView = true
			p.focal.add(t, 2*math.Tan(s.HFOV*math.Pi/360))
		case s.Focal35 > 5 && s.Focal35 < 2000:
			p.focal.add(t, sensorWidth/s.Focal35/zoom)
		}
	}
	p.rtk = rtk > len(p.east.t)/2
	p.gimbal, p.directing = len(p.pitch.t) > 0, len(p.yaw.t) > 0
	p.measure()
	if coarse {
		const step = 11.1 // metres: a hover shows no second value to find the step from
		p.quantum = max(p.quantum, step)
	}
	return p
}

// rounded reports whether a coordinate has at most four decimals, as the first drones wrote it.
func rounded(degrees float64) bool {
	v := degrees * 1e4
	return math.Abs(v-math.Round(v)) < 1e-5
}

// shift moves all records by seconds.
func (p *path) shift(seconds float64) {
	for _, s := range []*series{&p.east, &p.north, &p.up, &p.above, &p.yaw, &p.pitch, &p.roll, &p.body, &p.focal} {
		for i := range s.t {
			s.t[i] += seconds
		}
	}
}

// measure finds out in which steps the log rounds positions, and over which time it is smoothed.
func (p *path) measure() {
	p.quantum = min(step(p.east.v), step(p.north.v))
	n := len(p.east.t)
	if n < 2 {
		p.bandwidth = 1
		return
	}
	gaps := make([]float64, 0, n-1)
	for i := range n - 1 {
		gaps = append(gaps, p.east.t[i+1]-p.east.t[i])
	}
	slices.Sort(gaps)
	p.gap = gaps[len(gaps)/2]
	p.bandwidth = min(max(1.2*p.gap, 0.6), 3)
	if p.quantum > 1 {
		long := 0.0
		for i := range n - 1 {
			long += math.Hypot(p.east.v[i+1]-p.east.v[i], p.north.v[i+1]-p.north.v[i])
		}
		speed := max(long/max(p.east.t[n-1]-p.east.t[0], 1), 0.5)
		p.bandwidth = min(max(p.bandwidth, 1.5*p.quantum/speed), 6)
	}
}

// step is the smallest distance between different values, 0 when there are fewer than three.
func step(v []float64) float64 {
	s := slices.Clone(v)
	slices.Sort(s)
	least, n := math.Inf(1), 0
	for i := range len(s) - 1 {
		if d := s[i+1] - s[i]; d > 1e-4 {
			least, n = min(least, d), n+1
		}
	}
	if n < 2 {
		return 0
	}
	return least
}

// flown is where the camera is and how fast it flies, in metres and metres a second.
type flown struct{ e, n, ve, vn float64 }

// position is where the camera is by the positions around t.
func (p *path) position(t float64) (flown, bool) {
	if !known(p.east.at(t, lagPosition)) {
		return flown{}, false
	}
	return line(&p.east, &p.north, t, p.bandwidth), true
}

// line is a local straight line through the positions around t, weighted by their distance in time. The two series have
// the same moments, at least one.
func line(east, north *series, t, bandwidth float64) flown {
	n := len(east.t)
	from, _ := slices.BinarySearch(east.t, t-2*bandwidth)
	to, _ := slices.BinarySearch(east.t, t+2*bandwidth)
	from, to = max(0, min(from, n-2)), min(n, max(to, from+2))
	stride := max(1, (to-from)/64)
	var w0, w1, w2, e0, e1, n0, n1 float64
	for i := from; i < to; i += stride {
		d := east.t[i] - t
		w := math.Exp(-d * d / (2 * bandwidth * bandwidth / 2))
		w0, w1, w2 = w0+w, w1+w*d, w2+w*d*d
		e0, e1 = e0+w*east.v[i], e1+w*d*east.v[i]
		n0, n1 = n0+w*north.v[i], n1+w*d*north.v[i]
	}
	det := w0*w2 - w1*w1
	if w0 < 1e-6 || det < 1e-3*w0*w0*bandwidth*bandwidth {
		return flown{e: east.at(t, lagPosition), n: north.at(t, lagPosition)}
	}
	return flown{e: (w2*e0 - w1*e1) / det, n: (w2*n0 - w1*n1) / det, ve: (w0*e1 - w1*e0) / det,
		vn: (w0*n1 - w1*n0) / det}
}

// moments are the places of the camera during a recording.
func (p *path) moments(length time.Duration) []Moment {
	var out []Moment
	from, to := p.east.t[0], p.east.t[len(p.east.t)-1]
	if length > 0 {
		from, to = max(from, 0), min(to, length.Seconds())
	}
	every := max(1, (to-from)/1000)
	for t := from; t <= to+1e-9; t += every {
		m, ok := p.position(t)
		if !ok {
			continue
		}
		lat, lon := p.frame.Degrees(m.e, m.n)
		out = append(out, Moment{Seconds: t, Lat: lat, Lon: lon, Height: p.up.at(t, lagPosition)})
	}
	slices.SortStableFunc(out, func(a, b Moment) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return out
}
