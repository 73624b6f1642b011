package scene

import (
	"errors"
	"image/color"
	"io"
	"math"
	"testing"

	"cattlecounter/cloud/count/video"
)

// meadow is a green picture with a red square of 8 pixels around each point.
func meadow(w, h int, at ...point) *picture {
	p := &picture{w: w, h: h, pix: make([]byte, w*h*4)}
	for i := range w * h {
		c := color.RGBA{R: 60, G: 140, B: 50, A: 255}
		for _, q := range at {
			if math.Abs(float64(i%w)+0.5-q.x) < 4 && math.Abs(float64(i/w)+0.5-q.y) < 4 {
				c = color.RGBA{R: 200, G: 20, B: 20, A: 255}
			}
		}
		copy(p.pix[i*4:], []byte{c.B, c.G, c.R, c.A})
	}
	return p
}

func filmOf(p *picture, points []point, w way) *over {
	return &over{ground: p, fixed: points, way: w, width: 160, height: 120, fps: filmFPS, frames: 12}
}

// red is the number of red pixels and their middle.
func red(f *video.Frame) (n int, at point) {
	for i := range f.Width * f.Height {
		if f.Pix[i*3+2] > 130 && f.Pix[i*3+1] < 90 {
			n++
			at.x += float64(i%f.Width) + 0.5
			at.y += float64(i/f.Width) + 0.5
		}
	}
	return n, point{at.x / float64(n), at.y / float64(n)}
}

func TestTruthIsWhatWasInView(t *testing.T) {
	points := []point{{100, 100}, {300, 100}, {500, 100}, {300, 380}}
	p := meadow(600, 400, points...)
	a := area{100, 100, 440, 100}
	o := filmOf(p, points, newWay(wayPass, a, 1, 0))
	var f video.Frame
	seen := []int{}
	for o.Render(t.Context(), &f) == nil {
		seen = append(seen, o.Truth())
	}
	if seen[0] != 1 || seen[len(seen)-1] != 3 || len(seen) != 12 {
		t.Errorf("animals seen after each frame: %v; want 1 at first, 3 of 4 at last", seen)
	}
}

func TestCameraShowsTheGroundWhereItIs(t *testing.T) {
	at := point{300, 200}
	for _, c := range []struct {
		name string
		v    view
		want point
	}{
		{"middle", view{at: at, zoom: 1}, point{80, 60}},
		{"beside", view{at: point{280, 210}, zoom: 1}, point{100, 50}},
		{"zoomed", view{at: point{290, 200}, zoom: 2}, point{100, 60}},
		{"far", view{at: point{320, 200}, zoom: 0.5}, point{70, 60}},
		{"turned", view{at: point{280, 200}, zoom: 1, turn: math.Pi / 2}, point{80, 40}},
	} {
		o := filmOf(meadow(600, 400, at), nil, nil)
		var f video.Frame
		f.Resize(o.width, o.height)
		o.draw(&f, c.v)
		if n, got := red(&f); n == 0 || got.dist(c.want) > 1 {
			t.Errorf("%s: %d red pixels around %v, want them around %v", c.name, n, got, c.want)
		}
	}
}

