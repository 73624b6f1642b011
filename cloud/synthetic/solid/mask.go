package solid

import "math"

// Mask is the covered share of each pixel, 0..255, for shadows on the ground.
type Mask struct {
	Width, Height int // pixels
	Cover         []uint8
	hits, rows    []uint8
	pts           []spot
}

// NewMask returns an empty mask for a picture of width x height pixels.
func NewMask(width, height int) *Mask {
	return &Mask{Width: width, Height: height, Cover: make([]uint8, width*height),
		hits: make([]uint8, width*height*Samples*Samples), rows: make([]uint8, max(width, height))}
}

// Clear empties the mask.
func (m *Mask) Clear() { clear(m.hits) }

// Cast adds the shadow of the mesh on the ground. sun is the direction to the sun, upwards.
func (m *Mask) Cast(cam *Camera, mesh *Mesh, sun Vec) {
	m.pts = m.pts[:0]
	w, h := float64(m.Width), float64(m.Height)
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range mesh.Verts {
		p := mesh.Verts[i].P
		p = p.Sub(sun.Scale(p.Z / sun.Z))
		x, y, _, ok := cam.Project(p)
		m.pts = append(m.pts, spot{x: x * Samples, y: y * Samples, ok: ok})
		if ok {
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x), max(y1, y)
		}
	}
	if !(x0 < w && y0 < h && x1 > 0 && y1 > 0) {
		return
	}
	for _, f := range mesh.Faces {
		p, q, r := m.pts[f[0]], m.pts[f[1]], m.pts[f[2]]
		if mesh.Open || turn(p, q, r) < 0 { // the side away from the sun has the same shadow
			m.fill(p, q, r)
		}
	}
}

// Hit reports whether the ground at p is in a shadow. It is false outside of the picture.
func (m *Mask) Hit(cam *Camera, p Vec) bool {
	x, y, _, ok := cam.Project(p)
	sx, sy := int(math.Floor(x*Samples)), int(math.Floor(y*Samples))
	return ok && sx >= 0 && sy >= 0 && sx < m.Width*Samples && sy < m.Height*Samples && m.hits[sy*m.Width*Samples+sx] != 0
}

func (m *Mask) fill(p, q, r spot) {
	if !p.ok || !q.ok || !r.ok {
		return
	}
	w, h := m.Width*Samples, m.Height*Samples
	y0 := max(0, int(math.Ceil(min(p.y, q.y, r.y)-0.5)))
	y1 := min(h-1, int(math.Floor(max(p.y, q.y, r.y)-0.5)))
	for y := y0; y <= y1; y++ {
		from, to := crossing(p, q, r, float64(y)+0.5)
		x0, x1 := max(0, int(math.Ceil(from-0.5))), min(w-1, int(math.Floor(to-0.5)))
		for x := x0; x <= x1; x++ {
			m.hits[y*w+x] = 1
		}
	}
}

// crossing returns the places where the line at height y enters and leaves the triangle.
func crossing(p, q, r spot, y float64) (from, to float64) {
	from, to = math.Inf(1), math.Inf(-1)
	for _, e := range [3][2]spot{{p, q}, {q, r}, {r, p}} {
		a, b := e[0], e[1]
		if (a.y <= y) == (b.y <= y) {
			continue
		}
		x := a.x + (y-a.y)/(b.y-a.y)*(b.x-a.x)
		from, to = min(from, x), max(to, x)
	}
	return from, to
}

// Resolve sums the samples into Cover and softens the edges over radius pixels.
func (m *Mask) Resolve(radius int) {
	w := m.Width * Samples
	for y := range m.Height {
		for x := range m.Width {
			o := y*Samples*w + x*Samples
			m.Cover[y*m.Width+x] = uint8((int(m.hits[o]) + int(m.hits[o+1]) + int(m.hits[o+w]) + int(m.hits[o+w+1])) * 255 / 4)
		}
	}
	if radius < 1 {
		return
	}
	for range 2 {
		for y := range m.Height {
			m.soften(y*m.Width, 1, m.Width, radius)
		}
		for x := range m.Width {
			m.soften(x, m.Width, m.Height, radius)
		}
	}
}

// soften takes the running mean along a row or a column of n pixels.
func (m *Mask) soften(first, step, n, radius int) {
	for i := range n {
		m.rows[i] = m.Cover[first+i*step]
	}
	sum := int(m.rows[0]) * radius
	for i := range radius {
		sum += int(m.rows[min(i, n-1)])
	}
	for i := range n {
		sum += int(m.rows[min(i+radius, n-1)])
		m.Cover[first+i*step] = uint8(sum / (2*radius + 1))
		sum -= int(m.rows[max(i-radius, 0)])
	}
}
