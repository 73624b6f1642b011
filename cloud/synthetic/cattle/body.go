package cattle

import (
	"math"

	"cattlecounter/cloud/synthetic/solid"
)

type vec = solid.Vec

func xyz(x, y, z float64) vec { return vec{X: x, Y: y, Z: z} }

// section is a cross-section of the trunk: place along the spine, heights of back and belly, half width, boxiness.
type section struct{ x, top, belly, half, pow float64 }

// trunks holds the bodies of grown animals in metres, from the tail to the chest.
var trunks = [breeds][]section{
	Dairy: {
		{-0.86, 1.20, 1.02, 0.05, 2}, {-0.82, 1.30, 0.86, 0.16, 2.3}, {-0.70, 1.37, 0.74, 0.225, 2.6}, {-0.47, 1.41, 0.66, 0.285, 3.2},
		{-0.30, 1.38, 0.62, 0.27, 2.4}, {-0.05, 1.36, 0.56, 0.345, 2.1}, {0.20, 1.36, 0.56, 0.345, 2}, {0.42, 1.38, 0.60, 0.295, 2},
		{0.60, 1.40, 0.62, 0.245, 2}, {0.76, 1.33, 0.68, 0.205, 2}, {0.88, 1.22, 0.78, 0.13, 2}, {0.92, 1.12, 0.9, 0.04, 2},
	},
	Beef: {
		{-0.86, 1.20, 0.98, 0.08, 2}, {-0.82, 1.30, 0.82, 0.20, 2.5}, {-0.70, 1.37, 0.70, 0.285, 2.8}, {-0.47, 1.39, 0.62, 0.315, 2.8},
		{-0.30, 1.37, 0.58, 0.315, 2.4}, {-0.05, 1.35, 0.54, 0.36, 2.2}, {0.20, 1.36, 0.52, 0.365, 2.2}, {0.42, 1.38, 0.54, 0.335, 2.2},
		{0.60, 1.40, 0.57, 0.30, 2.2}, {0.76, 1.35, 0.62, 0.25, 2}, {0.90, 1.24, 0.74, 0.16, 2}, {0.95, 1.12, 0.88, 0.05, 2},
	},
	Yak: {
		{-0.84, 1.14, 0.94, 0.10, 2}, {-0.80, 1.24, 0.80, 0.22, 2.2}, {-0.68, 1.30, 0.66, 0.29, 2.4}, {-0.47, 1.31, 0.58, 0.32, 2.4},
		{-0.30, 1.30, 0.55, 0.33, 2.2}, {-0.05, 1.30, 0.50, 0.37, 2.1}, {0.20, 1.35, 0.50, 0.37, 2}, {0.42, 1.46, 0.52, 0.34, 1.9},
		{0.58, 1.48, 0.55, 0.30, 1.9}, {0.76, 1.36, 0.60, 0.26, 2}, {0.90, 1.20, 0.70, 0.18, 2}, {0.96, 1.08, 0.84, 0.06, 2},
	},
	Buffalo: {
		{-0.88, 1.12, 0.96, 0.07, 2}, {-0.84, 1.22, 0.84, 0.19, 2.3}, {-0.70, 1.32, 0.70, 0.27, 2.6}, {-0.47, 1.36, 0.60, 0.315, 2.8},
		{-0.30, 1.34, 0.55, 0.32, 2.3}, {-0.05, 1.32, 0.50, 0.40, 2.1}, {0.20, 1.34, 0.50, 0.40, 2}, {0.42, 1.38, 0.54, 0.34, 2},
		{0.60, 1.38, 0.58, 0.28, 2}, {0.76, 1.28, 0.64, 0.23, 2}, {0.90, 1.16, 0.74, 0.15, 2}, {0.94, 1.06, 0.86, 0.05, 2},
	},
}

// drop is how much lower a lying body is, in metres of a grown animal.
const drop = 0.52

