package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// member is an animal of the herd at its place.
type member struct {
	*cattle.Beast
	at      solid.Vec
	heading float64
}

// discs are the places and radii along the body that no other animal may overlap.
func (m *member) discs() [4][3]float64 {
	s, c := math.Sincos(m.heading)
	var out [4][3]float64
	for i, d := range [4][2]float64{{-0.6, 0.36}, {0, 0.4}, {0.55, 0.36}, {1.15, 0.2}} {
		out[i] = [3]float64{m.at.X + c*d[0]*m.Size, m.at.Y + s*d[0]*m.Size, d[1] * m.Size}
	}
	return out
}

// place is the place of a piece of clutter. With radius 0 animals may overlap it.
type place struct {
	at     solid.Vec
	radius float64
}

// temper holds what the animals of one herd have in common.
type temper struct {
	breeds  []cattle.Breed
	coat    cattle.Coat
	uniform float64    // share of animals with this coat
	poses   [4]float64 // weights
	facing  float64    // radians
	align   float64    // spread around facing, radians; large for none
	room    float64    // factor of the distance between animals
	groups  int        // 0 for an even distribution
	spread  float64    // size of a group in metres
	bunched float64    // share of animals that walk close beside another one
}

// herdSize returns a random number of animals for a picture in which each is length pixels long. About a fifth of the
// pictures have none.
func herdSize(r *rand.Rand, area, length float64) (n int, crowded bool) {
	switch v := r.Float64(); {
	case v < 0.16:
		return 0, false
	case v < 0.35:
		n = 1 + r.IntN(6)
	case v < 0.62:
		n = 6 + r.IntN(20)
	case v < 0.83:
		n = 20 + r.IntN(45)
	default:
		n, crowded = 30+r.IntN(91), true
	}
	return max(1, min(n, int(0.55*area/(0.3*length*length)))), crowded
}

func newTemper(r *rand.Rand, crowded bool) temper {
	main := cattle.Breed([]int{0, 0, 0, 1, 1, 1, 1, 2, 2, 3}[r.IntN(10)])
	t := temper{breeds: []cattle.Breed{main}, facing: 2 * math.Pi * r.Float64(), align: 9, room: 1.1 + r.Float64(), spread: 3 + 8*r.Float64()}
	if r.Float64() < 0.2 {
		t.breeds = append(t.breeds, cattle.Breed(r.IntN(4)))
	}
	t.coat = cattle.AnyCoat(r, main)
	if r.Float64() < 0.45 {
		t.uniform = 0.6 + 0.4*r.Float64()
	}
	for i := range t.poses {
		t.poses[i] = r.Float64() * r.Float64()
	}
	if r.Float64() < 0.35 {
		t.align = 0.2 + 0.5*r.Float64()
	}
	if r.Float64() < 0.6 {
		t.groups = 1 + r.IntN(4)
	}
	if crowded {
		t.room, t.groups, t.spread = 0.78+0.25*r.Float64(), 1, 2+3*r.Float64()
	} else if r.Float64() < 0.35 {
		t.bunched, t.room = 0.4+0.45*r.Float64(), 0.75+0.3*r.Float64()
	}
	return t
}

func (t *temper) pose(r *rand.Rand) cattle.Pose {
	v := r.Float64() * (t.poses[0] + t.poses[1] + t.poses[2] + t.poses[3])
	for i, w := range t.poses {
		if v < w {
			return cattle.Pose(i)
		}
		v -= w
	}
	return cattle.Standing
}

func (t *temper) animal(r *rand.Rand) *cattle.Beast {
	breed := t.breeds[r.IntN(len(t.breeds))]
	coat := t.coat
	if r.Float64() > t.uniform {
		coat = cattle.AnyCoat(r, breed)
	}
	return cattle.New(r, breed, t.pose(r), coat)
}

// placeHerd places n animals, or fewer when the ground is full. where returns a random place in view. largeEnough
// reports whether an animal at a place is large enough to see. line may be nil.
func placeHerd(r *rand.Rand, n int, crowded bool, where func() solid.Vec, largeEnough func(solid.Vec) bool, occupied []place, line *feedLine) []member {
	t := newTemper(r, crowded)
	var groups []solid.Vec
	for range t.groups {
		groups = append(groups, where())
	}
	spread := t.spread
	var herd []member
	for range n {
		beast := t.animal(r)
		for try := range 60 {
			p := where()
			if len(groups) > 0 && r.Float64() < 0.85 {
				g := groups[r.IntN(len(groups))]
				wide := spread * (1 + float64(try)/15)
				p = solid.Vec{X: g.X + wide*r.NormFloat64(), Y: g.Y + wide*r.NormFloat64()}
			}
			m := member{beast, p, t.facing + grain.Clamp(t.align*r.NormFloat64(), -math.Pi, math.Pi)}
			if t.align > 3 {
				m.heading = 2 * math.Pi * r.Float64()
			}
			if len(herd) > 0 && r.Float64() < t.bunched {
				m.placeBeside(r, &herd[r.IntN(len(herd))])
			}
			if line != nil && try < 20 {
				line.place(r, &m)
			}
			if largeEnough(m.at) && isFree(&m, herd, occupied, t.room) {
				herd = append(herd, m)
				break
			}
		}
		if crowded {
			spread = t.spread + 0.08*float64(len(herd))
		}
	}
	return herd
}

// placeBeside places an animal to the left or right of another one, with about the same heading.
func (m *member) placeBeside(r *rand.Rand, o *member) {
	sin, cos := math.Sincos(o.heading)
	along, across := 0.7*r.NormFloat64()*o.Size, (0.65+0.7*r.Float64())*o.Size
	if r.IntN(2) == 0 {
		across = -across
	}
	m.at = solid.Vec{X: o.at.X + cos*along - sin*across, Y: o.at.Y + sin*along + cos*across}
	m.heading = o.heading + 0.35*r.NormFloat64()
}

// place places an animal at the trough with its head over it.
func (l *feedLine) place(r *rand.Rand, m *member) {
	sin, cos := math.Sincos(l.turn)
	along, back := l.long*(2*r.Float64()-1), (1.45+0.15*r.NormFloat64())*m.Size
	m.at = solid.Vec{X: l.at.X + cos*along + sin*back, Y: l.at.Y + sin*along - cos*back}
	m.heading = l.turn + math.Pi/2 + 0.12*r.NormFloat64()
}

// isFree reports whether an animal overlaps no other one and no clutter.
func isFree(m *member, herd []member, occupied []place, room float64) bool {
	mine := m.discs()
	for _, h := range occupied {
		for _, d := range mine {
			if math.Hypot(d[0]-h.at.X, d[1]-h.at.Y) < d[2]+h.radius {
				return false
			}
		}
	}
	for i := range herd {
		o := &herd[i]
		if far := 3 * room; math.Abs(o.at.X-m.at.X) > far || math.Abs(o.at.Y-m.at.Y) > far {
			continue
		}
		for _, a := range o.discs() {
			for _, b := range mine {
				if math.Hypot(a[0]-b[0], a[1]-b[1]) < (a[2]+b[2])*room {
					return false
				}
			}
		}
	}
	return true
}
