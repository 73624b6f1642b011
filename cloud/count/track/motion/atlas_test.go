package motion

import (
	"math"
	"testing"
)

// Rows that overlap by 30 % must come out beside each other, although the way between them is long.
func TestSerpentineFindsItsRowsAgain(t *testing.T) {
	const w, h, row = 480, 320, 30
	g := field()
	var r Registrar
	var first Transform
	for i := range 2*row + 5 {
		along, down := float64(min(i, row)), 0.0
		switch {
		case i > row+5:
			along, down = float64(2*row+5-i), 0.7*h
		case i > row:
			down = 0.7 * h * float64(i-row) / 5
		}
		c := at(60+25*along+3*math.Sin(float64(i)), 80+down, 2*math.Sin(float64(i)/9), 1)
		if i == 0 {
			first = c.Inverse()
		}
		f := g.render(c, w, h, 1)
		faint(f, 0.3, uint64(i))
		p := r.Register(f, nil)
		if e := worstCorner(p.ToGround, c.Then(first), w, h); p.Segment != 0 || e > 12 {
			t.Fatalf("frame %d: segment %d, wrong by %.1f pixels", i, p.Segment, e)
		}
	}
	if d, most := r.last.drift, 8.0; d > most {
		t.Errorf("drift of %.1f pixels at the end of the second row, want at most %.0f: no keyframe of the first row was used",
			d, most)
	}
}

// A drift that shows when the camera returns is corrected over a few frames, not in one.
func TestDriftIsCorrectedSmoothly(t *testing.T) {
	const w, h = 480, 320
	g := field()
	pan := func(i int) Transform { return at(100+30*float64(i), 300, 0, 1) }
	var r Registrar
	for i := range 30 {
		r.Register(g.render(pan(i), w, h, 1), nil)
	}
	// The newer half of the ground is wrong by some pixels.
	const wrong = 16.0
	late := map[*keyframe]bool{r.last: true}
	for _, k := range r.ground.keys[len(r.ground.keys)/2:] {
		late[k] = true
	}
	for k := range late {
		k.pose.TX, k.drift = k.pose.TX+wrong, 30
	}
	before, worst := math.NaN(), 0.0
	var e float64
	for i := 29; i >= 0; i-- {
		p := r.Register(g.render(pan(i), w, h, 1), nil)
		if e = p.ToGround.TX - 30*float64(i); !math.IsNaN(before) {
			worst = max(worst, math.Abs(e-before))
		}
		before = e
	}
	if math.Abs(e) > 2 || worst > wrong/2 {
		t.Errorf("wrong by %.1f pixels at the end, a step of %.1f at worst", e, worst)
	}
}

func TestAtlasIsBounded(t *testing.T) {
	g := newGround(400, 300)
	var r Registrar
	k, _ := r.see(g.render(at(0, 0, 0, 1), 320, 200, 1), nil)
	k.describe()
	var a atlas
	for i := range 3 * maxKeyframes {
		c := *k
		c.pose, c.segment = at(float64(i)*100, 0, 0, 1), i/700
		a.add(&c)
	}
	if n := len(a.keys); n > maxKeyframes || n < maxKeyframes/2 {
		t.Fatalf("%d keyframes, want at most %d", n, maxKeyframes)
	}
	whole := 0
	for i, k := range a.keys {
		if k.pyr[0] != nil {
			whole++
		}
		if i > 0 && k.pose.TX <= a.keys[i-1].pose.TX {
			t.Fatalf("keyframe %d is out of order", i)
		}
	}
	if whole > wholeFrames+1 {
		t.Errorf("%d keyframes of full size, want at most %d", whole, wholeFrames+1)
	}
	if first := a.keys[0].pose.TX; first != 0 {
		t.Errorf("the first keyframe is gone, the oldest is at %v", first)
	}
}

// On snow the standing animals are the only marks.
func TestAnimalsServeAsMarksOnBareGround(t *testing.T) {
	const w, h = 480, 320
	d := herd{side: 60, gap: 90, seed: 4}
	var r Registrar
	for i := range 12 {
		camera := at(10*float64(i), 5*float64(i), 0, 1)
		f := blank(w, h, 240)
		animals := d.rects(camera, 0, w, h)
		d.draw(f, animals)
		p := r.Register(f, animals)
		if e := worstCorner(p.ToGround, camera, w, h); e > 4 || p.Inliers == 0 || p.Inliers > 0.5 {
			t.Fatalf("frame %d: wrong by %.1f pixels with inliers %.2f", i, e, p.Inliers)
		}
	}
}

// What a codec leaves of white pictures is no texture.
func TestNoiseIsNoTexture(t *testing.T) {
	f := blank(640, 360, 235)
	for i := 1; i < len(f.Pix); i += 3 {
		if i/3%7 == 0 {
			f.Pix[i]++
		}
	}
	var r Registrar
	if k, _ := r.see(f, nil); k.textured() {
		t.Errorf("%d corners in a white picture", len(k.corners))
	}
}
