package place

import (
	"math"
	"strings"
	"testing"

	"cattlecounter/cloud/flightlog"
)

// without removes what an older drone does not log.
func without(l *flightlog.Log, change func(*flightlog.Sample)) {
	for i := range l.Samples {
		change(&l.Samples[i])
	}
}

func noCamera(s *flightlog.Sample) { s.Camera = flightlog.Unknown() }

// TestPerfectLog checks the geometry: without errors of the log, the positions are exact.
func TestPerfectLog(t *testing.T) {
	for _, kind := range []string{"hover", "pass", "serpentine"} {
		for _, tilt := range []float64{0, 20, 50} {
			s := newSim(7, kind, 40, tilt, logErrors{})
			r := Find(s.input())
			if r.Way != Camera || len(r.Positions) != len(s.animals) {
				t.Fatalf("%s %g: %s, %d of %d animals", kind, tilt, r.Way, len(r.Positions), len(s.animals))
			}
			for _, e := range s.errorsOf(r) {
				if most := 0.6 + tilt/20; e[0] > most {
					t.Errorf("%s tilted by %g degrees: an error of %.2f m with a perfect log", kind, tilt, e[0])
				}
			}
		}
	}
}

// coverage counts how many positions lie within their radius.
type coverage struct {
	n, in         int
	radius, error float64
}

func (c *coverage) add(list [][2]float64) {
	for _, e := range list {
		c.n++
		if e[0] <= e[1] {
			c.in++
		}
		c.error, c.radius = c.error+e[0], c.radius+e[1]
	}
}

func (c *coverage) share() float64 { return 100 * float64(c.in) / float64(max(c.n, 1)) }

// TestErrorsLieWithinTheRadius flies over the envelope with the usual errors of logs.
func TestErrorsLieWithinTheRadius(t *testing.T) {
	all := map[string]*coverage{}
	for seed := range uint64(240) {
		kind := []string{"hover", "pass", "serpentine"}[seed%3]
		height := 15 * math.Pow(8, float64(seed*7%50)/49)
		tilt := float64(seed * 13 % 51)
		s := newSim(seed, kind, height, tilt, usualErrors())
		for _, group := range []string{"all", kind} {
			if all[group] == nil {
				all[group] = &coverage{}
			}
			all[group].add(s.errorsOf(Find(s.input())))
		}
	}
	for group, c := range all {
		t.Logf("%s: %d positions, %.1f %% within the radius; mean error %.1f m, mean radius %.1f m", group, c.n, c.share(),
			c.error/float64(c.n), c.radius/float64(c.n))
	}
	if c := all["all"]; c.share() < 93 || c.share() > 97 {
		t.Errorf("%.1f %% of the errors lie within the radius, want 93 to 97", c.share())
	}
}

// TestNoGimbal flies with logs of older drones, straight down as crews must fly.
func TestNoGimbal(t *testing.T) {
	for name, change := range map[string]func(*flightlog.Sample){
		"height": noCamera,
		"path":   func(s *flightlog.Sample) { noCamera(s); s.RelAlt = math.NaN() },
		"path without lens": func(s *flightlog.Sample) {
			noCamera(s)
			s.RelAlt, s.Focal35 = math.NaN(), math.NaN()
		},
	} {
		c := &coverage{}
		for seed := range uint64(90) {
			kind := []string{"pass", "serpentine"}[seed%2]
			s := newSim(seed, kind, 15*math.Pow(5, float64(seed*7%50)/49), float64(seed%7), usualErrors())
			without(&s.log, change)
			r := Find(s.input())
			if r.Heading != FromPath || r.Why == "" {
				t.Fatalf("%s: %+v", name, r)
			}
			c.add(s.errorsOf(r))
		}
		t.Logf("%s: %d positions, %.1f %% within the radius; mean error %.1f m, mean radius %.1f m", name, c.n, c.share(),
			c.error/float64(c.n), c.radius/float64(c.n))
		if c.share() < 93 {
			t.Errorf("%s: %.1f %% of the errors lie within the radius", name, c.share())
		}
	}
}

func TestHoverWithoutHeadingSaysSo(t *testing.T) {
	s := newSim(3, "hover", 30, 0, usualErrors())
	without(&s.log, noCamera)
	r := Find(s.input())
	if r.Way != Point || r.Why == "" || len(r.Positions) > 0 || len(r.Missing) != len(s.animals) {
		t.Errorf("a hover without a heading: %s %q, %d positions", r.Way, r.Why, len(r.Positions))
	}
}

// TestLeaningCamera flies with a camera that leans, and a log that does not say so.
func TestLeaningCamera(t *testing.T) {
	c := &coverage{}
	seen := 0
	for seed := range uint64(20) {
		s := newSim(seed, "serpentine", 40, 30, usualErrors())
		without(&s.log, noCamera)
		r := Find(s.input())
		if strings.Contains(r.Why, "it leans by about") {
			seen++
		}
		c.add(s.errorsOf(r))
	}
	t.Logf("the lean is seen in %d of 20 flights; %.1f %% of %d within the radius; mean error %.1f m, mean radius %.1f m",
		seen, c.share(), c.n, c.error/float64(c.n), c.radius/float64(c.n))
	if seen < 18 || c.share() < 90 {
		t.Errorf("the lean is seen in %d of 20 flights, %.1f %% of the errors lie within the radius", seen, c.share())
	}
}
