package place

import (
	"math"
	"math/rand/v2"
	"time"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/flightlog"
)

// sim is a simulated flight over a sloping plane: its true cameras, what a drone would log of it, and what a count
// would record.
type sim struct {
	r       *rand.Rand
	kind    string // hover, pass, serpentine, dash
	seconds float64
	height  float64 // above take-off
	pitch   float64 // radians
	speed   float64
	course  float64
	turn    float64 // of the camera against the course
	startE  float64 // from take-off
	startN  float64
	slopeE  float64
	slopeN  float64
	focal   float64 // true, pixels
	phase   [4]float64
	swing   func(t float64) float64 // added to the heading of the camera; nil for none
	rate    float64                 // records of the log a second; 0 draws one

	log     flightlog.Log
	steps   []crossing.Step
	animals []Animal
	truth   map[int][2]float64 // metres east and north of take-off
	frame   Frame
}

const (
	simWidth, simHeight = 1920, 1080
	simLat, simLon      = -31.7, 24.3
)

// logErrors are standard errors of a log; the zero value is a perfect one.
type logErrors struct {
	gnss, yaw, pitch, roll, focal, height, clock, slope float64
}

func usualErrors() logErrors {
	const degree = math.Pi / 180
	return logErrors{gnss: 1.6, yaw: 4 * degree, pitch: degree, roll: 0.7 * degree,
		focal: 0.04, height: 1.7, clock: 0.15, slope: 0.03}
}

// pose is the true camera.
func (s *sim) pose(t float64) view {
	along, across := s.speed*t, 0.0
	heading := s.course
	wave := func(i int, period float64) float64 { return math.Sin(2*math.Pi*t/period + s.phase[i]) }
	switch s.kind {
	case "hover":
		along = 0
	case "dash": // there and back, with up to 5 m/s2
		const swing, rate = 8, 0.78
		along = swing * math.Sin(rate*t)
	case "serpentine":
		long, step := s.speed*s.seconds/3, 0.5*s.height
		switch {
		case along < long:
		case along < long+step:
			across, along = along-long, long
		default:
			along, across = long-(along-long-step), step
		}
	}
	along, across = along+0.4*wave(0, 7), across+0.5*wave(1, 11)
	sc, cc := math.Sincos(s.course)
	yw := heading + s.turn + 0.03*wave(2, 9)
	if s.swing != nil {
		yw += s.swing(t)
	}
	return view{
		seconds: t, width: simWidth, mx: simWidth / 2, my: simHeight / 2,
		at: flown{e: s.startE + along*sc + across*cc, n: s.startN + along*cc - across*sc},
		up: s.height + 0.3*wave(3, 13), yaw: yw, pitch: s.pitch, focal: s.focal,
	}
}

// axes are the forward, right and up directions of a camera.
func axes(w *view) (f, r, u [3]float64) {
	sy, cy := math.Sincos(w.yaw)
	sp, cp := math.Sincos(w.pitch)
	sr, cr := math.Sincos(w.roll)
	f = [3]float64{cp * sy, cp * cy, sp}
	r0, u0 := [3]float64{cy, -sy, 0}, [3]float64{-sp * sy, -sp * cy, cp}
	for i := range f {
		r[i], u[i] = r0[i]*cr-u0[i]*sr, u0[i]*cr+r0[i]*sr
	}
	return f, r, u
}

// see projects a point on the ground, raised by up metres.
func (s *sim) see(w *view, e, n, up float64) (motion.Point, bool) {
	f, r, u := axes(w)
	d := [3]float64{e - w.at.e, n - w.at.n, s.slopeE*e + s.slopeN*n + up - w.up}
	dot := func(a [3]float64) float64 { return a[0]*d[0] + a[1]*d[1] + a[2]*d[2] }
	z := dot(f)
	p := motion.Point{X: w.mx + w.focal*dot(r)/z, Y: w.my - w.focal*dot(u)/z}
	return p, z > 0 && p.X >= 0 && p.Y >= 0 && p.X < simWidth && p.Y < simHeight
}

