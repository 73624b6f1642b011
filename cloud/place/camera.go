package place

import (
	"math"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track/motion"
)

// view is the camera at one frame, as the log has it.
type view struct {
	seconds   float64
	width, mx float64 // pixels: width, and the middle
	my        float64
	at        flown
	slack     float64 // standard error in metres of the place, for what the records do not show
	up        float64 // metres above take-off
	yaw       float64 // radians; its base is unknown for a view of an unknown heading
	pitch     float64
	roll      float64
	focal     float64 // pixels
	yawRate   float64 // radians a second, of the log's records
	loose     float64 // standard error in radians of the yaw, for what the records do not show
	segment   int
	toGround  motion.Transform
	tracked   bool // segment and toGround are known
	guessed   bool // the pictures were lost: toGround is a guess
}

// Numbers of the unknowns.
const (
	east = iota
	north
	yaw
	pitch
	roll
	focal // logarithm
	height
	clock  // seconds that the log is late
	slopeE // metres up per metre east
	slopeN
	unknowns
)

type unknown [unknowns]float64

// body is how high the middle of an animal is above the ground, in metres.
const body = 0.7

// lowest is the least height of a camera above the ground that is believed, in metres.
const lowest = 2.0

// ground cuts the ray of a pixel with the ground. It returns metres east and north, and false for a ray that does not
// go down.
func (v *viewer) ground(w *view, u *unknown, px, py float64) (e, n float64, ok bool) {
	yw := w.yaw + u[yaw] + u[clock]*w.yawRate
	pt, rl := w.pitch+u[pitch], w.roll+u[roll]
	sy, cy := math.Sincos(yw)
	sp, cp := math.Sincos(pt)
	sr, cr := math.Sincos(rl)
	f := [3]float64{cp * sy, cp * cy, sp}
	r0 := [3]float64{cy, -sy, 0}
	u0 := [3]float64{-sp * sy, -sp * cy, cp}
	k := 1 / (w.focal * math.Exp(u[focal]))
	x, y := (px-w.mx)*k, (py-w.my)*k
	var d [3]float64
	for i := range d {
		right, up := r0[i]*cr-u0[i]*sr, u0[i]*cr+r0[i]*sr
		d[i] = f[i] + right*x - up*y
	}
	const shallow = -0.1 // about 6 degrees below the horizon
	if d[2] > shallow*math.Hypot(d[0], d[1]) {
		return 0, 0, false
	}
	ce, cn := w.at.e+u[east]+u[clock]*w.at.ve, w.at.n+u[north]+u[clock]*w.at.vn
	ch := w.up + u[height] - body
	// The plane is up = slopeE*(e-homeE) + slopeN*(n-homeN).
	over := func(e, n float64) float64 {
		return u[slopeE]*(e-v.path.homeE) + u[slopeN]*(n-v.path.homeN)
	}
	drop := max(ch-over(ce, cn), lowest)
	t := drop / max(u[slopeE]*d[0]+u[slopeN]*d[1]-d[2], 0.02)
	e, n = ce+t*d[0], cn+t*d[1]
	for range 4 * min(1, len(v.terrain)) {
		h, known := v.terrain[0].Height(v.path.frame.Degrees(e, n))
		if !known {
			break
		}
		drop = max(ch-over(e, n)-(h-v.path.frame.OriginHeight), lowest)
		t = drop / -d[2]
		e, n = ce+t*d[0], cn+t*d[1]
	}
	return e, n, known(e, n)
}

// viewAt is the camera at a step or, without steps, at a time.
func (v *viewer) viewAt(seconds float64, width, height int, s *crossing.Step) (view, bool) {
	p := v.path
	w := view{seconds: seconds, width: float64(width), mx: float64(width) / 2, my: float64(height) / 2}
	var ok bool
	if w.at, ok = p.position(seconds); !ok {
		return w, false
	}
	if s == nil && p.gap >= sparse {
		w.slack = swerve(&p.east, &p.north, seconds, p.jitter())
	}
	const lag = lagHeading
	or := func(x, other float64) float64 {
		if math.IsNaN(x) {
			return other
		}
		return x
	}
	w.up = p.up.at(seconds, 10)
	w.pitch, w.roll = or(p.pitch.at(seconds, lag), -math.Pi/2), or(p.roll.at(seconds, lag), 0)
	if s != nil {
		w.segment, w.toGround, w.tracked = s.Pose.Segment, s.Pose.ToGround, true
		w.guessed = s.Pose.Inliers == 0
	}
	w.focal = w.width / or(p.focal.at(seconds, 10), sensorWidth/usualFocal)
	if v.heading == FromPath {
		if s == nil {
			return w, false
		}
		w.yaw = math.Atan2(s.Pose.ToGround.B, s.Pose.ToGround.A)
		return w, true
	}
	w.yaw, w.yawRate, w.loose = v.compass.heading(seconds)
	return w, known(w.yaw)
}
