package motion

import "testing"

// Ground that was compared with other segments without a result is compared again ever less often, however long the camera
// stays there. New ground in the other segments begins the search again.
func TestSearchesBecomeRare(t *testing.T) {
	for _, others := range []int{1, 100, maxKeyframes} {
		var s search
		tries := func(from, to int) (n int) {
			for step := from; step < to; step++ {
				if s.due(step, others) {
					n++
				}
			}
			return n
		}
		const minute = 360 // steps
		if n, turns := tries(1, minute), others/(sketchTries/2); n < 2+turns {
			t.Errorf("%d other keyframes: %d searches in the first minute", others, n)
		}
		if n := tries(minute, 20*minute); n > 40 {
			t.Errorf("%d other keyframes: %d searches in the 19 minutes after it", others, n)
		}
		others++
		if n := tries(20*minute, 20*minute+10); n < 2 {
			t.Errorf("%d searches after the other segments have new ground", n)
		}
	}
}

// A camera that goes over the same ground again and again, with ground of another segment elsewhere, searches less with each lap.
func TestLapsOverKnownGroundCostTheSame(t *testing.T) {
	const w, h, lap = 320, 240, 24
	g := field()
	var r Registrar
	for i := range 6 {
		r.Register(g.render(at(1400+20*float64(i), 900, 0, 1), w, h, 1), nil)
	}
	var tried []int
	for range 5 {
		for i := range lap {
			x := 300 + 20*float64(min(i, lap-i))
			r.Register(g.render(at(x, 300, 0, 1), w, h, 1), nil)
		}
		n := 0
		for _, k := range r.ground.keys {
			n += k.search.tries
		}
		tried = append(tried, n)
	}
	if r.segment == 0 || tried[0] == 0 {
		t.Fatalf("segment %d, searches %v: the second ground must be a segment of its own", r.segment, tried)
	}
	if first, last := tried[0], tried[4]-tried[3]; last > first/2 {
		t.Errorf("%d searches in the first lap, %d in the fifth: %v", first, last, tried)
	}
}
