package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// scene is the contents of one picture.
type scene struct {
	cam      *solid.Camera
	light    *light
	ground   *ground
	decals   []decal
	things   []thing
	herd     []member
	lens     *lens
	penumbra float64 // softness of shadows in metres
}

// smallest is the least length of an animal in pixels. No animal is farther away.
const smallest = 7.5

func newScene(r *rand.Rand, width, height int) *scene {
	s := &scene{}
	length := s.view(r, width, height)
	where := s.randomPlaces(r, width, height)
	extent := float64(width) / s.cam.PerMetre(solid.Vec{})
	var kind int
	s.ground, kind = newGround(r, extent)
	s.light = newLight(r, s.ground.soils[0].a)
	s.ground.sun = s.light.sun
	s.penumbra = 0.03 + 0.12*r.Float64()
	s.decals = spots(r, where, kind == mud || kind == brownEarth || kind == concrete)
	s.clutter(r, where, extent)
	s.horizon(r, width)
	n, crowded := herdSize(r, float64(width*height), length)
	line := s.feeding(r, n, crowded, where)
	var occupied []place
	for _, t := range s.things {
		if t.place.radius > 0 {
			occupied = append(occupied, t.place)
		}
	}
	s.herd = placeHerd(r, n, crowded, where, s.largeEnough, occupied, line)
	s.lens = newLens(r)
	return s
}

// view sets the camera and returns the length of a grown animal in the middle of the picture, in pixels.
func (s *scene) view(r *rand.Rand, width, height int) float64 {
	lengths := [2]float64{20, 90}
	switch v := r.Float64(); {
	case v < 0.25:
		lengths = [2]float64{8.5, 140}
	case v < 0.45: // near
		lengths = [2]float64{80, 230}
	}
	length := lengths[0] * math.Pow(lengths[1]/lengths[0], r.Float64())
	tilt, roll := 0.06*r.NormFloat64(), 2*math.Pi*r.Float64()
	switch v := r.Float64(); {
	case v < 0.3:
		tilt, roll = (8+57*r.Float64())*math.Pi/180, 0.05*r.NormFloat64()
	case v < 0.55: // from a low flight; animals hide each other
		tilt, roll = (60+20*r.Float64())*math.Pi/180, 0.05*r.NormFloat64()
	}
	opening := (20 + 50*r.Float64()) * math.Pi / 180
	focal := float64(width) / 2 / math.Tan(opening/2)
	s.cam = solid.NewCamera(width, height, focal, focal*cattle.Length/length, tilt, roll)
	return length
}

// randomPlaces returns a function for random places in or just outside of the view, evenly over the picture. There are
// fewer places where animals are almost too small. The origin is the answer when the view has no place.
func (s *scene) randomPlaces(r *rand.Rand, width, height int) func() solid.Vec {
	return func() solid.Vec {
		for range 50 {
			g, ok := s.cam.Ground(float64(width)*(r.Float64()*1.06-0.03), float64(height)*(r.Float64()*1.06-0.03))
			if !ok {
				continue
			}
			if k := s.cam.PerMetre(g) * cattle.Length / smallest; k > 2 || k > 2*r.Float64() && k > 1 {
				return g
			}
		}
		return solid.Vec{}
	}
}

// largeEnough reports whether an animal at p is in front of the camera and large enough to see.
func (s *scene) largeEnough(p solid.Vec) bool { return s.cam.PerMetre(p)*cattle.Length > smallest }

// feedLine is a trough with animals side by side.
type feedLine struct {
	at   solid.Vec
	turn float64 // direction of the trough in radians; the animals stand to its right
	long float64 // half its length in metres
}

// feeding adds a trough for some of the larger herds. It returns nil for the others.
func (s *scene) feeding(r *rand.Rand, n int, crowded bool, where func() solid.Vec) *feedLine {
	if n < 6 || r.Float64() > 0.1 && (!crowded || r.Float64() > 0.3) {
		return nil
	}
	at := where()
	l := &feedLine{at, 2 * math.Pi * r.Float64(), 0.55 * float64(n)}
	if r.Float64() < 0.7 {
		t := bunk(r, l.long)
		t.mesh.Place(at, l.turn, 1)
		s.things = append(s.things, t)
	}
	return l
}