func TestSpritesWalkAndKeepApart(t *testing.T) {
	look := meadow(20, 8, point{10, 4}).resized(1)
	o := filmOf(meadow(600, 400), nil, newWay(wayHover, area{300, 200, 300, 200}, 1, 0))
	o.space = 25
	o.herd = []*sprite{
		{look: look, at: point{260, 200}, speed: 20},
		{look: look, at: point{340, 200}, speed: 20, heading: math.Pi},
	}
	var f video.Frame
	for range 12 {
		if err := o.Render(t.Context(), &f); err != nil {
			t.Fatal(err)
		}
		if d := o.herd[0].at.dist(o.herd[1].at); d < 25-20.0/filmFPS {
			t.Fatalf("the animals are %.1f pixels apart, want about 25", d)
		}
	}
	if o.herd[0].at.x < 270 || o.Truth() != 2 {
		t.Errorf("first animal at %v, %d seen; want it to have walked, and two", o.herd[0].at, o.Truth())
	}
	if err := o.Render(t.Context(), &f); !errors.Is(err, io.EOF) {
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
}

func TestWaysStayWithinThePicture(t *testing.T) {
	ground := meadow(960, 720)
	for kind := range wayKinds {
		zoom := wideEnough(kind, ground, 320, 240, 0.6)
		a := insideTurning(kind, inside(ground.w, ground.h, 320, 240, zoom), ground, 320, 240, zoom)
		o := &over{ground: ground, way: newWay(kind, a, zoom, 0.8), width: 320, height: 240, fps: filmFPS, frames: 30}
		var f video.Frame
		for o.Render(t.Context(), &f) == nil {
			for i := range f.Width * f.Height {
				if f.Pix[i*3+1] < 100 {
					t.Fatalf("%s, frame %d: pixel %d,%d is outside of the picture", wayNames[kind], o.next, i%f.Width, i/f.Width)
				}
			}
		}
	}
}

func TestConditions(t *testing.T) {
	at := []point{{300, 200}}
	level := func(condition, frame int) (mean, red float64) {
		o := filmOf(meadow(600, 400, at...), at, newWay(wayHover, area{300, 200, 300, 200}, 1, 0))
		film := under(o, condition, random("test"))
		var f video.Frame
		for range frame {
			if err := film.Render(t.Context(), &f); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range f.Pix {
			mean += float64(v) / float64(len(f.Pix))
		}
		c := (60*160 + 80) * 3
		return mean, float64(f.Pix[c+2]) - float64(f.Pix[c+1])
	}
	mean, contrast := level(clear, 6)
	for condition, holds := range map[int]func(m, c float64) bool{
		fog:        func(m, c float64) bool { return m > mean+20 && c < 0.8*contrast },
		dark:       func(m, c float64) bool { return m < 0.6*mean && c < 0.7*contrast },
		blurred:    func(m, c float64) bool { return math.Abs(m-mean) < 3 && c <= contrast },
		compressed: func(m, c float64) bool { return math.Abs(m-mean) < 5 && c > 0.3*contrast },
		lost:       func(m, c float64) bool { return math.Abs(m-250) < 0.01 },
	} {
		if m, c := level(condition, 6); !holds(m, c) {
			t.Errorf("%s: mean level %.1f (clear: %.1f), contrast %.1f (clear: %.1f)", conditionNames[condition], m, mean, c, contrast)
		}
	}
	if m, _ := level(lost, 1); math.Abs(m-mean) > 1 {
		t.Errorf("lost ground: mean level %.1f in the first frame, want %.1f", m, mean)
	}
}

func TestCutOut(t *testing.T) {
	p := meadow(300, 200)
	for y := range p.h { // a brown animal, 60 long and 24 wide, turned by 30 degrees
		for x := range p.w {
			dx, dy := float64(x)+0.5-150, float64(y)+0.5-100
			sin, cos := math.Sincos(math.Pi / 6)
			u, v := dx*cos+dy*sin, dy*cos-dx*sin
			if u*u/900+v*v/144 < 1 {
				copy(p.pix[(y*p.w+x)*4:], []byte{40, 60, 110})
			}
		}
	}
	b := box{120, 80, 180, 120}
	look, err := cutOut(p, b, []box{b})
	if err != nil {
		t.Fatal(err)
	}
	if l := look.bodyLength(); math.Abs(l-60) > 4 {
		t.Errorf("the animal is %.0f pixels long, want 60", l)
	}
	if got := look.resized(0.5).bodyLength(); math.Abs(got-30) > 3 {
		t.Errorf("at half the size it is %.0f pixels long, want 30", got)
	}
	if l := look.dimmed(0.5).brightness(); math.Abs(l-35) > 5 {
		t.Errorf("in half the light its level is %.0f, want 35", l)
	}
	for name, boxes := range map[string][]box{"beside another": {b, {170, 90, 220, 120}}} {
		if _, err := cutOut(p, b, boxes); !errors.Is(err, errNotClean) {
			t.Errorf("%s: %v, want %v", name, err, errNotClean)
		}
	}
	if _, err := cutOut(p, box{20, 20, 80, 60}, nil); !errors.Is(err, errNotClean) {
		t.Errorf("bare ground: %v, want %v", err, errNotClean)
	}
}

func TestDecoderSkipsFrames(t *testing.T) {
	o := filmOf(meadow(600, 400), nil, newWay(wayPass, area{100, 100, 420, 100}, 1, 0))
	d := NewDecoder(o)
	var f video.Frame
	var got []int
	for {
		err := d.Next(t.Context(), &f, 5)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Index)
	}
	if len(got) != 3 || got[0] != 0 || got[1] != 5 || got[2] != 10 || d.Reading().Decoded != 12 {
		t.Errorf("frames %v of %d; want 0, 5, 10 of 12", got, d.Reading().Decoded)
	}
}

func TestClipsWithoutHandOuts(t *testing.T) {
	all, missing := Clips(t.TempDir(), 60)
	if len(all) != 60 || len(missing) != 2 {
		t.Errorf("%d clips and the lines %q, want 60 and two lines", len(all), missing)
	}
	names, check := map[string]bool{}, 0
	for _, c := range all {
		names[c.Name] = true
		if c.Check {
			check++
		}
	}
	if len(names) != 60 || check != 30 {
		t.Errorf("%d names, %d clips for checking; want 60 and 30", len(names), check)
	}
}
