package solid

import "math"

// Slant is a parallel view onto the ground: a point at height z is seen at its place on the ground, shifted by z times
// X to the right and z times Y down. The zero value of X and Y looks straight down. +y of the mesh is up in the
// picture.
type Slant struct {
	X, Y     float64
	PerMetre float64 // samples per metre, above 0
}

// Project returns the sample of p, with the origin of the ground at sample 0, 0, and its depth.
func (v Slant) Project(p Vec) (x, y, depth float64, ok bool) {
	return (p.X + p.Z*v.X) * v.PerMetre, (p.Z*v.Y - p.Y) * v.PerMetre, -p.Dot(v.toEye(p)), true
}

func (v Slant) toEye(Vec) Vec { return Vec{-v.X, v.Y, 1}.Unit() }

// Window is a rectangle of samples: left, top, width and height.
type Window struct{ X, Y, W, H int }

// Trace calls visit for each sample of the mesh with the nearest surface, row by row. begin, called before, gets the
// window of the samples. The sample x, y is inside of the window and counts from the origin of the ground.
func (v Slant) Trace(m *Mesh, begin func(Window), visit func(x, y int, s *Surface)) {
	if len(m.Verts) == 0 {
		begin(Window{})
		return
	}
	s := new(sketch)
	s.project(v, 1, m, math.MaxInt32, math.MaxInt32)
	x0, y0, x1, y1 := v.bounds(m)
	s.cover(x0, y0, x1, y1)
	s.draw(m)
	begin(Window{s.x0, s.y0, s.w, s.h})
	for i, f := range s.face {
		if f >= 0 {
			visit(s.x0+i%s.w, s.y0+i/s.w, s.surface(v, m, i))
		}
	}
}

// bounds is the extent of the mesh in samples.
func (v Slant) bounds(m *Mesh) (x0, y0, x1, y1 float64) {
	x0, y0, x1, y1 = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range m.Verts {
		x, y, _, _ := v.Project(m.Verts[i].P)
		x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
	}
	return x0, y0, x1, y1
}

// Inside calls visit for each sample of the window in a square of size x size samples at left and top, with the index
// of the sample in the square and in the window.
func (w Window) Inside(left, top, size int, visit func(square, window int)) {
	for y := max(w.Y, top); y < min(w.Y+w.H, top+size); y++ {
		for x := max(w.X, left); x < min(w.X+w.W, left+size); x++ {
			visit((y-top)*size+x-left, (y-w.Y)*w.W+x-w.X)
		}
	}
}
