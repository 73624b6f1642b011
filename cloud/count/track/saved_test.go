package track

import (
	"math"
	"testing"
)

// A saved way keeps both ends and every turn; it leaves out what lies on a straight way, and long stands.
func TestSavedWay(t *testing.T) {
	const size, each = 50.0, 1.0 / 6
	at := func(i int) (x, y float64) { // stands for 50 s, walks 1000 to the right, comes back to 500 lower down
		s := float64(i) * each
		switch {
		case s < 50:
			return 0, 0
		case s < 90:
			return 25 * (s - 50), 0
		}
		return 1000 - 25*(min(s, 110)-90), 4 * (min(s, 110) - 90)
	}
	track := &Track{W: size, H: size}
	for i := range 720 {
		x, y := at(i)
		track.Way = append(track.Way, Fix{Frame: 5 * i, Seconds: float64(i) * each, X: x, Y: y})
	}
	way := track.Save().Way
	if len(way) > 120 || way[0] != track.Way[0] || way[len(way)-1] != track.Way[719] {
		t.Fatalf("%d fixes from frame %d to %d", len(way), way[0].Frame, way[len(way)-1].Frame)
	}
	k := 0
	for _, f := range track.Way {
		for way[k+1].Frame < f.Frame {
			k++
		}
		a, b := way[k], way[k+1]
		part := (f.Seconds - a.Seconds) / (b.Seconds - a.Seconds)
		if d := math.Hypot(a.X+part*(b.X-a.X)-f.X, a.Y+part*(b.Y-a.Y)-f.Y); d > straight*size {
			t.Errorf("frame %d lies %.1f beside the saved way", f.Frame, d)
		}
		if b.Seconds-a.Seconds > longStep+each && math.Hypot(b.X-a.X, b.Y-a.Y) > stride*size {
			t.Errorf("%.1f s of walking at frame %d without a fix", b.Seconds-a.Seconds, f.Frame)
		}
	}
}

// A way that turns all the time is bounded, and its fixes stay in order.
func TestSavedWayIsBounded(t *testing.T) {
	track := &Track{W: 10, H: 10}
	for i := range 5000 {
		track.Way = append(track.Way, Fix{Frame: i, Seconds: float64(i) / 6, X: float64(30 * (i % 2))})
	}
	way := track.Save().Way
	if len(way) > savedFixes || len(way) < savedFixes/2 {
		t.Errorf("%d fixes", len(way))
	}
	for i := range way[1:] {
		if way[i].Frame >= way[i+1].Frame {
			t.Fatalf("frame %d before %d", way[i].Frame, way[i+1].Frame)
		}
	}
}
