package detect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/count/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func blank(width, height int) *video.Frame {
	f := &video.Frame{}
	f.Resize(width, height)
	return f
}

func TestGridCovers(t *testing.T) {
	for _, size := range [][2]int{{1920, 1080}, {416, 416}, {417, 416}, {100, 2000}, {30, 30}, {3840, 2160}} {
		for _, overlap := range []float64{0, 0.2, 0.5, 0.9} {
			f := &video.Frame{Width: size[0], Height: size[1]}
			g := Grid{Tile: 416, Overlap: overlap}
			covered := make([]int, max(f.Width, f.Height))
			for _, vertical := range []bool{false, true} {
				clear(covered)
				last := -1
				for _, r := range g.Regions(nil, f) {
					from, length := r.X, f.Width
					if vertical {
						from, length = r.Y, f.Height
					}
					if from < 0 || from+416 > max(length, 416) {
						t.Fatalf("%v at %v: tile at %d", size, overlap, from)
					}
					if last >= 0 && from > last && float64(416-(from-last)) < math.Floor(416*overlap)-1 {
						t.Fatalf("%v at %v: tiles at %d and %d", size, overlap, last, from)
					}
					last = from
					for i := from; i < min(from+416, length); i++ {
						covered[i]++
					}
				}
				for i := range covered[:map[bool]int{false: f.Width, true: f.Height}[vertical]] {
					if covered[i] == 0 {
						t.Fatalf("%v at %v: pixel %d is in no tile", size, overlap, i)
					}
				}
			}
		}
	}
	if n := len(Grid{Tile: 416, Overlap: 0.2}.Regions(nil, &video.Frame{Width: 1920, Height: 1080})); n != 18 {
		t.Errorf("%d tiles of 1920x1080", n)
	}
	if r := (Grid{}).Regions(nil, &video.Frame{Width: 7, Height: 5}); len(r) != 1 || r[0].Width != 7 || r[0].Height != 5 {
		t.Errorf("%+v", r)
	}
}

func TestGridValidate(t *testing.T) {
	for _, g := range []Grid{{Tile: -1}, {Tile: 5}, {Tile: 416, Overlap: 1}, {Overlap: -0.1}, {Overlap: math.NaN()}} {
		if g.Validate() == nil {
			t.Errorf("%+v was accepted", g)
		}
	}
}

// flock is a model that returns the parts of its animals inside each region.
type flock struct {
	animals []Box
	score   func(whole bool) float32
}

func (h flock) DetectRegions(_ context.Context, dst [][]Box, regions []Region, threshold float32) ([][]Box, error) {
	for _, r := range regions {
		var list []Box
		for _, a := range h.animals {
			b := a
			b.X1, b.Y1 = max(a.X1, float32(r.X)), max(a.Y1, float32(r.Y))
			b.X2, b.Y2 = min(a.X2, float32(r.X+r.Width)), min(a.Y2, float32(r.Y+r.Height))
			if b.X2-b.X1 < 4 || b.Y2-b.Y1 < 4 {
				continue
			}
			if h.score != nil {
				b.Score = h.score(b.Area() > 0.95*a.Area())
			}
			if b.Score >= threshold {
				list = append(list, b)
			}
		}
		dst = append(dst, list)
	}
	return dst, nil
}

func TestTilerReturnsEachAnimalOnce(t *testing.T) {
	var herd []Box
	for y := 0; y < 1080-40; y += 67 {
		for x := 0; x < 1920-60; x += 83 {
			herd = append(herd, Box{X1: float32(x), Y1: float32(y), X2: float32(x + 58), Y2: float32(y + 36), Score: 0.6})
		}
	}
	for name, score := range map[string]func(bool) float32{
		"all alike":           nil,
		"cut ones score more": func(whole bool) float32 { return map[bool]float32{true: 0.5, false: 0.9}[whole] },
	} {
		tiler, err := NewTiler(flock{herd, score}, Grid{Tile: 416, Overlap: 0.2}, 0.25)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tiler.Detect(t.Context(), []*video.Frame{blank(1920, 1080), blank(1920, 1080)})
		if err != nil || len(got) != 2 {
			t.Fatal(err)
		}
		for _, boxes := range got {
			if len(boxes) != len(herd) {
				t.Errorf("%s: %d boxes of %d animals", name, len(boxes), len(herd))
			}
			for i, b := range boxes {
				if b.Area() < 0.95*58*36 {
					t.Errorf("%s: part of an animal: %+v", name, b)
				}
				if i > 0 && b.Score > boxes[i-1].Score {
					t.Errorf("%s: not sorted by score", name)
				}
			}
		}
	}
}

