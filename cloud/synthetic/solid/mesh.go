package solid

import "math"

// Mesh is a surface of triangles with counter-clockwise corners, seen from outside. Place sets the normals.
type Mesh struct {
	Verts []Vertex
	Faces [][3]int32
	Open  bool // has sheets with visible backs
}

// Vertex is a corner. Tex is its place before Place, for patterns that move with the mesh.
type Vertex struct {
	P, Tex, N Vec
	Part      uint8 // for the shader of the mesh
}

// Ring is one cross-section of a tube: half axes around a centre. Pow 2 is an ellipse, a larger Pow is boxier. Down
// scales the lower half of the section against the upper one.
type Ring struct {
	C, R, U   Vec
	Pow, Down float64
}

// Tube adds a closed surface over at least two rings, in order of the direction R x U.
func (m *Mesh) Tube(rings []Ring, segments int, part uint8) {
	first := int32(len(m.Verts))
	n := int32(segments)
	for _, r := range rings {
		for k := range segments {
			s, c := math.Sincos(2 * math.Pi * float64(k) / float64(segments))
			if r.Pow != 2 {
				s, c = spow(s, 2/r.Pow), spow(c, 2/r.Pow)
			}
			if s < 0 {
				s *= r.Down
			}
			m.add(r.C.Add(r.R.Scale(c)).Add(r.U.Scale(s)), part)
		}
	}
	for i := range int32(len(rings)) - 1 {
		for k := range n {
			a, b := first+i*n+k, first+i*n+(k+1)%n
			m.Faces = append(m.Faces, [3]int32{a, b, a + n}, [3]int32{b, b + n, a + n})
		}
	}
	last := first + int32(len(rings)-1)*n
	start, end := m.add(rings[0].C, part), m.add(rings[len(rings)-1].C, part)
	for k := range n {
		l := (k + 1) % n
		m.Faces = append(m.Faces, [3]int32{first + l, first + k, start}, [3]int32{last + k, last + l, end})
	}
}

func spow(v, p float64) float64 { return math.Copysign(math.Pow(math.Abs(v), p), v) }

func (m *Mesh) add(p Vec, part uint8) int32 {
	m.Verts = append(m.Verts, Vertex{P: p, Tex: p, Part: part})
	return int32(len(m.Verts) - 1)
}

// Joint is a point of a limb with its half width along the side direction and its half thickness across it.
type Joint struct {
	At          Vec
	Width, High float64
}

// Limb adds a tube along a line of joints. side is the direction of its width.
func (m *Mesh) Limb(joints []Joint, side Vec, segments int, part uint8) {
	rings := make([]Ring, len(joints))
	for i, j := range joints {
		d := joints[min(i+1, len(joints)-1)].At.Sub(joints[max(i-1, 0)].At).Unit()
		s := side.Sub(d.Scale(side.Dot(d))).Unit()
		rings[i] = Ring{j.At, s.Scale(j.Width), d.Cross(s).Unit().Scale(j.High), 2, 1}
	}
	m.Tube(rings, segments, part)
}

// Ball adds an ellipsoid with right-handed half axes a, b, c. bulge, unless nil, scales the distance of a point from
// the centre, by its direction.
func (m *Mesh) Ball(at, a, b, c Vec, segments, layers int, bulge func(Vec) float64, part uint8) {
	first := len(m.Verts)
	rings := make([]Ring, layers)
	for i := range rings {
		s, k := math.Sincos(math.Pi * (float64(i) + 0.5) / float64(layers))
		rings[i] = Ring{at.Sub(c.Scale(k)), a.Scale(s), b.Scale(s), 2, 1}
	}
	m.Tube(rings, segments, part)
	if bulge == nil {
		return
	}
	for i := range m.Verts[first:] {
		v := &m.Verts[first+i]
		d := v.P.Sub(at)
		v.P = at.Add(d.Scale(bulge(d.Unit())))
		v.Tex = v.P
	}
}

// Box adds a cuboid with right-handed half axes a, b, c. Its sides are split into cells, so that patterns are right in
// perspective.
func (m *Mesh) Box(at, a, b, c Vec, cells int, part uint8) {
	for _, f := range [3][3]Vec{{a, b, c}, {b, c, a}, {c, a, b}} {
		m.sheet(at.Add(f[2]), f[0], f[1], cells, part)
		m.sheet(at.Sub(f[2]), f[0], f[1].Scale(-1), cells, part)
	}
}

// Sheet adds a flat parallelogram around at with half axes a and b.
func (m *Mesh) Sheet(at, a, b Vec, cells int, part uint8) {
	m.Open = true
	m.sheet(at, a, b, cells, part)
}

func (m *Mesh) sheet(at, a, b Vec, cells int, part uint8) {
	first := int32(len(m.Verts))
	n := int32(cells) + 1
	for i := range n {
		for k := range n {
			s, t := 2*float64(i)/float64(cells)-1, 2*float64(k)/float64(cells)-1
			m.add(at.Add(a.Scale(s)).Add(b.Scale(t)), part)
		}
	}
	for i := range n - 1 {
		for k := range n - 1 {
			v := first + i*n + k
			m.Faces = append(m.Faces, [3]int32{v, v + n, v + 1}, [3]int32{v + 1, v + n, v + n + 1})
		}
	}
}

// Place turns the mesh by heading, scales it, moves its origin to at and computes the normals. Tex has the places
// before.
func (m *Mesh) Place(at Vec, heading, scale float64) {
	s, c := math.Sincos(heading)
	for i := range m.Verts {
		v := &m.Verts[i]
		p := v.P.Scale(scale)
		v.P = Vec{at.X + p.X*c - p.Y*s, at.Y + p.X*s + p.Y*c, at.Z + p.Z}
		v.N = Vec{}
	}
	for _, f := range m.Faces {
		a, b, d := m.Verts[f[0]].P, m.Verts[f[1]].P, m.Verts[f[2]].P
		n := b.Sub(a).Cross(d.Sub(a))
		for _, i := range f {
			m.Verts[i].N = m.Verts[i].N.Add(n)
		}
	}
	for i := range m.Verts {
		m.Verts[i].N = m.Verts[i].N.Unit()
	}
}
