package solid

import "math"

// Samples is the number of samples of a pixel in each direction.
const Samples = 2

// Canvas is a picture of samples, each with colour, depth and the number of its mesh, 0 for none. It belongs to one
// goroutine at a time.
type Canvas struct {
	Width, Height int // samples
	Colour        [][3]float32
	ID            []uint16
	depth         []float32
	sketch        sketch
}

// NewCanvas returns a canvas for a picture of width x height pixels.
func NewCanvas(width, height int) *Canvas {
	w, h := width*Samples, height*Samples
	c := &Canvas{Width: w, Height: h, Colour: make([][3]float32, w*h), ID: make([]uint16, w*h), depth: make([]float32, w*h)}
	c.Clear()
	return c
}

// Clear empties the canvas.
func (c *Canvas) Clear() {
	clear(c.ID)
	for i := range c.depth {
		c.depth[i] = math.MaxFloat32
	}
}

// Surface is the surface at a sample.
type Surface struct {
	P, Tex, N Vec     // N points towards the camera
	Facing    float64 // 1 for a surface square to the line of sight, 0 at the outline
	Part      uint8
}

// Shader returns the light from a surface towards the camera, and false for a hole in the surface.
type Shader func(s *Surface) (RGB, bool)

// sketch is the drawing of one mesh: for each sample of a window the nearest face and the place on it.
type sketch struct {
	x0, y0, w, h int
	depth        []float32
	face         []int32
	b, c         []float32 // weights of the face's second and third corner
	pts          []spot
}

type spot struct {
	x, y, z float64
	ok      bool
}

// window is the margin around the picture in which a mesh is drawn, in samples, to know how much of it is cut off.
const window = 200 * Samples

// Draw draws the mesh as number id, hidden by nearer ones. It returns the number of samples of the whole mesh,
// including hidden ones and those outside of the picture.
func (c *Canvas) Draw(cam *Camera, m *Mesh, id uint16, shade Shader) int {
	s := &c.sketch
	if !s.project(cam, Samples, m, c.Width, c.Height) {
		return 0
	}
	s.draw(m)
	covered := 0
	for y := range s.h {
		for x := range s.w {
			i := y*s.w + x
			if s.face[i] < 0 {
				continue
			}
			covered++
			px, py := s.x0+x, s.y0+y
			if px < 0 || py < 0 || px >= c.Width || py >= c.Height {
				continue
			}
			o := py*c.Width + px
			if s.depth[i] >= c.depth[o] {
				continue
			}
			col, ok := shade(s.surface(cam, m, i))
			if !ok {
				continue
			}
			c.depth[o], c.ID[o] = s.depth[i], id
			c.Colour[o] = [3]float32{float32(col.R), float32(col.G), float32(col.B)}
		}
	}
	return covered
}

func (s *sketch) surface(v view, m *Mesh, i int) *Surface {
	f := m.Faces[s.face[i]]
	p, q, r := &m.Verts[f[0]], &m.Verts[f[1]], &m.Verts[f[2]]
	b, c := float64(s.b[i]), float64(s.c[i])
	a := 1 - b - c
	blend := func(x, y, z Vec) Vec {
		return Vec{a*x.X + b*y.X + c*z.X, a*x.Y + b*y.Y + c*z.Y, a*x.Z + b*y.Z + c*z.Z}
	}
	out := &Surface{P: blend(p.P, q.P, r.P), Tex: blend(p.Tex, q.Tex, r.Tex), N: blend(p.N, q.N, r.N).Unit(), Part: p.Part}
	out.Facing = out.N.Dot(v.toEye(out.P))
	if out.Facing < 0 {
		out.N, out.Facing = out.N.Scale(-1), -out.Facing
	}
	return out
}

// view is a projection: the place of a point in the picture with its depth, and the direction from it to the eye.
type view interface {
	Project(p Vec) (x, y, depth float64, ok bool)
	toEye(p Vec) Vec
}

// project finds the corners of the mesh, with a number of samples for each pixel, and the window around them. It
// returns false for a mesh out of view.
func (s *sketch) project(v view, samples float64, m *Mesh, width, height int) bool {
	s.pts = s.pts[:0]
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range m.Verts {
		x, y, z, ok := v.Project(m.Verts[i].P)
		x, y = x*samples, y*samples
		s.pts = append(s.pts, spot{x, y, z, ok})
		if ok {
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
		}
	}
	w, h := float64(width), float64(height)
	if !(x0 < w && y0 < h && x1 > 0 && y1 > 0) {
		return false
	}
	s.cover(max(x0, -window), max(y0, -window), min(x1, w+window), min(y1, h+window))
	return true
}

// cover sets the window.
func (s *sketch) cover(x0, y0, x1, y1 float64) {
	s.x0, s.y0 = int(math.Floor(x0)), int(math.Floor(y0))
	s.w, s.h = int(math.Ceil(x1))-s.x0+1, int(math.Ceil(y1))-s.y0+1
}

// draw fills the window.
func (s *sketch) draw(m *Mesh) {
	s.clear(s.w * s.h)
	for i, f := range m.Faces {
		p, q, r := s.pts[f[0]], s.pts[f[1]], s.pts[f[2]]
		if m.Open || turn(p, q, r) < 0 { // the far side of a closed mesh is never visible
			s.fill(int32(i), p, q, r)
		}
	}
}

func (s *sketch) clear(n int) {
	if cap(s.face) < n {
		s.depth, s.face = make([]float32, n), make([]int32, n)
		s.b, s.c = make([]float32, n), make([]float32, n)
	}
	s.depth, s.face, s.b, s.c = s.depth[:n], s.face[:n], s.b[:n], s.c[:n]
	for i := range s.face {
		s.face[i] = -1
	}
}

// turn is twice the area of a triangle. It is negative when the corners are counter-clockwise on the screen.
func turn(p, q, r spot) float64 { return (q.x-p.x)*(r.y-p.y) - (q.y-p.y)*(r.x-p.x) }

// fill draws one face: the samples with their centre inside.
func (s *sketch) fill(face int32, p, q, r spot) {
	if !p.ok || !q.ok || !r.ok {
		return
	}
	area := turn(p, q, r)
	if area == 0 {
		return
	}
	left, top := float64(s.x0)+0.5, float64(s.y0)+0.5
	x0 := max(0, int(math.Ceil(min(p.x, q.x, r.x)-left)))
	x1 := min(s.w-1, int(math.Floor(max(p.x, q.x, r.x)-left)))
	y0 := max(0, int(math.Ceil(min(p.y, q.y, r.y)-top)))
	y1 := min(s.h-1, int(math.Floor(max(p.y, q.y, r.y)-top)))
	bx, cx := (r.y-p.y)/area, -(q.y-p.y)/area
	by, cy := -(r.x-p.x)/area, (q.x-p.x)/area
	for y := y0; y <= y1; y++ {
		dy := top + float64(y) - p.y
		for x := x0; x <= x1; x++ {
			dx := left + float64(x) - p.x
			b, c := dx*bx+dy*by, dx*cx+dy*cy
			if b < 0 || c < 0 || b+c > 1 {
				continue
			}
			i := y*s.w + x
			if z := float32(p.z + b*(q.z-p.z) + c*(r.z-p.z)); s.face[i] < 0 || z < s.depth[i] {
				s.face[i], s.depth[i], s.b[i], s.c[i] = face, z, float32(b), float32(c)
			}
		}
	}
}
