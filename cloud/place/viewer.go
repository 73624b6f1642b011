package place

import (
	"cmp"
	"math"
	"slices"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
)

// viewer knows the camera of a recording.
type viewer struct {
	in      Input
	path    *path
	terrain []Terrain // none or one
	heading Source
	scale   Source
	compass *compass // nil when the log has no heading
	clock   float64  // standard error in seconds of the log's clock
	views   []view   // of the steps that the log covers
	// fits are the headings and scales of segments, for a heading from the path.
	fits   map[int]fit
	mean   unknown // what is expected of the unknowns
	sigma  unknown // standard errors before the path is compared with the pictures
	u      unknown
	spread matrix
	pairs  int // that were compared
	// leaning says that the log has no angles, and that the pictures show that the camera does not look straight down.
	leaning bool
}

func newViewer(in Input) *viewer {
	v := &viewer{in: in, path: newPath(in.Log), fits: map[int]fit{}}
	if v.path == nil {
		return v
	}
	if in.Terrain != nil {
		lat, lon := v.path.frame.Degrees(v.path.homeE, v.path.homeN)
		if h, ok := in.Terrain.Height(lat, lon); ok {
			v.path.frame.OriginHeight, v.terrain = h, []Terrain{in.Terrain}
		}
	}
	p := v.path
	v.scale = FromHeight
	if len(p.up.t) == 0 {
		v.scale = FromPath
	}
	switch {
	case p.directing:
		v.heading = FromGimbal
	case len(p.body.t) > 0:
		v.heading = FromAircraft
	default:
		v.heading = FromPath
	}
	v.direct()
	for i := range in.Steps {
		s := &in.Steps[i]
		if w, ok := v.viewAt(s.Seconds, s.Width, s.Height, s); ok {
			v.views = append(v.views, w)
		}
	}
	if len(v.views) == 0 && (len(in.Steps) > 0 && v.heading != FromPath || !v.covers()) {
		v.path = nil
		return v
	}
	v.follow()
	v.fitSegments()
	v.priors()
	v.compare()
	return v
}

// direct finds the heading between the records, and puts the log's clock right.
func (v *viewer) direct() {
	const usual = 0.15 // seconds
	v.clock = usual
	log := &v.path.yaw
	switch v.heading {
	case FromPath:
		return
	case FromAircraft:
		log = &v.path.body
	}
	v.compass = newCompass(*log, &v.path.pitch, v.in.Steps)
	late, sigma := v.compass.late(usual)
	v.clock = sigma
	v.path.shift(-late)
	v.compass.log = *log
	v.compass.measure()
}

// covers reports whether the log has a position at a detection.
func (v *viewer) covers() bool {
	for _, a := range v.in.Animals {
		for _, f := range a.Fixes {
			if _, ok := v.path.position(f.Seconds); ok {
				return true
			}
		}
	}
	return len(v.in.Animals) == 0
}

// fit is a similarity from the ground of a segment to metres: turn is the heading of the upright of its first picture.
type fit struct {
	turn, scale float64 // radians, metres per ground pixel
	sigmaTurn   float64
	sigmaScale  float64 // relative
	ok          bool
}

// fitSegments fits the way of the picture's middle over each ground to the path.
func (v *viewer) fitSegments() {
	for from := 0; from < len(v.views); {
		to := from
		for to < len(v.views) && v.views[to].segment == v.views[from].segment {
			to++
		}
		seg := v.views[from].segment
		f, before := similarity(v.views[from:to], v.path.jitter()), v.fits[seg]
		if f.ok && (!before.ok || f.sigmaTurn < before.sigmaTurn) {
			v.fits[seg] = f
		}
		from = to
	}
	if v.scale == FromPath {
		v.heightFromPath()
	}
	if v.heading != FromPath {
		return
	}
	kept := v.views[:0]
	for _, w := range v.views {
		if f := v.fits[w.segment]; f.ok {
			w.yaw += f.turn
			kept = append(kept, w)
		}
	}
	v.views = kept
}

// heightFromPath gives the views the height that the flown path makes likely: one for the whole recording, with the
// changes of the absolute height. The scale of the tracker's ground drifts, so it says nothing about a climb.
func (v *viewer) heightFromPath() {
	var heights []float64
	climb := func(w *view) float64 {
		if up := v.path.above.at(w.seconds, 10); known(up) {
			return up
		}
		return 0
	}
	for _, p := range v.pairsOf(mostPairs) {
		if !v.fits[p.a.segment].ok {
			continue
		}
		pixels := math.Hypot(p.p.X-p.q.X, p.p.Y-p.q.Y)
		flown := math.Hypot(p.b.at.e-p.a.at.e, p.b.at.n-p.a.at.n)
		heights = append(heights, flown/pixels*p.a.focal*-math.Sin(p.a.pitch)-climb(p.a))
	}
	if len(heights) > 0 {
		base := median(heights)
		for i := range v.views {
			v.views[i].up = base + climb(&v.views[i])
		}
		return
	}
	v.scale = FromAnimals // a hover
	length := animalLength(v.in)
	for i := range v.views {
		w := &v.views[i]
		if l, ok := length[w.segment]; ok {
			w.up = adult / l * w.toGround.ScaleAt(motion.Point{X: w.mx, Y: w.my}) * w.focal * -math.Sin(w.pitch)
		}
	}
	v.views = slices.DeleteFunc(v.views, func(w view) bool { return !known(w.up) })
}

// jitter is the standard error in metres of a distance between two near positions of the log.
func (p *path) jitter() float64 {
	j := 0.3
	if p.rtk {
		j = 0.05
	}
	return math.Hypot(j, p.quantum/3)
}

