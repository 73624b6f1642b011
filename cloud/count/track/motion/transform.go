// Package motion finds the motion of the camera over the ground.
//
// It follows corners of the background from a keyframe into the new frame by the pyramidal Lucas-Kanade method
// (Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2000). The pictures are normalised to the
// same local contrast first, so faint grain of smooth ground counts and a change of light does not. The places of known
// animals are left out. RANSAC fits a similarity (shift, rotation, zoom), so other animals that walk are outliers. Where
// a homography explains many more corners, the view is oblique, and the similarity is fitted to all of them. A
// frame is registered against the earliest keyframe that overlaps enough, not only against the previous frame. So errors
// do not add up frame by frame, and a camera that returns to known ground finds the old coordinates.
//
// Lost ground is found again by features that do not depend on the heading (binary codes like those of Rublee et al.,
// "ORB: an efficient alternative to SIFT or SURF", 2011). A place counts as found only when the pictures themselves
// agree there, over most of their common part, and nowhere else.
//
// It is pure Go, does no I/O and is deterministic.
package motion

import "math"

// Point is a place in pixels of a frame or of the ground plane.
type Point struct{ X, Y float64 }

// Transform maps the plane to the plane. With C, D, PX and PY zero it is a similarity (shift, rotation, zoom):
// x' = A*x - B*y + TX, y' = B*x + A*y + TY. C and D add what makes it affine, PX and PY what makes it a homography:
//
//	x' = ((A+C)*x + (D-B)*y + TX) / (1 + PX*x + PY*y)
//	y' = ((B+D)*x + (A-C)*y + TY) / (1 + PX*x + PY*y)
//
// The zero value is not valid; use Identity.
type Transform struct{ A, B, TX, TY, C, D, PX, PY float64 }

// Identity changes nothing.
var Identity = Transform{A: 1}

// Apply maps p.
func (t Transform) Apply(p Point) Point {
	x := (t.A+t.C)*p.X + (t.D-t.B)*p.Y + t.TX
	y := (t.B+t.D)*p.X + (t.A-t.C)*p.Y + t.TY
	if t.PX == 0 && t.PY == 0 {
		return Point{x, y}
	}
	w := 1 + t.PX*p.X + t.PY*p.Y
	return Point{x / w, y / w}
}

// Similar reports whether t is a similarity.
func (t Transform) Similar() bool { return t.C == 0 && t.D == 0 && t.PX == 0 && t.PY == 0 }

// Then is the transform that applies t first and u second.
func (t Transform) Then(u Transform) Transform {
	if t.Similar() && u.Similar() {
		o := u.Apply(Point{t.TX, t.TY})
		return Transform{A: u.A*t.A - u.B*t.B, B: u.B*t.A + u.A*t.B, TX: o.X, TY: o.Y}
	}
	return u.matrix().times(t.matrix()).transform()
}

// Inverse is the transform that undoes t. Every transform of this package has one.
func (t Transform) Inverse() Transform {
	if !t.Similar() {
		return t.matrix().adjugate().transform()
	}
	n := t.A*t.A + t.B*t.B
	inv := Transform{A: t.A / n, B: -t.B / n}
	o := inv.Apply(Point{t.TX, t.TY})
	inv.TX, inv.TY = -o.X, -o.Y
	return inv
}

// Scale is the zoom factor of t, above 0. For a homography it is that at (0, 0); use ScaleAt where it matters.
func (t Transform) Scale() float64 { return t.ScaleAt(Point{}) }

// ScaleAt is the zoom factor of t at the place p: the square root of the factor by which t enlarges areas there.
func (t Transform) ScaleAt(p Point) float64 {
	if t.Similar() {
		return math.Hypot(t.A, t.B)
	}
	// The Jacobian determinant of a homography is det(H) / w^3.
	w := math.Abs(1 + t.PX*p.X + t.PY*p.Y)
	return math.Sqrt(math.Abs(t.matrix().det()) / (w * w * w))
}

// mixed is a part f of the way from t to u.
func (t Transform) mixed(u Transform, f float64) Transform {
	g := 1 - f
	return Transform{
		A: g*t.A + f*u.A, B: g*t.B + f*u.B, TX: g*t.TX + f*u.TX, TY: g*t.TY + f*u.TY,
		C: g*t.C + f*u.C, D: g*t.D + f*u.D, PX: g*t.PX + f*u.PX, PY: g*t.PY + f*u.PY,
	}
}

// part is about the f-th part of the motion t.
func (t Transform) part(f float64) Transform { return Identity.mixed(t, f) }

// overlap is the share of a w x h frame that t keeps inside a w x h frame.
func (t Transform) overlap(w, h float64) float64 {
	const n = 8
	in := 0
	for i := range n {
		for j := range n {
			p := t.Apply(Point{(float64(i) + 0.5) * w / n, (float64(j) + 0.5) * h / n})
			if p.X >= 0 && p.X < w && p.Y >= 0 && p.Y < h {
				in++
			}
		}
	}
	return float64(in) / (n * n)
}

// matrix is a 3x3 matrix by rows, for homogeneous coordinates.
type matrix [9]float64

func (t Transform) matrix() matrix {
	return matrix{t.A + t.C, t.D - t.B, t.TX, t.B + t.D, t.A - t.C, t.TY, t.PX, t.PY, 1}
}

func (m matrix) transform() Transform {
	for i := range m[:8] {
		m[i] /= m[8]
	}
	return Transform{
		A: (m[0] + m[4]) / 2, C: (m[0] - m[4]) / 2, B: (m[3] - m[1]) / 2, D: (m[3] + m[1]) / 2,
		TX: m[2], TY: m[5], PX: m[6], PY: m[7],
	}
}

func (m matrix) times(n matrix) matrix {
	var o matrix
	for r := range 3 {
		for c := range 3 {
			o[3*r+c] = m[3*r]*n[c] + m[3*r+1]*n[3+c] + m[3*r+2]*n[6+c]
		}
	}
	return o
}

func (m matrix) adjugate() matrix {
	return matrix{
		m[4]*m[8] - m[5]*m[7], m[2]*m[7] - m[1]*m[8], m[1]*m[5] - m[2]*m[4],
		m[5]*m[6] - m[3]*m[8], m[0]*m[8] - m[2]*m[6], m[2]*m[3] - m[0]*m[5],
		m[3]*m[7] - m[4]*m[6], m[1]*m[6] - m[0]*m[7], m[0]*m[4] - m[1]*m[3],
	}
}

func (m matrix) det() float64 {
	a := m.adjugate()
	return m[0]*a[0] + m[1]*a[3] + m[2]*a[6]
}
