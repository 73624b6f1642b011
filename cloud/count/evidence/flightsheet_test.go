package evidence_test

import (
	"errors"
	"image"
	"os"
	"testing"

	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

// part flies steps over ground and returns its pictures and tracks. from is where the camera begins.
func (f *flight) part(t *testing.T, n int, from, by motion.Point) []byte {
	t.Helper()
	r := evidence.New(evidence.Options{Sheets: true}, 6)
	for i := range n {
		r.Observe(f.step(i, from.X+by.X*float64(i), from.Y+by.Y*float64(i), 0))
	}
	e, err := r.Finish("a.mp4", f.result())
	if err != nil || e.Ground == nil || len(e.Ground) > evidence.MaxGround {
		t.Fatalf("%d bytes of ground: %v", len(e.Ground), err)
	}
	return e.Ground
}

func read(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }

// The ground of two parts is one picture with each animal marked once. The second part has a ground of its own, which lies
// elsewhere in the flight.
func TestSheetOfAFlight(t *testing.T) {
	first := newFlight(motion.Point{X: 160, Y: 90}, motion.Point{X: 700, Y: 60})
	second := newFlight(motion.Point{X: 60, Y: 60}, motion.Point{X: 600, Y: 90})
	const shift = 640.0 // the second animal of the first part is the first one of the second part
	a := first.part(t, 20, motion.Point{}, motion.Point{X: 28})
	b := second.part(t, 20, motion.Point{}, motion.Point{X: 28})
	result := func() tally.Result {
		late := *second.tracks[1]
		late.Way = append([]track.Fix(nil), late.Way...)
		late.ID, late.X, late.First, late.Last = 9, late.X+shift, late.First+100, late.Last+100
		for i := range late.Way {
			late.Way[i].Frame, late.Way[i].Seconds, late.Way[i].X = late.Way[i].Frame+100, late.Way[i].Seconds+20, late.Way[i].X+shift
		}
		return tally.Result{Unique: 3, Low: 3, High: 3, Counted: []*track.Track{first.tracks[0], first.tracks[1], &late}}
	}
	parts := func(a, b func() ([]byte, error), segment int) []evidence.PartGround {
		return []evidence.PartGround{
			{Read: a, Place: func(int) (int, motion.Transform) { return 0, motion.Identity }},
			{Read: b, Frames: 100, Seconds: 20, Place: func(int) (int, motion.Transform) {
				return segment, motion.Transform{A: 1, TX: shift}
			}},
		}
	}
	draw := func(name string, p []evidence.PartGround) image.Image {
		t.Helper()
		s, err := evidence.FlightSheet(name, result(), p)
		if err != nil || s == nil {
			t.Fatalf("%s: %d bytes, %v", name, len(s), err)
		}
		if at := os.Getenv("SHEETS"); at != "" {
			_ = os.WriteFile(at+"/"+name+".jpg", s, 0o644)
		}
		return open(t, s)
	}
	whole := draw("whole", parts(read(a), read(b), 0))
	// 1492 x 180 pixels of ground, in two rows.
	if b := whole.Bounds(); b.Dx() < 760 || b.Dx() > 1000 || b.Dy() < 2*180 || b.Dy() > 600 {
		t.Errorf("the sheet has %v", b)
	}
	pixels := float64(whole.Bounds().Dx() * whole.Bounds().Dy())
	if red := share(whole, isRed) * pixels; red < 0.6*3*1600 || red > 1.2*3*1600 {
		t.Errorf("%.0f pixels of animals on the sheet, want three of 1600", red)
	}
	half := draw("half", parts(read(a), read(nil), 0))
	damaged := draw("damaged", parts(read(a), read(b[:len(b)/2]), 0))
	for name, img := range map[string]image.Image{"a part left no pictures": half, "pictures are cut": damaged} {
		if img.Bounds().Dy() >= whole.Bounds().Dy() {
			t.Errorf("%s: the sheet has %v", name, img.Bounds())
		}
	}
	apart := draw("apart", parts(read(a), read(b), 1))
	if share(apart, isAmber) == 0 || apart.Bounds().Dy() < 2*180 {
		t.Errorf("ground apart: %v, whole %v", apart.Bounds(), whole.Bounds())
	}
	if s, err := evidence.FlightSheet("none", result(), parts(read(nil), read(nil), 0)); s != nil || err != nil {
		t.Errorf("without pictures: %d bytes, %v", len(s), err)
	}
	fault := errors.New("storage is away")
	if _, err := evidence.FlightSheet("fault", result(), parts(read(a), func() ([]byte, error) { return nil, fault }, 0)); !errors.Is(err, fault) {
		t.Errorf("storage is away: %v", err)
	}
}

// The ground of a long part stays small, and a flight of very many parts is drawn.
func TestManyPartsFitTheSheet(t *testing.T) {
	f := newFlight(motion.Point{X: 160, Y: 90})
	b := f.part(t, 12, motion.Point{}, motion.Point{X: 100})
	var parts []evidence.PartGround
	for i := range 200 {
		parts = append(parts, evidence.PartGround{Read: read(b), Frames: 100 * i, Seconds: 20 * float64(i),
			Place: func(int) (int, motion.Transform) { return 0, motion.Transform{A: 1, TX: 1000 * float64(i)} }})
	}
	s, err := evidence.FlightSheet("many", f.result(), parts)
	if err != nil {
		t.Fatal(err)
	}
	if size := open(t, s).Bounds(); size.Dx() > 6000 || size.Dy() > 6000 || size.Dx() < 2000 {
		t.Errorf("the sheet has %v pixels", size)
	}
}

func FuzzFlightSheet(f *testing.F) {
	c := newFlight(motion.Point{X: 160, Y: 90})
	r := evidence.New(evidence.Options{Sheets: true}, 6)
	for i := range 4 {
		r.Observe(c.step(i, float64(i)*150, 0, 0))
	}
	e, err := r.Finish("a.mp4", c.result())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(e.Ground)
	f.Add(e.Ground[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		_, err := evidence.FlightSheet("fuzz", c.result(), []evidence.PartGround{{Read: read(b),
			Place: func(s int) (int, motion.Transform) { return s, motion.Identity }}})
		if err != nil {
			t.Log(err) // a picture that is damaged behind its header
		}
	})
}
