package motion

import (
	"math"
	"math/rand/v2"
	"testing"

	"cattlecounter/cloud/count/video"
)

// scene is a way of the camera with interruptions. A frame without a camera is blank.
type scene struct {
	cameras []*Transform
	level   byte // of blank frames
}

func (s *scene) fly(n int, path func(i int) Transform) *scene {
	for i := range n {
		c := path(i)
		s.cameras = append(s.cameras, &c)
	}
	return s
}

func (s *scene) blind(n int) *scene {
	s.cameras = append(s.cameras, make([]*Transform, n)...)
	return s
}

// flown is what became of a scene: where the ground of the last frame's segment lies.
type flown struct {
	last  Pose
	joins []Join
	wrong float64 // pixels, of the last frame, against the segment that the first frame was in
	worst float64 // of all sure frames in the first segment
}

func watch(t *testing.T, g *ground, s *scene, w, h int) flown {
	t.Helper()
	var r Registrar
	var out flown
	first := s.cameras[0].Inverse()
	for i, c := range s.cameras {
		f := blank(w, h, s.level)
		if c != nil {
			f = g.render(*c, w, h, 1)
		}
		p := r.Register(f, nil)
		if p.Joined != nil {
			out.joins = append(out.joins, *p.Joined)
			if p.Segment != p.Joined.To {
				t.Errorf("frame %d: segment %d after a join to %d", i, p.Segment, p.Joined.To)
			}
		}
		if c != nil {
			out.wrong = worstCorner(p.ToGround, c.Then(first), float64(w), float64(h))
			if p.Segment == 0 && p.Inliers > 0 {
				out.worst = max(out.worst, out.wrong)
			}
		}
		out.last = p
	}
	return out
}

func TestLostGroundIsFoundAgain(t *testing.T) {
	const w, h = 480, 320
	g := field()
	hover := func(int) Transform { return at(600, 400, 0, 1) }
	pan := func(from float64) func(int) Transform {
		return func(i int) Transform { return at(from+30*float64(i), 300, 0, 1) }
	}
	// turned looks at the place (760, 560), turned and zoomed.
	turned := func(degrees, zoom float64) func(int) Transform {
		return func(int) Transform {
			c := at(0, 0, degrees, zoom)
			m := c.Apply(Point{w / 2, h / 2})
			return at(760-m.X, 560-m.Y, degrees, zoom)
		}
	}
	for name, s := range map[string]*scene{
		"3 s of white in a hover":    (&scene{level: 255}).fly(5, hover).blind(18).fly(4, hover),
		"3 s of white in a pan":      (&scene{level: 255}).fly(8, pan(100)).blind(18).fly(4, pan(340+18*20)),
		"a minute of fog in a hover": (&scene{level: 180}).fly(5, hover).blind(45).fly(4, hover),
		"a cut, and back":            (&scene{}).fly(5, pan(100)).fly(5, pan(1300)).fly(5, pan(160)),
		"white, other ground, a way back": (&scene{level: 255}).fly(6, pan(60)).blind(38).
			fly(22, func(i int) Transform { return at(1000-45*float64(i), 300, 0, 1) }),
		"turned by 180 degrees": (&scene{level: 255}).fly(4, hover).blind(38).fly(4, turned(180, 1)),
		"turned by 75 degrees":  (&scene{level: 255}).fly(4, hover).blind(38).fly(4, turned(75, 1)),
		"zoomed out":            (&scene{level: 255}).fly(4, hover).blind(38).fly(4, turned(0, 1.4)),
		"zoomed in, and turned": (&scene{level: 255}).fly(4, hover).blind(38).fly(4, turned(-130, 0.72)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := watch(t, g, s, w, h)
			if got.last.Segment != 0 || got.wrong > 6 || got.worst > 6 {
				t.Errorf("segment %d, wrong by %.1f pixels at the end and %.1f at worst, joins %v",
					got.last.Segment, got.wrong, got.worst, got.joins)
			}
		})
	}
}

// A join must place the ground of the later segment where it is.
func TestJoinMapsTheLaterSegment(t *testing.T) {
	const w, h = 480, 320
	g := field()
	s := (&scene{}).fly(6, func(i int) Transform { return at(60+30*float64(i), 300, 0, 1) }).
		fly(24, func(i int) Transform { return at(1300-45*float64(i), 330, 0, 1) })
	got := watch(t, g, s, w, h)
	if len(got.joins) != 1 || got.last.Segment != 0 {
		t.Fatalf("joins %v, segment %d, want one join to segment 0", got.joins, got.last.Segment)
	}
	// The later segment begins at the first frame of the new place that another frame confirmed: the second one.
	p := got.joins[0].Map.Apply(Point{})
	want := Point{1300 - 45 - 60, 30}
	if math.Hypot(p.X-want.X, p.Y-want.Y) > 8 {
		t.Errorf("the later ground begins at %v, want %v", p, want)
	}
}

// Ground that repeats must not be taken for ground that was seen before.
func TestRepeatingGroundDoesNotJoin(t *testing.T) {
	const w, h = 480, 320
	slabs := &ground{w: 2200, h: 1300, v: make([]float64, 2200*1300)}
	for y := range slabs.h {
		for x := range slabs.w {
			v := 150.0
			if x%64 < 5 || y%64 < 5 {
				v = 90
			}
			slabs.v[y*slabs.w+x] = v
		}
	}
	s := (&scene{level: 255}).fly(4, func(int) Transform { return at(100, 100, 0, 1) }).blind(38).
		fly(6, func(i int) Transform { return at(1300+3*float64(i), 620, 0, 1) })
	if got := watch(t, slabs, s, w, h); got.last.Segment == 0 || len(got.joins) > 0 {
		t.Errorf("segment %d with joins %v, want a segment of its own", got.last.Segment, got.joins)
	}
}

// A frame that shakes, flashes or freezes must not move the ground.
func TestSingleBadFrames(t *testing.T) {
	const w, h = 480, 320
	g := field()
	var r Registrar
	pan := func(i int) Transform { return at(100+30*float64(i), 300, 0, 1) }
	for i := range 24 {
		f := g.render(pan(i), w, h, 1)
		bad := false
		switch i {
		case 6: // a flash
			f, bad = blank(w, h, 255), true
		case 10, 11: // garbage of a damaged stretch
			f, bad = newGarbage(w, h, uint64(i)), true
		case 16: // the frame before once more
			f, bad = g.render(pan(i-1), w, h, 1), true
		case 20: // a step of the exposure
			f = g.render(pan(i), w, h, 0.5)
		}
		p := r.Register(f, nil)
		e := worstCorner(p.ToGround, pan(i).Then(pan(0).Inverse()), w, h)
		if p.Segment != 0 || !bad && e > 4 || bad && e > 45 {
			t.Fatalf("frame %d: segment %d, wrong by %.1f pixels", i, p.Segment, e)
		}
	}
}

func newGarbage(w, h int, seed uint64) *video.Frame {
	f := blank(w, h, 0)
	rng := rand.New(rand.NewPCG(seed, 3))
	const side = 8
	blocks := make([]byte, (w/side+1)*(h/side+1))
	for i := range blocks {
		blocks[i] = byte(rng.IntN(256))
	}
	for i := range f.Pix {
		x, y := i/3%w, i/3/w
		f.Pix[i] = blocks[y/side*(w/side+1)+x/side]
	}
	return f
}