// hit is the ground at a pixel.
func (s *sim) hit(w *view, p motion.Point) (e, n float64) {
	f, r, u := axes(w)
	var d [3]float64
	for i := range d {
		d[i] = f[i] + r[i]*(p.X-w.mx)/w.focal - u[i]*(p.Y-w.my)/w.focal
	}
	t := (w.up - s.slopeE*w.at.e - s.slopeN*w.at.n) / (s.slopeE*d[0] + s.slopeN*d[1] - d[2])
	return w.at.e + t*d[0], w.at.n + t*d[1]
}

// newSim flies. tilt is in degrees from straight down.
func newSim(seed uint64, kind string, height, tilt float64, x logErrors) *sim {
	r := rand.New(rand.NewPCG(seed, 17))
	s := &sim{r: r, kind: kind, seconds: 20 + 30*r.Float64(), height: height, pitch: -math.Pi/2 + tilt*math.Pi/180,
		speed: 2 + 4*r.Float64(), course: 2 * math.Pi * r.Float64(), truth: map[int][2]float64{},
		frame: NewFrame(simLat, simLon)}
	if r.IntN(3) == 0 {
		s.turn = math.Pi / 2
	}
	for i := range s.phase {
		s.phase[i] = 2 * math.Pi * r.Float64()
	}
	for {
		s.startE, s.startN = 60*r.NormFloat64(), 60*r.NormFloat64()
		s.slopeE, s.slopeN = x.slope*r.NormFloat64(), x.slope*r.NormFloat64()
		if a, b := s.pose(0), s.pose(s.seconds); s.clear(&a) && s.clear(&b) {
			break
		}
	}
	s.focal = 24 / sensorWidth * simWidth * math.Exp(x.focal*r.NormFloat64())
	s.record()
	s.write(x)
	return s
}

// clear reports whether the drone is well above the ground.
func (s *sim) clear(w *view) bool { return w.up-s.slopeE*w.at.e-s.slopeN*w.at.n > 0.6*s.height }

// write makes the log.
func (s *sim) write(x logErrors) {
	g := func(sigma float64) float64 { return sigma * s.r.NormFloat64() }
	be, bn, by, bp, br := g(x.gnss), g(x.gnss), g(x.yaw), g(x.pitch), g(x.roll)
	bh, bc := g(x.height), g(x.clock)
	rate := []float64{1, 5, 10}[s.r.IntN(3)]
	if s.rate > 0 {
		rate = s.rate
	}
	var we, wn float64
	s.log = flightlog.Log{Dialect: "simulated", OfVideo: true, Home: flightlog.Place{Lat: simLat, Lon: simLon}}
	if s.r.IntN(2) == 0 {
		s.log.Home = flightlog.Place{Lat: math.NaN(), Lon: math.NaN()}
	}
	const degree = math.Pi / 180
	for t := 0.0; t <= s.seconds+1; t += 1 / rate {
		w := s.pose(t - bc)
		keep := math.Exp(-1 / rate / 20)
		we, wn = keep*we+g(0.2*x.gnss*math.Sqrt(1-keep*keep)), keep*wn+g(0.2*x.gnss*math.Sqrt(1-keep*keep))
		m := flightlog.NewSample(time.Duration(t * float64(time.Second)))
		m.Lat, m.Lon = s.frame.Degrees(w.at.e+be+we+g(0.03*x.gnss), w.at.n+bn+wn+g(0.03*x.gnss))
		m.Lat, m.Lon = math.Round(m.Lat*1e6)/1e6, math.Round(m.Lon*1e6)/1e6
		m.RelAlt = math.Round(10*(w.up+bh)) / 10
		m.Focal35 = 24
		m.Camera = flightlog.Attitude{Yaw: math.Remainder((w.yaw+by)/degree, 360), Pitch: (w.pitch + bp) / degree,
			Roll: br / degree}
		s.log.Samples = append(s.log.Samples, m)
	}
}