// horizon adds woods far away in views with a horizon.
func (s *scene) horizon(r *rand.Rand, width int) {
	if _, ok := s.cam.Ground(float64(width)/2, 0); ok || r.Float64() < 0.3 {
		return
	}
	far := 120 + 300*r.Float64()
	for range 20 + r.IntN(60) {
		d := s.cam.Ray(float64(width)*(1.2*r.Float64()-0.1), 0)
		k := far * (1 + 0.4*r.Float64()) / math.Hypot(d.X, d.Y)
		t := wood(r)
		t.mesh.Place(xyz(d.X*k, d.Y*k, 0), 0, 1)
		s.things = append(s.things, t)
	}
}

// kinds of clutter, with the share of pictures that have them and their largest number.
var kinds = []struct {
	share float64
	max   int
	build func(*rand.Rand) thing
}{
	{0.3, 25, bush}, {0.2, 8, tree}, {0.25, 20, rock}, {0.15, 10, bale}, {0.2, 4, trough}, {0.12, 3, tank}, {0.15, 8, log},
	{0.15, 4, car}, {0.1, 2, tractor}, {0.15, 3, lorry}, {0.15, 3, hut}, {0.1, 2, roof}, {0.08, 4, person},
}

func (s *scene) clutter(r *rand.Rand, where func() solid.Vec, extent float64) {
	add := func(t thing, at solid.Vec, heading float64) {
		t.mesh.Place(at, heading, 1)
		t.place.at = at
		s.things = append(s.things, t)
	}
	for _, k := range kinds {
		if r.Float64() > k.share {
			continue
		}
		for range 1 + r.IntN(k.max) {
			at := where()
			add(k.build(r), at, 2*math.Pi*r.Float64())
		}
	}
	if r.Float64() < 0.25 {
		turn := 2 * math.Pi * r.Float64()
		for range 1 + r.IntN(2) {
			at := where()
			add(fence(r, extent, s.cam.PerMetre(at)), at, turn)
			turn += math.Pi / 2
		}
	}
}

// onRow appends to list the decals that may be in a row of the picture.
func (s *scene) onRow(list []*decal, y float64) []*decal {
	for i := range s.decals {
		d := &s.decals[i]
		_, at, _, ok := s.cam.Project(d.at)
		if reach := 1.7 * d.long * s.cam.PerMetre(d.at); !ok || math.Abs(at-y) < 1.3*reach+1 {
			list = append(list, d)
		}
	}
	return list
}

// background is the ground or sky at a pixel. shade is the covered share of the sun there, near that of the sky.
func (s *scene) background(x, y, shade, near float64, spots []*decal) solid.RGB {
	p, ok := s.cam.Ground(x, y)
	if !ok {
		return s.light.skyAt(s.cam.Ray(x, y))
	}
	k := s.cam.PerMetre(p)
	view := s.cam.Pos().Sub(p)
	metres := view.Len()
	// A pixel covers more ground at a flatter angle.
	px := 1 / k / math.Sqrt(max(view.Z/metres, 0.05))
	c := s.ground.at(p, px)
	for _, d := range spots {
		c = d.over(c, p, s.light.sky)
	}
	c = s.light.reflected(c, xyz(0, 0, 1), shade, 1-0.6*near)
	return s.light.hazed(c, metres)
}

// lit is the light on an animal. Its underside gets little light from the sky.
func (s *scene) lit(shade float64) cattle.Light {
	return func(reflects solid.RGB, f *solid.Surface) solid.RGB {
		return s.light.reflected(reflects, f.N, shade, (1-0.3*shade)*(0.45+0.55*grain.Ramp(0.2, 1.1, f.P.Z)))
	}
}

// hazed adds the air between camera and surface to a shader.
func (s *scene) hazed(shade solid.Shader) solid.Shader {
	return func(f *solid.Surface) (solid.RGB, bool) {
		c, ok := shade(f)
		if !ok {
			return c, false
		}
		return s.light.hazed(c, f.P.Sub(s.cam.Pos()).Len()), true
	}
}