// Mesh returns the animal in its own frame in metres, on the ground at height 0. detail is its approximate length in
// pixels.
func (b *Beast) Mesh(detail float64) *solid.Mesh {
	m := &solid.Mesh{Verts: make([]solid.Vertex, 0, 700), Faces: make([][3]int32, 0, 1200)}
	k := builder{Beast: b, Mesh: m, around: 14, limb: 7}
	if detail < 28 {
		k.around, k.limb = 9, 4
	}
	k.trunk()
	k.legs()
	k.front()
	k.tail()
	if b.Breed == Yak {
		k.hair()
	}
	if b.Breed == Dairy && b.Pose != Lying && b.Size > 0.85 {
		m.Ball(vec{X: -0.5, Z: 0.6 * b.tall}, vec{X: 0.2}, vec{Y: 0.15}, vec{Z: 0.15}, k.limb+1, 4, nil, partUdder)
	}
	for i := range m.Verts {
		v := &m.Verts[i]
		v.P = k.lay(v.P)
		v.Tex = v.P
	}
	return m
}

type builder struct {
	*Beast
	*solid.Mesh
	around, limb int
}

// raise is the change of the height of the trunk by longer or shorter legs.
func (b *Beast) raise() float64 { return 0.6 * (b.tall - 1) }

// lay bends the spine and lowers a lying body.
func (b *Beast) lay(p vec) vec {
	p.Y += b.bend * (p.X*p.X/0.7 - 0.3)
	if b.Pose != Lying {
		return p
	}
	p.Z -= drop
	p.Y += 0.12 * b.side * (0.5 - p.Z) // the back leans away from the legs
	if p.Z < 0.08 {
		p.Z = 0.02 + 0.06*math.Exp((p.Z-0.08)*4)
	}
	return p
}

func (k *builder) trunk() {
	var rings []solid.Ring
	for _, s := range trunks[k.Breed] {
		top, belly, half := s.top+k.raise(), s.belly+k.raise(), s.half*k.girth
		if k.Pose == Lying {
			half *= 1.1 + 0.12*math.Exp(-8*(s.x+0.1)*(s.x+0.1))
		}
		// The widest place is in the lower half.
		middle := belly + 0.46*(top-belly)
		rings = append(rings, solid.Ring{C: xyz(s.x, 0, middle), R: vec{Y: half}, U: vec{Z: top - middle}, Pow: s.pow,
			Down: (middle - belly) / (top - middle)})
	}
	k.Tube(rings, k.around, partTrunk)
	if k.Breed != Dairy && k.Breed != Buffalo {
		return
	}
	for _, y := range []float64{-1, 1} { // the hip bones of a lean back
		k.Ball(xyz(-0.48, 0.205*k.girth*y, 1.3+k.raise()), vec{X: 0.12}, vec{Y: 0.085}, vec{Z: 0.09}, k.limb, 4, nil, partTrunk)
	}
}

func (k *builder) legs() {
	if k.Pose == Lying {
		k.folded()
		return
	}
	r := k.raise()
	thick := 0.92 + 0.5*(k.girth-0.93)
	if k.Breed == Yak || k.Breed == Buffalo {
		thick *= 1.15
	}
	for _, y := range []float64{-1, 1} {
		swing := k.stride * y
		hind := []solid.Joint{
			{At: xyz(-0.55, 0.17*y, 1.08+r), Width: 0.13, High: 0.26}, {At: xyz(-0.52+0.2*swing, 0.2*y, 0.78+r), Width: 0.1, High: 0.19},
			{At: xyz(-0.67+0.5*swing, 0.2*y, 0.48+r/2), Width: 0.055 * thick, High: 0.085 * thick},
			{At: xyz(-0.62+0.9*swing, 0.2*y, 0.14), Width: 0.045 * thick, High: 0.05 * thick},
		}
		fore := []solid.Joint{
			{At: xyz(0.54, 0.17*y, 0.98+r), Width: 0.09, High: 0.19}, {At: xyz(0.53-0.2*swing, 0.185*y, 0.68+r), Width: 0.07, High: 0.12},
			{At: xyz(0.56-0.6*swing, 0.18*y, 0.4+r/2), Width: 0.055 * thick, High: 0.065 * thick},
			{At: xyz(0.55-0.9*swing, 0.18*y, 0.13), Width: 0.042 * thick, High: 0.047 * thick},
		}
		for _, leg := range [][]solid.Joint{hind, fore} {
			k.Limb(leg, vec{Y: 1}, k.limb, partLeg)
			f := leg[3].At
			k.Limb([]solid.Joint{{At: f, Width: 0.05, High: 0.055}, {At: xyz(f.X+0.04, f.Y, 0), Width: 0.062, High: 0.075}}, vec{Y: 1}, k.limb, partHoof)
		}
	}
}