// record makes the steps as a tracker does, by similarities to keyframes, and the detections.
func (s *sim) record() {
	const fps, every = 30, 10
	var views []view
	var key view
	keyTo := motion.Identity
	for frame := 0; float64(frame)/fps < s.seconds; frame += every {
		w := s.pose(float64(frame) / fps)
		views = append(views, w)
		to := motion.Identity
		if frame == 0 {
			key = w
		} else {
			t, overlap := s.alike(&w, &key)
			to = t.Then(keyTo)
			const enough = 0.6
			if overlap < enough {
				key, keyTo = w, to
			}
		}
		s.steps = append(s.steps, crossing.Step{Frame: frame, Seconds: w.seconds, Width: simWidth, Height: simHeight,
			Pose: motion.Pose{ToGround: to, Inliers: 1}})
	}
	for id := 1; id <= 4; id++ {
		w := &views[s.r.IntN(len(views))]
		e, n := s.hit(w, motion.Point{X: simWidth * (0.05 + 0.9*s.r.Float64()), Y: simHeight * (0.05 + 0.9*s.r.Float64())})
		a := Animal{ID: id}
		for i := range views {
			p, ok := s.see(&views[i], e, n, body)
			if !ok {
				continue
			}
			x, y := float32(p.X+1.5*s.r.NormFloat64()), float32(p.Y+1.5*s.r.NormFloat64())
			half := float32(1.2 * s.focal / s.height)
			a.Fixes = append(a.Fixes, track.Fix{Frame: s.steps[i].Frame, Seconds: s.steps[i].Seconds,
				Box: detect.Box{X1: x - half, Y1: y - half/2, X2: x + half, Y2: y + half/2}})
		}
		if len(a.Fixes) > 0 {
			s.animals, s.truth[id] = append(s.animals, a), [2]float64{e, n}
		}
	}
}

// alike fits a similarity to the true map from one picture to another, and returns how much of the picture is in both.
func (s *sim) alike(w, key *view) (motion.Transform, float64) {
	var from, to []motion.Point
	const n = 6
	for x := range n {
		for y := range n {
			p := motion.Point{X: (float64(x) + 0.5) / n * simWidth, Y: (float64(y) + 0.5) / n * simHeight}
			e, no := s.hit(w, p)
			if q, ok := s.see(key, e, no, 0); ok {
				from, to = append(from, p), append(to, motion.Point{X: q.X + 0.3*s.r.NormFloat64(), Y: q.Y + 0.3*s.r.NormFloat64()})
			}
		}
	}
	var fx, fy, tx, ty, re, im, mm float64
	k := float64(len(from))
	for i := range from {
		fx, fy, tx, ty = fx+from[i].X/k, fy+from[i].Y/k, tx+to[i].X/k, ty+to[i].Y/k
	}
	for i := range from {
		x, y, u, v := from[i].X-fx, from[i].Y-fy, to[i].X-tx, to[i].Y-ty
		re, im, mm = re+x*u+y*v, im+x*v-y*u, mm+x*x+y*y
	}
	t := motion.Transform{A: re / mm, B: im / mm}
	o := t.Apply(motion.Point{X: fx, Y: fy})
	t.TX, t.TY = tx-o.X, ty-o.Y
	return t, k / (n * n)
}

func (s *sim) input() Input {
	return Input{Width: simWidth, Height: simHeight, Steps: s.steps, Animals: s.animals, Log: &s.log}
}

// errorsOf are the errors of the positions in metres, each with its radius.
func (s *sim) errorsOf(r Result) (list [][2]float64) {
	for _, p := range r.Positions {
		e, n := s.frame.Metres(p.Lat, p.Lon)
		list = append(list, [2]float64{math.Hypot(e-s.truth[p.ID][0], n-s.truth[p.ID][1]), p.Radius})
	}
	return list
}
