package place

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"cattlecounter/cloud/flightlog"
)

func TestFrame(t *testing.T) {
	f := NewFrame(-31.7, 24.3)
	// One minute of latitude is about a nautical mile, 1848 m at this latitude.
	if _, n := f.Metres(-31.7+1.0/60, 24.3); math.Abs(n-1848) > 1 {
		t.Errorf("a minute of latitude has %.1f m", n)
	}
	if e, _ := f.Metres(-31.7, 25.3); math.Abs(e-94790) > 50 {
		t.Errorf("a degree of longitude has %.0f m", e)
	}
	date := NewFrame(-17, 179.999)
	e, n := date.Metres(-17, -179.999)
	if math.Abs(e-213) > 1 || n != 0 {
		t.Errorf("over the date line: %g m east", e)
	}
	if lat, lon := date.Degrees(e, n); math.Abs(lat+17) > 1e-12 || math.Abs(lon+179.999) > 1e-9 {
		t.Errorf("and back: %g %g", lat, lon)
	}
}

func TestRadius(t *testing.T) {
	for want, c := range map[float64]covariance{
		2.4477: {ee: 1, nn: 1}, 1.9600: {ee: 1}, 2.0350: {ee: 0.625, nn: 0.625, en: 0.375}, // 1 and 0.5, turned
	} {
		if got := c.radius(); math.Abs(got-want) > 0.03 {
			t.Errorf("%+v: %.4f, want %.4f", c, got, want)
		}
	}
}

// tile makes an HGT tile whose height grows to the east by 1 m a post, with one unknown post.
func tile() []byte {
	b := make([]byte, 2*1201*1201)
	for r := range 1201 {
		for c := range 1201 {
			binary.BigEndian.PutUint16(b[2*(r*1201+c):], uint16(c-100)) // small
		}
	}
	binary.BigEndian.PutUint16(b[2*(600*1201+600):], 0x8000)
	return b
}

