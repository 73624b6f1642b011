// Package motion finds the motion of the camera over the ground.
//
// It follows corners of the background from a keyframe into the new frame by the pyramidal Lucas-Kanade method
// (Bouguet, "Pyramidal Implementation of the Lucas Kanade Feature Tracker", 2000). RANSAC fits a similarity (shift,
// rotation, zoom), so walking animals are outliers. A frame is registered against the earliest keyframe that overlaps
// enough, not only against the previous frame. So errors do not add up frame by frame, and a camera that returns to
// known ground finds the old coordinates.
//
// It is pure Go, does no I/O and is deterministic.
package motion

import "math"

// Point is a place in pixels of a frame or of the ground plane.
type Point struct{ X, Y float64 }

// Transform is a similarity: x' = A*x - B*y + TX, y' = B*x + A*y + TY.
// The zero value is not valid; use Identity.
type Transform struct{ A, B, TX, TY float64 }

// Identity changes nothing.
var Identity = Transform{A: 1}

// Apply maps p.
func (t Transform) Apply(p Point) Point {
	return Point{t.A*p.X - t.B*p.Y + t.TX, t.B*p.X + t.A*p.Y + t.TY}
}

// Then is the transform that applies t first and u second.
func (t Transform) Then(u Transform) Transform {
	o := u.Apply(Point{t.TX, t.TY})
	return Transform{A: u.A*t.A - u.B*t.B, B: u.B*t.A + u.A*t.B, TX: o.X, TY: o.Y}
}

// Inverse is the transform that undoes t. Every transform of this package has one.
func (t Transform) Inverse() Transform {
	n := t.A*t.A + t.B*t.B
	inv := Transform{A: t.A / n, B: -t.B / n}
	o := inv.Apply(Point{t.TX, t.TY})
	inv.TX, inv.TY = -o.X, -o.Y
	return inv
}

// Scale is the zoom factor of t, above 0.
func (t Transform) Scale() float64 { return math.Hypot(t.A, t.B) }

// scaled is t for coordinates that are f times as large.
func (t Transform) scaled(f float64) Transform {
	return Transform{A: t.A, B: t.B, TX: t.TX * f, TY: t.TY * f}
}

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
