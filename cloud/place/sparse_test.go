package place

import (
	"math"
	"math/rand/v2"
	"testing"

	"cattlecounter/cloud/flightlog"
)

// swings are ways to turn a camera fast, in radians over seconds.
func swings(r *rand.Rand) map[string]func(t float64) float64 {
	const degree = math.Pi / 180
	side := float64(2*r.IntN(2) - 1)
	rate, wide, period := (30+60*r.Float64())*degree, (15+25*r.Float64())*degree, 1.6+2.4*r.Float64()
	every, long, angle := 3+3*r.Float64(), 0.5+0.8*r.Float64(), (40+80*r.Float64())*degree
	phase := 2 * math.Pi * r.Float64()
	return map[string]func(t float64) float64{
		"spin": func(t float64) float64 { return side * rate * t },
		"sway": func(t float64) float64 { return wide * math.Sin(2*math.Pi*t/period+phase) },
		// The camera snaps to one side and back, and rests between.
		"snap": func(t float64) float64 {
			n := math.Floor(t / every)
			part := min(max((t-n*every)/long, 0), 1)
			part = part * part * (3 - 2*part)
			if int(n)%2 == 1 {
				part = 1 - part
			}
			return side * angle * part
		},
	}
}

// newSwinging flies with a camera that turns fast, and writes few records a second.
func newSwinging(seed uint64, kind, swing string, height, tilt, rate float64, x logErrors) *sim {
	s := newSim(seed, kind, height, tilt, x)
	s.steps, s.animals, s.log, s.truth = nil, nil, flightlog.Log{}, map[int][2]float64{}
	s.swing, s.rate = swings(s.r)[swing], rate
	s.record()
	s.write(x)
	return s
}

// lose breaks the way of the pictures wherever the camera turns by more than rate radians a second.
func (s *sim) lose(rate float64) {
	segment := 0
	for i := range s.steps {
		at := &s.steps[i]
		const dt = 0.05
		a, b := s.pose(at.Seconds-dt), s.pose(at.Seconds+dt)
		if math.Abs(b.yaw-a.yaw) > 2*dt*rate {
			at.Pose.Inliers = 0
			if i > 0 && s.steps[i-1].Pose.Inliers > 0 {
				segment++
			}
		}
		at.Pose.Segment = segment
	}
}

// TestFastYaw has logs with a record a second, or fewer, of a camera that turns fast: with the way of the pictures, with
// a way that breaks in fast turns, and without any.
func TestFastYaw(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*sim)
		least  float64 // share within the radius
		most   float64 // mean error in metres
	}{
		"followed": {func(*sim) {}, 95, 5.5},
		"lost":     {func(s *sim) { s.lose(0.5) }, 95, 9},
		"no way":   {func(s *sim) { s.steps = nil }, 95, 14},
	} {
		t.Run(name, func(t *testing.T) {
			all, groups := &coverage{}, map[string]*coverage{}
			for seed := range uint64(108) {
				kind := []string{"hover", "pass", "serpentine"}[seed%3]
				swing := []string{"spin", "sway", "snap"}[seed/3%3]
				height, tilt := 15*math.Pow(8, float64(seed*7%50)/49), float64(seed*13%51)
				s := newSwinging(seed, kind, swing, height, tilt, []float64{1, 0.5}[seed/9%2], usualErrors())
				c.change(s)
				list := s.errorsOf(Find(s.input()))
				all.add(list)
				if groups[swing] == nil {
					groups[swing] = &coverage{}
				}
				groups[swing].add(list)
			}
			for swing, g := range groups {
				t.Logf("%s: %d positions, %.1f %% within the radius; mean error %.1f m, mean radius %.1f m", swing, g.n,
					g.share(), g.error/float64(g.n), g.radius/float64(g.n))
			}
			if mean := all.error / float64(all.n); all.share() < c.least || mean > c.most {
				t.Errorf("%.1f %% of %d errors lie within the radius, want %g; mean error %.1f m, want at most %g",
					all.share(), all.n, c.least, mean, c.most)
			}
		})
	}
}

// TestFastFlight has logs with a record a second, or fewer, of a drone that brakes and turns back all the time.
func TestFastFlight(t *testing.T) {
	for _, way := range []bool{true, false} {
		for _, rate := range []float64{1, 0.5} {
			c := &coverage{}
			for seed := range uint64(80) {
				height, tilt := 15*math.Pow(8, float64(seed*7%50)/49), float64(seed*13%51)
				s := newSwinging(seed, "dash", "", height, tilt, rate, usualErrors())
				in := s.input()
				if !way {
					in.Steps = nil
				}
				c.add(s.errorsOf(Find(in)))
			}
			mean := c.error / float64(c.n)
			t.Logf("%g records a second, way of the pictures %v: %.1f %% of %d within the radius, mean error %.1f m, "+
				"mean radius %.1f m", rate, way, c.share(), c.n, mean, c.radius/float64(c.n))
			if c.share() < 95 || way && mean > 5 {
				t.Errorf("%g records a second, way %v: %.1f %% of the errors lie within the radius, mean error %.1f m",
					rate, way, c.share(), mean)
			}
		}
	}
}