func TestHGT(t *testing.T) {
	h, err := ReadHGT("S32E024.hgt", tile())
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := h.Height(-31.7, 24+250.5/1200); !ok || math.Abs(v-150.5) > 1e-6 {
		t.Errorf("height %g %v, want 150.5", v, ok)
	}
	for _, at := range [][2]float64{{-31.5, 24.5}, {-30.9, 24.5}, {-31.5, 23.9}} {
		if v, ok := h.Height(at[0], at[1]); ok {
			t.Errorf("%v: %g, want an unknown height", at, v)
		}
	}
	for name, b := range map[string][]byte{"S32E024.hgt": make([]byte, 100), "terrain.hgt": tile()} {
		if _, err := ReadHGT(name, b); !errors.Is(err, ErrHGT) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadHGT(f *testing.F) {
	f.Add("S32E024.hgt", []byte{1}, -31.5, 24.5)
	f.Add("N99W999", []byte{}, 0.0, 0.0)
	whole := tile()
	f.Fuzz(func(t *testing.T, name string, b []byte, lat, lon float64) {
		if h, err := ReadHGT(name, b); err == nil {
			h.Height(lat, lon)
		}
		if h, err := ReadHGT(name, whole); err == nil {
			if v, ok := h.Height(lat, lon); ok && (v < -100 || v > 1200) {
				t.Errorf("height %g", v)
			}
		}
	})
}

// slope is a terrain that rises to the east.
type slope struct{}

func (slope) Height(_, lon float64) (float64, bool) { return 1000 + 0.1*(lon-simLon)*94790, true }

// TestTerrain flies over a slope of 10 %: with a terrain model the positions are exact, without one they are not.
func TestTerrain(t *testing.T) {
	s := newSim(11, "pass", 60, 40, logErrors{})
	s.slopeE, s.slopeN = 0.1, 0
	s.steps, s.animals, s.log = nil, nil, flightlog.Log{}
	s.record()
	s.write(logErrors{})
	s.log.Home = flightlog.Place{Lat: simLat, Lon: simLon}
	in := s.input()
	worst := func() (w float64) {
		for _, e := range s.errorsOf(Find(in)) {
			w = max(w, e[0])
		}
		return w
	}
	plane := worst()
	in.Terrain = slope{}
	if model := worst(); model > 2.5 || plane < 2*model {
		t.Errorf("an error of %.1f m with a terrain model, %.1f m without one", model, plane)
	}
}

// TestCoarseLog has positions in steps of 11 m, once a second, as drones of 2017 write them.
func TestCoarseLog(t *testing.T) {
	var c coverage
	for seed := range uint64(40) {
		s := newSim(seed, "pass", 40, 0, usualErrors())
		without(&s.log, func(m *flightlog.Sample) {
			m.Lat, m.Lon = math.Round(m.Lat*1e4)/1e4, math.Round(m.Lon*1e4)/1e4
			m.Camera, m.Focal35 = flightlog.Unknown(), math.NaN()
		})
		c.add(s.errorsOf(Find(s.input())))
	}
	if t.Logf("%.1f %% of %d within the radius, mean error %.1f m", c.share(), c.n, c.error/float64(c.n)); c.share() < 90 {
		t.Errorf("%.1f %% of %d positions within the radius", c.share(), c.n)
	}
}

func TestFootprint(t *testing.T) {
	s := newSim(5, "hover", 60, 0, logErrors{})
	r := Find(s.input())
	wide := 60 * sensorWidth / 24
	want := wide * wide * 9 / 16
	if len(r.Footprint) != 1 || r.Area < 0.95*want || r.Area > 1.3*want {
		t.Errorf("a hover sees %.0f square metres in %d polygons, want about %.0f", r.Area, len(r.Footprint), want)
	}
	ring := r.Footprint[0][0]
	if ring[0] != ring[len(ring)-1] || len(ring) < 5 {
		t.Errorf("ring %v is not closed", ring)
	}
	if len(r.Path) < 20 || math.Abs(r.Path[0].Height-60) > 1 {
		t.Errorf("path of %d moments", len(r.Path))
	}
}

// TestGridPolygons has a ring with a hole, and a cell that touches it at a corner.
func TestGridPolygons(t *testing.T) {
	g := newGrid(7, 7)
	for _, c := range [][2]int{{1, 1}, {2, 1}, {3, 1}, {1, 2}, {3, 2}, {1, 3}, {2, 3}, {3, 3}, {4, 4}} {
		g.cells[c[1]*7+c[0]] = true
	}
	p := g.polygons()
	sum, rings := 0, 0
	for _, polygon := range p {
		for _, ring := range polygon {
			sum, rings = sum+area(ring), rings+1
		}
	}
	if len(p) != 2 || rings != 3 || sum != 2*9 {
		t.Errorf("%d polygons with %d rings and %d half cells, want 2, 3 and 18: %v", len(p), rings, sum, p)
	}
}

func TestRelative(t *testing.T) {
	s := newSim(9, "pass", 30, 0, logErrors{})
	in := s.input()
	in.Log = nil
	r := Find(in)
	if r.Way != Relative || r.Scale != FromAnimals || len(r.Offsets) != len(s.animals) || r.Why == "" {
		t.Fatalf("%+v", r)
	}
	// Distances between animals do not depend on the first picture. A box of the simulation is 2.4 m long.
	a, b := r.Offsets[0], r.Offsets[1]
	ta, tb := s.truth[a.ID], s.truth[b.ID]
	got, want := math.Hypot(a.X-b.X, a.Y-b.Y), math.Hypot(ta[0]-tb[0], ta[1]-tb[1])
	if math.Abs(got-want) > 0.1*want+1 {
		t.Errorf("two animals are %.1f m apart, want %.1f", got, want)
	}
	empty := s.log
	empty.Samples = nil
	in.Log, in.Steps = &empty, nil
	if r := Find(in); r.Way != Unplaced || len(r.Missing) != len(s.animals) {
		t.Errorf("nothing known: %+v", r)
	}
}

// A drone that hovers and writes four decimals is up to 8 m beside its position, whatever the log repeats.
func TestCoarseLogOfAHover(t *testing.T) {
	radius := func(digits float64) float64 {
		s := newSim(8, "hover", 40, 10, logErrors{})
		for i := range s.log.Samples {
			m := &s.log.Samples[i]
			m.Lat, m.Lon = math.Round(s.log.Samples[0].Lat*digits)/digits, math.Round(s.log.Samples[0].Lon*digits)/digits
		}
		r := Find(s.input())
		if len(r.Positions) == 0 {
			t.Fatal("no animal has a position")
		}
		return r.Positions[0].Radius
	}
	if fine, coarse := radius(1e7), radius(1e4); coarse < fine+3 || coarse < 8 {
		t.Errorf("the radius is %.1f m with four decimals, %.1f m with seven", coarse, fine)
	}
}
