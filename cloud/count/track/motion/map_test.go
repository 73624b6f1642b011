package motion

import (
	"errors"
	"math"
	"testing"
)

// filmed returns the map of a camera's way.
func filmed(g *ground, n, w, h int, path func(i int) Transform) Map {
	var r Registrar
	for i := range n {
		r.Register(g.render(path(i), w, h, 1), nil)
	}
	return r.Map()
}

func TestAlignJoinsParts(t *testing.T) {
	const w, h = 480, 320
	g := field()
	pan := func(from float64) func(int) Transform {
		return func(i int) Transform { return at(from+30*float64(i), 300, 0, 1) }
	}
	a := filmed(g, 20, w, h, pan(100))
	for name, b := range map[string]struct {
		m     Map
		first Transform
		sure  float64
	}{
		"the next part":        {filmed(g, 20, w, h, pan(700)), pan(700)(0), 0.8},
		"a gap of 3 s":         {filmed(g, 10, w, h, pan(700+300)), pan(700 + 300)(0), 0.5},
		"a gap, then the same": {filmed(g, 10, w, h, pan(200)), pan(200)(0), 0.8},
		"turned": {filmed(g, 6, w, h, func(i int) Transform { return at(900-20*float64(i), 640, 180, 1) }),
			at(900, 640, 180, 1), 0.5},
		"one picture": {filmed(g, 1, w, h, pan(680)), pan(680)(0), 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Align(a, decoded(t, b.m))
			if len(got) != 1 || got[0].From != 0 || got[0].To != 0 {
				t.Fatalf("alignments %+v, want one", got)
			}
			want := b.first.Then(pan(100)(0).Inverse())
			if e := worstCorner(got[0].Map, want, w, h); e > 6 || got[0].Confidence < b.sure {
				t.Errorf("wrong by %.1f pixels with confidence %.2f", e, got[0].Confidence)
			}
		})
	}
}

func TestAlignRefusesOtherGround(t *testing.T) {
	const w, h = 480, 320
	g := field()
	pan := func(from, y float64) func(int) Transform {
		return func(i int) Transform { return at(from+30*float64(i), y, 0, 1) }
	}
	a := filmed(g, 12, w, h, pan(100, 100))
	if got := Align(a, filmed(g, 12, w, h, pan(1000, 900))); len(got) > 0 {
		t.Errorf("alignments %+v of ground that was never seen", got)
	}
	if got := Align(a, Map{}); got != nil {
		t.Errorf("alignments %+v with an empty map", got)
	}
}

// Frames of another size show the same ground.
func TestAlignAcrossSizes(t *testing.T) {
	g := field()
	a := filmed(g, 6, 480, 320, func(i int) Transform { return at(100+30*float64(i), 300, 0, 1) })
	b := filmed(g, 6, 960, 640, func(i int) Transform { return at(200+30*float64(i), 300, 0, 0.5) })
	got := Align(a, b)
	if len(got) != 1 {
		t.Fatalf("alignments %+v, want one", got)
	}
	want := at(200, 300, 0, 0.5).Then(at(100, 300, 0, 1).Inverse())
	if e := worstCorner(got[0].Map, want, 960, 640); e > 6 {
		t.Errorf("wrong by %.1f pixels", e)
	}
}

func decoded(t *testing.T, m Map) Map {
	t.Helper()
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var o Map
	if err := o.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	if len(o.keys) != len(m.keys) || o.Width != m.Width || o.Height != m.Height {
		t.Fatalf("%d keyframes of %dx%d after decoding, want %d of %dx%d", len(o.keys), o.Width, o.Height, len(m.keys),
			m.Width, m.Height)
	}
	return o
}

func TestMapRefusesBrokenBytes(t *testing.T) {
	m := filmed(newGround(900, 600), 2, 320, 200, func(i int) Transform { return at(20*float64(i), 40, 0, 1) })
	b, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 3, 20, 60, len(b) - 1} {
		var o Map
		if err := o.UnmarshalBinary(b[:n]); !errors.Is(err, ErrMap) || !o.Empty() {
			t.Errorf("%d of %d bytes: error %v", n, len(b), err)
		}
	}
	for i := range 8 { // the place of the first keyframe
		c := append([]byte(nil), b...)
		copy(c[16+4+8*i:], []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f})
		var o Map
		if err := o.UnmarshalBinary(c); !errors.Is(err, ErrMap) {
			t.Errorf("a place that is no number: error %v", err)
		}
	}
}

func FuzzMap(f *testing.F) {
	m := filmed(newGround(280, 200), 1, 224, 144, func(int) Transform { return at(10, 10, 0, 1) })
	b, err := m.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	if m.Empty() {
		f.Fatal("the seed has no keyframe")
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte("CMAP"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var o Map
		if err := o.UnmarshalBinary(data); err != nil {
			if !errors.Is(err, ErrMap) {
				t.Fatalf("error %v of no class", err)
			}
			return
		}
		for _, k := range o.keys {
			if p := k.toGround.Inverse().Apply(Point{1, 1}); math.IsNaN(p.X) {
				t.Fatal("a place that cannot be inverted")
			}
		}
	})
}

func TestThinnedKeepsTheEnds(t *testing.T) {
	got := thinned(indexes(1000), 400, 16)
	if len(got) > 400 || got[0] != 0 || got[15] != 15 || got[len(got)-1] != 999 || got[len(got)-16] != 984 {
		t.Errorf("%d elements from %d to %d", len(got), got[0], got[len(got)-1])
	}
}
