package young

import (
	"math"
	"math/rand/v2"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
)

const width, height = 1920, 1080

// herd makes tracks of animals of the given lengths in all directions, seen in four frames of a camera at some height.
// far makes animals at the top of the picture smaller by that factor.
func herd(m *Measurer, seed uint64, far float64, lengths ...float64) []*track.Track {
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range 4 {
		m.Add(i, width, height, motion.Pose{ToGround: motion.Transform{A: 0.5}, Inliers: 1})
	}
	var list []*track.Track
	for id, l := range lengths {
		t := &track.Track{ID: id + 1}
		a, x, y := r.Float64()*2*math.Pi, 300+r.Float64()*1300, 250+r.Float64()*600
		for i := range 4 {
			n := l * math.Exp(0.03*r.NormFloat64()) * (1 - (1-far)*(1-y/height))
			c, s := math.Abs(math.Cos(a)), math.Abs(math.Sin(a))
			w, h := n*(c+slender*s), n*(s+slender*c)
			t.Way = append(t.Way, track.Fix{Frame: i, Box: detect.Box{
				X1: float32(x - w/2), X2: float32(x + w/2), Y1: float32(y - h/2), Y2: float32(y + h/2)}})
			a += 0.3
		}
		list = append(list, t)
	}
	return list
}

// lengths are those of adults and young animals, with the spread of a breed.
func lengths(seed uint64, adults, calves int, ratio float64) []float64 {
	r := rand.New(rand.NewPCG(seed, 2))
	var l []float64
	for range adults {
		l = append(l, 150*math.Exp(0.06*r.NormFloat64()))
	}
	for range calves {
		l = append(l, ratio*150*math.Exp(0.08*r.NormFloat64()))
	}
	return l
}

func TestYoungAreTold(t *testing.T) {
	for _, c := range []struct {
		adults, calves int
		ratio          float64
	}{{40, 0, 1}, {40, 6, 0.6}, {30, 25, 0.6}, {15, 4, 0.55}, {60, 12, 0.68}, {100, 1, 0.55}, {20, 40, 0.6}} {
		covered, wrong := 0, 0.0
		const tries = 20
		for seed := range uint64(tries) {
			var m Measurer
			h := m.Judge(herd(&m, seed, 1, lengths(seed, c.adults, c.calves, c.ratio)...))
			if h.Unknown != "" || h.Young+h.Adults != c.adults+c.calves || h.Low > h.Young || h.High < h.Young {
				t.Fatalf("%+v: %+v", c, h)
			}
			wrong += math.Abs(float64(h.Young-c.calves)) / tries
			if h.Low <= c.calves && c.calves <= h.High {
				covered++
			}
		}
		if most := 0.6 + 0.05*float64(c.adults+c.calves); wrong > most {
			t.Errorf("%+v: wrong by %.1f on average, at most %.1f is good", c, wrong, most)
		}
		if covered < tries*7/10 {
			t.Errorf("%+v: the interval holds in %d of %d herds", c, covered, tries)
		}
	}
}

func TestNothingIsTold(t *testing.T) {
	var m Measurer
	if h := m.Judge(herd(&m, 1, 1, lengths(1, 6, 2, 0.6)...)); h.Unknown != TooFew || h.Unmeasured != 8 {
		t.Errorf("few animals: %+v", h)
	}
	m = Measurer{}
	if h := m.Judge(herd(&m, 1, 0.5, lengths(1, 40, 0, 1)...)); h.Unknown != Oblique {
		t.Errorf("oblique: %+v", h)
	}
	m = Measurer{}
	if h := m.Judge(nil); h.Unknown != TooFew {
		t.Errorf("no animals: %+v", h)
	}
}

// TestZoomAndJoins has the second half of the frames from twice the height, in a segment that is joined later.
func TestZoomAndJoins(t *testing.T) {
	var m Measurer
	tracks := herd(&m, 3, 1, lengths(3, 30, 8, 0.6)...)
	want := m.Judge(tracks)
	m = Measurer{}
	for i := range 4 {
		if i < 2 {
			m.Add(i, width, height, motion.Pose{ToGround: motion.Transform{A: 0.5}, Inliers: 1})
		} else {
			m.Add(i, width, height, motion.Pose{ToGround: motion.Transform{A: 3}, Segment: 1, Inliers: 1})
		}
	}
	m.Join(motion.Pose{Joined: &motion.Join{From: 1, To: 0, Map: motion.Transform{A: 1.0 / 6}}})
	if got := m.Judge(tracks); got.Young != want.Young || got.Adults != want.Adults {
		t.Errorf("%+v, want %+v", got, want)
	}
}