// folded adds the legs of a resting animal: the hind legs to one side, the fore legs under the chest with the knees in
// front. Heights are before lay.
func (k *builder) folded() {
	z := drop + 0.06
	out := -k.side
	k.Ball(xyz(-0.45, 0.28*out, z+0.2), vec{X: 0.32}, vec{Y: 0.2}, vec{Z: 0.26}, k.limb+1, 5, nil, partTrunk)
	k.Limb([]solid.Joint{{At: xyz(-0.3, 0.42*out, z+0.1), Width: 0.08, High: 0.1}, {At: xyz(-0.62, 0.52*out, z), Width: 0.06, High: 0.06},
		{At: xyz(-0.25, 0.58*out, z-0.03), Width: 0.045, High: 0.05}, {At: xyz(-0.12, 0.56*out, z-0.05), Width: 0.05, High: 0.05}}, vec{Y: 1}, k.limb, partLeg)
	for _, y := range []float64{-1, 1} {
		k.Limb([]solid.Joint{{At: xyz(0.55, 0.2*y, z+0.15), Width: 0.09, High: 0.13}, {At: xyz(0.92+0.08*y*k.side, 0.17*y, z), Width: 0.06, High: 0.07},
			{At: xyz(0.72, 0.21*y, z-0.05), Width: 0.05, High: 0.05}}, vec{Y: 1}, k.limb, partLeg)
	}
}

func (k *builder) tail() {
	root := xyz(-0.85, 0, 1.26+k.raise())
	side := 0.12 * k.bend / 0.06
	width := 0.03
	if k.Breed == Yak {
		width = 0.075
	}
	low := 0.45
	if k.Pose == Lying {
		low = drop + 0.1
	}
	k.Limb([]solid.Joint{{At: root, Width: width, High: width}, {At: xyz(-0.95, 0.3*side, 1.05), Width: width, High: width},
		{At: xyz(-0.97, side, low+0.25), Width: width * 0.9, High: width * 0.9}, {At: xyz(-0.96, side, low+0.1), Width: width * 1.7, High: width * 1.6},
		{At: xyz(-0.95, side, low), Width: width * 0.6, High: width * 0.6}}, vec{Y: 1}, 4, partTail)
}

// hair adds the long hair around a yak, with a ragged lower edge.
func (k *builder) hair() {
	var rings []solid.Ring
	hem := 0.26
	if k.Pose == Lying {
		hem = drop
	}
	for i, s := range trunks[Yak] {
		if i < 1 || i > len(trunks[Yak])-2 {
			continue
		}
		ragged := k.grain.At(float64(i)*1.7, 3)
		top, low := s.top+k.raise()-0.06, hem+0.22*ragged
		rings = append(rings, solid.Ring{C: xyz(s.x, 0, low+0.45*(top-low)), R: vec{Y: (s.half + 0.05) * k.girth * (0.94 + 0.14*ragged)},
			U: vec{Z: 0.55 * (top - low)}, Pow: 2.5, Down: 0.45 / 0.55})
	}
	first := len(k.Verts)
	k.Tube(rings, k.around+4, partHair)
	for i := range k.Verts[first:] {
		v := &k.Verts[first+i]
		tuft := k.grain.At3(v.P.X*9, v.P.Y*9, v.P.Z*4) - 0.5
		v.P.Y *= 1 + 0.2*tuft
		v.P.X *= 1 + 0.07*tuft
		if v.P.Z < 0.7+k.raise() {
			v.P.Z += 0.12 * tuft
		}
	}
}
