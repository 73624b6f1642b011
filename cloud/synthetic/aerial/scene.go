package aerial

import (
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/grain"
	"cattlecounter/cloud/synthetic/solid"
)

// scene is all that one picture shows.
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

// smallest is the length in pixels below which an animal is too small to tell;
// none stands so far away.
const smallest = 7.5

func newScene(r *rand.Rand, width, height int) *scene {
	s := &scene{}
	length := s.view(r, width, height)
	where := s.chooser(r, width, height)
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
	var held []taken
	for _, t := range s.things {
		if t.taken.radius > 0 {
			held = append(held, t.taken)
		}
	}
	s.herd = settle(r, n, crowded, where, s.plain, held, line)
	s.lens = newLens(r)
	return s
}

// view sets the camera and returns the length in pixels of a grown animal in
// the middle of the picture.
func (s *scene) view(r *rand.Rand, width, height int) float64 {
	lengths := [2]float64{20, 90}
	switch v := r.Float64(); {
	case v < 0.25:
		lengths = [2]float64{8.5, 140}
	case v < 0.45: // near, and sharp
		lengths = [2]float64{80, 230}
	}
	length := lengths[0] * math.Pow(lengths[1]/lengths[0], r.Float64())
	tilt, roll := 0.06*r.NormFloat64(), 2*math.Pi*r.Float64()
	switch v := r.Float64(); {
	case v < 0.3:
		tilt, roll = (8+57*r.Float64())*math.Pi/180, 0.05*r.NormFloat64()
	case v < 0.55: // from a low flight, where animals stand before each other
		tilt, roll = (60+20*r.Float64())*math.Pi/180, 0.05*r.NormFloat64()
	}
	opening := (20 + 50*r.Float64()) * math.Pi / 180
	focal := float64(width) / 2 / math.Tan(opening/2)
	s.cam = solid.NewCamera(width, height, focal, focal*cattle.Length/length, tilt, roll)
	return length
}

// chooser draws places in or just outside the view, evenly over the picture but
// thinner where animals are hardly large enough to tell. When the view has
// none, it answers the middle.
func (s *scene) chooser(r *rand.Rand, width, height int) func() solid.Vec {
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

// plain tells whether an animal at p is before the camera and large enough to
// tell.
func (s *scene) plain(p solid.Vec) bool { return s.cam.PerMetre(p)*cattle.Length > smallest }

// feedLine is a trough along which animals stand side by side.
type feedLine struct {
	at   solid.Vec
	turn float64 // direction of the trough in radians; the animals stand to its right
	long float64 // half its length in metres
}

// feeding sets up a trough for some of the larger herds, nil for the others.
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

// horizon plants woods far away in views that reach that far.
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

// kinds of clutter with the share of pictures that have them, and how many.
var kinds = []struct {
	share float64
	most  int
	build func(*rand.Rand) thing
}{
	{0.3, 25, bush}, {0.2, 8, tree}, {0.25, 20, rock}, {0.15, 10, bale}, {0.2, 4, trough}, {0.12, 3, tank}, {0.15, 8, log},
	{0.15, 4, car}, {0.1, 2, tractor}, {0.15, 3, lorry}, {0.15, 3, hut}, {0.1, 2, roof}, {0.08, 4, person},
}

func (s *scene) clutter(r *rand.Rand, where func() solid.Vec, extent float64) {
	place := func(t thing, at solid.Vec, heading float64) {
		t.mesh.Place(at, heading, 1)
		t.taken.at = at
		s.things = append(s.things, t)
	}
	for _, k := range kinds {
		if r.Float64() > k.share {
			continue
		}
		for range 1 + r.IntN(k.most) {
			at := where()
			place(k.build(r), at, 2*math.Pi*r.Float64())
		}
	}
	if r.Float64() < 0.25 {
		turn := 2 * math.Pi * r.Float64()
		for range 1 + r.IntN(2) {
			at := where()
			place(fence(r, extent, s.cam.PerMetre(at)), at, turn)
			turn += math.Pi / 2
		}
	}
}

// onRow appends to list the decals that a row of the picture may meet.
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

// behind is ground or sky at a pixel. shade is the part of the sun and close
// the part of the sky that something takes away there.
func (s *scene) behind(x, y, shade, near float64, spots []*decal) solid.RGB {
	p, ok := s.cam.Ground(x, y)
	if !ok {
		return s.light.above(s.cam.Ray(x, y))
	}
	k := s.cam.PerMetre(p)
	view := s.cam.Pos().Sub(p)
	metres := view.Len()
	// A pixel covers more ground the flatter it looks.
	px := 1 / k / math.Sqrt(max(view.Z/metres, 0.05))
	c := s.ground.at(p, px)
	for _, d := range spots {
		c = d.over(c, p, s.light.sky)
	}
	c = s.light.on(c, xyz(0, 0, 1), shade, 1-0.6*near)
	return s.light.through(c, metres)
}

// lit is the light on an animal; its underside sees little of the sky.
func (s *scene) lit(shade float64) cattle.Light {
	return func(reflects solid.RGB, f *solid.Surface) solid.RGB {
		return s.light.on(reflects, f.N, shade, (1-0.3*shade)*(0.45+0.55*grain.Ramp(0.2, 1.1, f.P.Z)))
	}
}

// hazed puts the air before what a shader shows.
func (s *scene) hazed(shade solid.Shader) solid.Shader {
	return func(f *solid.Surface) (solid.RGB, bool) {
		c, ok := shade(f)
		if !ok {
			return c, false
		}
		return s.light.through(c, f.P.Sub(s.cam.Pos()).Len()), true
	}
}