// similarity fits a turn and a scale to views of one segment; outliers lose their weight.
func similarity(views []view, jitter float64) fit {
	weights := make([]float64, len(views))
	for i := range weights {
		weights[i] = 1
	}
	var f fit
	var spread float64
	for range 5 {
		var w, mx, my, ge, gn float64
		at := func(i int) (x, y float64) {
			q := views[i].toGround.Apply(motion.Point{X: views[i].mx, Y: views[i].my})
			return q.X, -q.Y
		}
		for i := range views {
			x, y := at(i)
			w, mx, my = w+weights[i], mx+weights[i]*x, my+weights[i]*y
			ge, gn = ge+weights[i]*views[i].at.e, gn+weights[i]*views[i].at.n
		}
		if w == 0 {
			return fit{}
		}
		mx, my, ge, gn = mx/w, my/w, ge/w, gn/w
		var re, im, mm, gg float64
		for i := range views {
			x, y := at(i)
			x, y = x-mx, y-my
			e, n := views[i].at.e-ge, views[i].at.n-gn
			// g * conj(m), with east and right as the real parts.
			re += weights[i] * (e*x + n*y)
			im += weights[i] * (n*x - e*y)
			mm += weights[i] * (x*x + y*y)
			gg += weights[i] * (e*e + n*n)
		}
		if mm == 0 || gg == 0 {
			return fit{}
		}
		f.turn, f.scale = -math.Atan2(im, re), math.Hypot(re, im)/mm
		spread = math.Sqrt(gg / w)
		f.ok = true
		residual := make([]float64, len(views))
		s, c := math.Sincos(-f.turn)
		for i := range views {
			x, y := at(i)
			x, y = x-mx, y-my
			residual[i] = math.Hypot(views[i].at.e-ge-f.scale*(c*x-s*y), views[i].at.n-gn-f.scale*(s*x+c*y))
		}
		usual := max(median(residual), jitter)
		for i, r := range residual {
			weights[i] = 1
			if r > 2*usual {
				weights[i] = 2 * usual / r
			}
		}
	}
	const independent = 2 // a flight is about so many independent positions at each end
	f.sigmaTurn = math.Hypot(jitter/spread/math.Sqrt(independent), 0.01)
	f.sigmaScale = f.sigmaTurn
	const most = 0.3 // radians: a hover in the wind
	f.ok = f.scale > 0 && f.sigmaTurn < most && spread > 3*jitter
	return f
}

// median of values, which it sorts in a copy; 0 without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Clone(values)
	slices.SortFunc(s, func(a, b float64) int { return cmp.Compare(a, b) })
	if len(s)%2 == 0 {
		return (s[len(s)/2-1] + s[len(s)/2]) / 2
	}
	return s[len(s)/2]
}

// priors are the usual errors of a log, from published data of drones.
func (v *viewer) priors() {
	const degree = math.Pi / 180
	p := v.path
	v.sigma = unknown{
		east: 1.6, north: 1.6, // 1.5 to 3 m without RTK
		yaw: 4 * degree, pitch: 1 * degree, roll: 0.7 * degree,
		focal: 0.04, height: 1.8, clock: v.clock, slopeE: 0.03, slopeN: 0.03,
	}
	if p.rtk {
		v.sigma[east], v.sigma[north] = 0.1, 0.1
	}
	if !p.homeKnown && len(v.terrain) == 0 {
		const away = 100 // metres that the take-off is usually away, when the log does not say where it was
		v.sigma[height] = math.Hypot(v.sigma[height], away*v.sigma[slopeE])
	}
	v.sigma[east] = math.Hypot(v.sigma[east], p.quantum/3)
	v.sigma[north] = math.Hypot(v.sigma[north], p.quantum/3)
	if p.fieldOfView {
		v.sigma[focal] = 0.015
	} else if len(p.focal.t) == 0 {
		v.sigma[focal] = 0.15
	}
	if len(v.terrain) > 0 {
		v.sigma[height], v.sigma[slopeE], v.sigma[slopeN] = 2.0, 0.01, 0.01
	}
	if !p.gimbal {
		v.sigma[pitch], v.sigma[roll] = 8*degree, 2*degree
	}
	switch v.heading {
	case FromAircraft:
		v.sigma[yaw] = 8 * degree
	case FromPath:
		worst := 0.0
		for _, w := range v.views {
			worst = max(worst, v.fits[w.segment].sigmaTurn)
		}
		v.sigma[yaw] = max(worst, 1*degree)
	}
	if v.scale != FromHeight && len(v.views) > 0 {
		part := 0.2
		if v.scale == FromPath {
			part = 0.1
			v.sigma[focal] = 0.05 // what the height was made of
		}
		v.sigma[height] = part * median(ups(v.views))
	}
}

func ups(views []view) []float64 {
	var list []float64
	for _, w := range views {
		list = append(list, w.up)
	}
	return list
}

// find is the view of a frame.
func (v *viewer) find(frame int, seconds float64) (view, bool) {
	if len(v.in.Steps) == 0 {
		w, ok := v.viewAt(seconds, v.in.Width, v.in.Height, nil)
		return w, ok && known(w.up)
	}
	i, ok := slices.BinarySearchFunc(v.in.Steps, frame, func(s crossing.Step, f int) int {
		return cmp.Compare(s.Frame, f)
	})
	if !ok {
		return view{}, false
	}
	at := v.in.Steps[i].Seconds
	k, ok := slices.BinarySearchFunc(v.views, at, func(w view, t float64) int { return cmp.Compare(w.seconds, t) })
	if !ok {
		return view{}, false
	}
	return v.views[k], true
}
