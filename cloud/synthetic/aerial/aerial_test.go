package aerial

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"cattlecounter/cloud/synthetic/cattle"
	"cattlecounter/cloud/synthetic/solid"
	"cattlecounter/deploy/testkit/must"
)

// series is the number of pictures in the tests, of 320 x 240 pixels.
const (
	series     = 24
	seriesSeed = 3
)

// rendered is a picture with the numbers on the canvas it was painted on.
type rendered struct {
	*Picture
	ids   []uint16
	width int // of the canvas in samples
}

// paintSeries paints twice the series once for all tests, because painting takes nearly all of their time.
var paintSeries = sync.OnceValues(func() ([]rendered, error) {
	list := make([]rendered, 2*series)
	var g errgroup.Group
	painters := runtime.GOMAXPROCS(0)
	for k := range painters {
		g.Go(func() error {
			p, err := NewPainter(320, 240)
			if err != nil {
				return err
			}
			for i := k; i < len(list); i += painters {
				list[i] = rendered{Picture: p.Paint(seriesSeed, i), ids: slices.Clone(p.canvas.ID), width: p.canvas.Width}
			}
			return nil
		})
	}
	return list, g.Wait()
})

func painter(t testing.TB) *Painter {
	t.Helper()
	p, err := NewPainter(320, 240)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSameSeedSamePicture(t *testing.T) {
	t.Parallel()
	p, q := painter(t), painter(t)
	for _, i := range []int{3, 0, 7} { // in any order, with a used and a new painter
		a, b := p.Paint(5, i), q.Paint(5, i)
		if !bytes.Equal(a.Image.Pix, b.Image.Pix) || !reflect.DeepEqual(a.Animals, b.Animals) {
			t.Errorf("picture %d of two painters differs", i)
		}
		again := p.Paint(5, i)
		if !bytes.Equal(a.Image.Pix, again.Image.Pix) {
			t.Errorf("picture %d differs when painted again", i)
		}
		if other := p.Paint(6, i); bytes.Equal(a.Image.Pix, other.Image.Pix) {
			t.Errorf("picture %d is the same for two seeds", i)
		}
	}
}

// TestBoxesAreTight compares every box with the samples on the canvas.
func TestBoxesAreTight(t *testing.T) {
	t.Parallel()
	const n = solid.Samples
	for index, pic := range must.Get(paintSeries())(t)[:series] {
		left := slices.Clone(pic.Animals)
		places := map[uint16][][2]int{}
		for o, id := range pic.ids {
			if id != 0 && id != clutterID {
				places[id] = append(places[id], [2]int{o % pic.width, o / pic.width})
			}
		}
		for _, at := range places {
			x0, y0, x1, y1 := math.MaxInt, math.MaxInt, -1, -1
			for _, s := range at {
				x0, y0, x1, y1 = min(x0, s[0]), min(y0, s[1]), max(x1, s[0]+1), max(y1, s[1]+1)
			}
			want := [4]float64{float64(x0) / n, float64(y0) / n, float64(x1-x0) / n, float64(y1-y0) / n}
			i := slices.IndexFunc(left, func(a Animal) bool { return a.Box == want && a.Pixels == float64(len(at))/(n*n) })
			if i < 0 {
				t.Fatalf("picture %d: no animal for the box %v", index, want)
			}
			left = slices.Delete(left, i, i+1)
		}
		if len(left) != 0 {
			t.Errorf("picture %d: boxes without pixels: %v", index, left)
		}
		for _, a := range pic.Animals {
			if a.Box[0] < 0 || a.Box[1] < 0 || a.Box[2] <= 0 || a.Box[3] <= 0 || a.Box[0]+a.Box[2] > 320 || a.Box[1]+a.Box[3] > 240 {
				t.Errorf("picture %d: box %v", index, a.Box)
			}
			if !(a.Visible > 0 && a.Visible <= 1) || a.Pixels > a.Box[2]*a.Box[3] {
				t.Errorf("picture %d: %+v", index, a)
			}
		}
	}
}

// TestNoLabelIsMissing projects the herd without the canvas. An animal whose outline is inside the picture and touches
// nothing else must have a label with about that outline.
func TestNoLabelIsMissing(t *testing.T) {
	t.Parallel()
	alone := 0
	for index, pic := range must.Get(paintSeries())(t)[:series] {
		s := newScene(rand.New(rand.NewPCG(seriesSeed, uint64(index))), 320, 240)
		var around [][4]float64
		for _, thing := range s.things {
			around = append(around, outline(s.cam, thing.mesh))
		}
		first := len(around)
		for i := range s.herd {
			m := &s.herd[i]
			mesh := m.Mesh(cattle.Length * s.cam.PerMetre(m.at))
			mesh.Place(m.at, m.heading, m.Size)
			around = append(around, outline(s.cam, mesh))
		}
		for i, b := range around[first:] {
			if b[0] < 0 || b[1] < 0 || b[2] > 320 || b[3] > 240 || touches(b, i+first, around) {
				continue
			}
			alone++
			if !slices.ContainsFunc(pic.Animals, func(a Animal) bool { return a.Labelled() && near(a.Box, b) }) {
				t.Errorf("picture %d: the animal in %v has no label", index, b)
			}
		}
	}
	if alone < series {
		t.Errorf("only %d animals touch nothing else", alone)
	}
}

// outline is the left, top, right and bottom edge of a mesh in pixels.
func outline(cam *solid.Camera, m *solid.Mesh) [4]float64 {
	b := [4]float64{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for i := range m.Verts {
		if x, y, _, ok := cam.Project(m.Verts[i].P); ok {
			b = [4]float64{min(b[0], x), min(b[1], y), max(b[2], x), max(b[3], y)}
		}
	}
	return b
}

func touches(b [4]float64, self int, all [][4]float64) bool {
	for i, o := range all {
		if i != self && o[0] < b[2] && o[2] > b[0] && o[1] < b[3] && o[3] > b[1] {
			return true
		}
	}
	return false
}

// near compares boxes with some slack, for ragged hair and for parts thinner than a sample.
func near(box, b [4]float64) bool {
	slack := 1.5 + 0.1*max(b[2]-b[0], b[3]-b[1])
	return math.Abs(box[0]-b[0]) < slack && math.Abs(box[1]-b[1]) < slack && math.Abs(box[0]+box[2]-b[2]) < slack && math.Abs(box[1]+box[3]-b[3]) < slack
}

// TestVariety checks that the series has empty pictures, herds, small and large animals, views straight down and with a
// horizon, and no picture of one colour.
func TestVariety(t *testing.T) {
	t.Parallel()
	empty, crowd, cut := 0, 0, 0
	shortest, longest := math.Inf(1), 0.0
	for index, pic := range must.Get(paintSeries())(t) {
		if len(pic.Animals) == 0 {
			empty++
		}
		if len(pic.Animals) > 20 {
			crowd++
		}
		for _, a := range pic.Animals {
			if !a.Labelled() {
				cut++
			} else if long := max(a.Box[2], a.Box[3]); a.Visible == 1 {
				shortest, longest = min(shortest, long), max(longest, long)
			}
		}
		lo, hi := slices.Min(pic.Image.Pix), slices.Max(pic.Image.Pix[:len(pic.Image.Pix)/4])
		if hi-lo < 20 {
			t.Errorf("picture %d shows nothing: levels %d to %d", index, lo, hi)
		}
	}
	if share := float64(empty) / (2 * series); share < 0.1 || share > 0.35 {
		t.Errorf("%.0f %% of the pictures are empty", 100*share)
	}
	if crowd < 3 || cut == 0 || shortest > 12 || longest < 70 {
		t.Errorf("%d crowds, %d cut off, %v to %v pixels long", crowd, cut, shortest, longest)
	}
}

func TestSizeIsChecked(t *testing.T) {
	for _, s := range [][2]int{{0, 640}, {640, -1}, {63, 64}, {64, 4097}} {
		if _, err := NewPainter(s[0], s[1]); !errors.Is(err, ErrSize) {
			t.Errorf("%v: %v", s, err)
		}
	}
	p, err := NewPainter(MinSide, MinSide)
	if err != nil {
		t.Fatal(err)
	}
	if pic := p.Paint(1, 1); pic.Image.Rect.Dx() != MinSide {
		t.Errorf("size %v", pic.Image.Rect)
	}
}

func BenchmarkPaint(b *testing.B) {
	p, err := NewPainter(640, 640)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		p.Paint(1, i)
	}
}
