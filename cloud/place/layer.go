package place

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cattlecounter/cloud/count/track/motion"
)

// ErrNoGround marks a recording whose pictures have no place on the earth. Compare with errors.Is.
var ErrNoGround = errors.New("the pictures have no place on the earth")

// Ground knows where the frames of a recording lie on the earth. It is safe for concurrent use.
type Ground struct {
	v   *viewer
	why string
}

// Laid is where a frame lies. The part of the frame above Top is not used: it shows the horizon, or ground so far away that
// nothing is counted there.
type Laid struct {
	ToMetres motion.Transform // pixels of the frame -> metres east (X) and south (Y) of Ground.Frame
	Top      float64          // pixels
	// Radii are the 95 % radii in metres at places over the used part of the frame.
	Radii []float64
}

// Check returns nil when the frames have places. Its error wraps ErrNoGround and says why not.
func (g *Ground) Check() error {
	if g == nil || g.v == nil {
		why := "there is no flight log with positions"
		if g != nil && g.why != "" {
			why = g.why
		}
		return fmt.Errorf("%w: %s", ErrNoGround, why)
	}
	return nil
}

// Frame is the origin of the metres of Laid. Check must have returned nil.
func (g *Ground) Frame() Frame { return g.v.path.frame }

// groundOf keeps the viewer of a result that has positions, or would have them if there were animals.
func groundOf(v *viewer, r Result) *Ground {
	if v == nil || r.Way != Camera && r.Way != Height && r.Way != Path {
		return &Ground{why: r.Why}
	}
	return &Ground{v: v}
}

// Lay returns where a frame lies, which is what Find computes positions from, so that an animal in the frame is at its own
// position. false: the log does not cover the frame, the pictures were lost there, or the camera looks along the ground.
func (g *Ground) Lay(frame int, seconds float64) (Laid, bool) {
	v := g.v
	w, ok := v.find(frame, seconds)
	if !ok || w.guessed {
		return Laid{}, false
	}
	top, ok := v.lowTop(&w)
	if !ok {
		return Laid{}, false
	}
	right, bottom := 2*w.mx, 2*w.my
	var to [4]motion.Point
	for i, p := range [4]motion.Point{{X: 0, Y: top}, {X: right, Y: top}, {X: right, Y: bottom}, {X: 0, Y: bottom}} {
		e, n, ok := v.ground(&w, &v.u, p.X, p.Y)
		if !ok {
			return Laid{}, false
		}
		to[i] = motion.Point{X: e, Y: -n}
	}
	unit := motion.Transform{A: (1/right + 1/(bottom-top)) / 2, C: (1/right - 1/(bottom-top)) / 2, TY: -top / (bottom - top)}
	square, ok := squareTo(to)
	if !ok {
		return Laid{}, false
	}
	l := Laid{Top: top, ToMetres: unit.Then(square)}
	for _, at := range [...][2]float64{{0.5, 0.5}, {0.25, 0.25}, {0.75, 0.25}, {0.25, 0.75}, {0.75, 0.75}} {
		s := []sighting{{w: w, x: at[0] * right, y: top + at[1]*(bottom-top), t: seconds}}
		if e, n, ok := v.ground(&w, &v.u, s[0].x, s[0].y); ok {
			c, _ := v.uncertainty(s, []float64{e}, []float64{n}, e, n)
			l.Radii = append(l.Radii, c.radius())
		}
	}
	return l, true
}

// squareTo maps the unit square to four corners in the order of its own: 0,0; 1,0; 1,1; 0,1 (Heckbert, "Fundamentals of
// texture mapping and image warping", 1989, section 2.2.3). false for corners that no camera sees.
func squareTo(q [4]motion.Point) (motion.Transform, bool) {
	x1, x2, xs := q[1].X-q[2].X, q[3].X-q[2].X, q[0].X-q[1].X+q[2].X-q[3].X
	y1, y2, ys := q[1].Y-q[2].Y, q[3].Y-q[2].Y, q[0].Y-q[1].Y+q[2].Y-q[3].Y
	det := x1*y2 - x2*y1
	g, h := (xs*y2-x2*ys)/det, (x1*ys-xs*y1)/det
	a, b := q[1].X-q[0].X+g*q[1].X, q[3].X-q[0].X+h*q[3].X
	d, e := q[1].Y-q[0].Y+g*q[1].Y, q[3].Y-q[0].Y+h*q[3].Y
	t := motion.Transform{A: (a + e) / 2, C: (a - e) / 2, B: (d - b) / 2, D: (d + b) / 2, TX: q[0].X, TY: q[0].Y, PX: g, PY: h}
	return t, known(g, h) && 1+g > 0 && 1+h > 0 && 1+g+h > 0
}

// lowTop is the highest row of a frame whose ground is near enough; false when less than a third of the frame is.
func (v *viewer) lowTop(w *view) (float64, bool) {
	const (
		rows  = 24
		least = rows / 3
		steep = 4.0 // heights of the camera
	)
	near := func(y float64) bool {
		for _, x := range [...]float64{0, w.mx, 2 * w.mx} {
			e, n, ok := v.ground(w, &v.u, x, y)
			if !ok || math.Hypot(e-w.at.e, n-w.at.n) > steep*max(w.up, lowest) {
				return false
			}
		}
		return true
	}
	used := 0
	for used <= rows && near(2*w.my*float64(rows-used)/rows) {
		used++
	}
	used-- // rows between the lines
	return 2 * w.my * float64(rows-used) / rows, used >= least
}

// Quantile is the value below which a share of the values lies, 0 without any.
func Quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return s[min(len(s)-1, int(share*float64(len(s))))]
}