func TestAnimalLargerThanTheOverlapIsFound(t *testing.T) {
	herd := []Box{{X1: 200, Y1: 200, X2: 600, Y2: 380, Score: 0.8}}
	tiler, err := NewTiler(flock{animals: herd}, Grid{Tile: 416, Overlap: 0.1}, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tiler.Detect(t.Context(), []*video.Frame{blank(1000, 416)})
	if err != nil || len(got[0]) == 0 {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestMerge(t *testing.T) {
	box := func(x1, y1, x2, y2, score float32) Box { return Box{X1: x1, Y1: y1, X2: x2, Y2: y2, Score: score} }
	for name, c := range map[string]struct {
		list []tileBox
		want []float32 // scores of the merged boxes
	}{
		"nothing":                    {nil, nil},
		"apart":                      {[]tileBox{{Box: box(0, 0, 10, 10, 0.5)}, {Box: box(20, 0, 30, 10, 0.6)}}, []float32{0.6, 0.5}},
		"other label, same tile":     {[]tileBox{{Box: box(0, 0, 10, 10, 0.5)}, {Box: box(0, 0, 10, 10, 0.4)}}, []float32{0.5}},
		"a head inside":              {[]tileBox{{Box: box(0, 0, 40, 20, 0.5)}, {Box: box(2, 2, 10, 10, 0.9)}}, []float32{0.9}},
		"two tiles agree":            {[]tileBox{{Box: box(0, 0, 10, 10, 0.2)}, {Box: box(0, 0, 10, 11, 0.2), tile: 1}}, []float32{0.36}},
		"two boxes of the same tile": {[]tileBox{{Box: box(0, 0, 10, 10, 0.2)}, {Box: box(0, 0, 10, 11, 0.2)}}, nil},
		"one weak box":               {[]tileBox{{Box: box(0, 0, 10, 10, 0.2)}}, nil},
		"cut, half covered":          {[]tileBox{{Box: box(0, 0, 40, 20, 0.3)}, {Box: box(18, 0, 60, 20, 0.9), tile: 1, cut: true}}, []float32{0.3}},
		"whole, half covered":        {[]tileBox{{Box: box(0, 0, 40, 20, 0.3)}, {Box: box(18, 0, 60, 20, 0.9), tile: 1}}, []float32{0.9, 0.3}},
		"a cut one is no evidence":   {[]tileBox{{Box: box(0, 0, 10, 10, 0.2)}, {Box: box(0, 0, 10, 10, 0.2), tile: 1, cut: true}}, nil},
		"cut and in no other tile":   {[]tileBox{{Box: box(0, 0, 40, 20, 0.5), cut: true}}, []float32{0.5}},
	} {
		if name == "cut, half covered" {
			c.list[1].Box = box(20, 0, 58, 20, 0.9) // 20 of 38 pixels covered
		}
		got := merge(c.list, 0.25)
		ok := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			ok = ok && math.Abs(float64(got[i].Score-c.want[i])) < 1e-6
		}
		if !ok {
			t.Errorf("%s: %+v, want scores %v", name, got, c.want)
		}
	}
}

func TestTilerRefuses(t *testing.T) {
	if _, err := NewTiler(flock{}, Grid{Tile: 3}, 0.5); err == nil {
		t.Error("grid")
	}
	for _, threshold := range []float64{-0.1, 1, math.NaN()} {
		if _, err := NewTiler(flock{}, Grid{}, threshold); err == nil {
			t.Error(threshold)
		}
	}
	tiler, err := NewTiler(flock{}, Grid{}, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tiler.Detect(t.Context(), []*video.Frame{{Width: 3, Height: 3}}); err == nil {
		t.Error("frame without pixels")
	}
}

// frames is a source of n frames.
func frames(n int, fail error) Source {
	i := 0
	return func(ctx context.Context, f *video.Frame) error {
		if i == n {
			if fail != nil {
				return fail
			}
			return io.EOF
		}
		f.Index = i
		f.Resize(2, 2)
		i++
		return nil
	}
}

// detector returns the index of a frame as its score. Its delay makes later frames finish first.
type detector struct {
	running, most atomic.Int32
	fail          error
	at            int
}

func (d *detector) Detect(ctx context.Context, list []*video.Frame) ([][]Box, error) {
	if n := d.running.Add(1); n > d.most.Load() {
		d.most.Store(n)
	}
	defer d.running.Add(-1)
	i := list[0].Index
	select {
	case <-time.After(time.Duration(10-i%10) * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if d.fail != nil && i == d.at {
		return nil, d.fail
	}
	return [][]Box{{{Score: float32(i)}}}, nil
}

func TestPipelineKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &detector{}
		p := Pipeline{Source: frames(57, nil), Detector: d, Workers: 3}
		next := 0
		err := p.Run(t.Context(), func(f *video.Frame, b []Box) error {
			if f.Index != next || b[0].Score != float32(next) {
				t.Errorf("frame %d with boxes of %v, want %d", f.Index, b[0].Score, next)
			}
			next++
			return nil
		})
		if err != nil || next != 57 {
			t.Errorf("%d frames, %v", next, err)
		}
		if n := d.most.Load(); n != 3 {
			t.Errorf("%d frames in detection at the same time, want 3", n)
		}
	})
}

func TestPipelineErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		p      func() *Pipeline
		yield  error
		yields int // frames before the error
	}{
		"source": {func() *Pipeline { return &Pipeline{Source: frames(7, broken), Detector: &detector{}, Workers: 2} }, nil, 7},
		"first":  {func() *Pipeline { return &Pipeline{Source: frames(0, broken), Detector: &detector{}} }, nil, 0},
		"detector": {func() *Pipeline {
			return &Pipeline{Source: frames(50, nil), Detector: &detector{fail: broken, at: 9}, Workers: 2}
		}, nil, 9},
		"yield": {func() *Pipeline { return &Pipeline{Source: frames(50, nil), Detector: &detector{}, Workers: 2} }, broken, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				err := c.p().Run(t.Context(), func(*video.Frame, []Box) error { n++; return c.yield })
				if !errors.Is(err, broken) || n != c.yields {
					t.Errorf("%v after %d frames, want %d", err, n, c.yields)
				}
			})
		})
	}
}

func TestPipelineIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("lease lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		p := Pipeline{Source: frames(1000, nil), Detector: &detector{}, Workers: 2}
		err := p.Run(ctx, func(f *video.Frame, _ []Box) error {
			if f.Index == 5 {
				cancel(cause)
			}
			return nil
		})
		if !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
	})
}

// TestPipelineIsBounded checks that the source is not read further than the documented number of frames while yield
// waits.
func TestPipelineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reads atomic.Int32
		source := frames(100, nil)
		p := Pipeline{Detector: &detector{}, Workers: 2, Source: func(ctx context.Context, f *video.Frame) error {
			reads.Add(1)
			return source(ctx, f)
		}}
		err := p.Run(t.Context(), func(f *video.Frame, _ []Box) error {
			if f.Index == 0 {
				<-time.After(time.Hour) // virtual time
				if n := reads.Load(); n > 6 {
					return fmt.Errorf("%d frames were read ahead", n)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte{1, 2, 30, 40, 200, 3, 1, 2, 33, 40, 100, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []tileBox
		for ; len(b) >= 6 && len(list) < 200; b = b[6:] {
			x, y := float32(b[0]), float32(b[1])
			list = append(list, tileBox{Box: Box{X1: x, Y1: y, X2: x + float32(b[2]) + 1, Y2: y + float32(b[3]) + 1, Score: float32(b[4]) / 255}, tile: int(b[5] % 4), cut: b[5] > 127})
		}
		n := len(list)
		got := merge(list, 0.25)
		if len(got) > n {
			t.Fatalf("%d boxes out of %d", len(got), n)
		}
		for i, a := range got {
			if !(a.Score >= 0.25 && a.Score <= 1) || i > 0 && a.Score > got[i-1].Score {
				t.Fatalf("score %v", a.Score)
			}
			for _, c := range got[:i] {
				if inter := intersection(a, c); inter > sameIoU*(a.Area()+c.Area()-inter)*1.0001 {
					t.Fatalf("%+v and %+v show the same animal", a, c)
				}
			}
		}
	})
}
