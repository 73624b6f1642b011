package place

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/flightlog"
)

// TestStill places animals of photographs from 100 m, whose picture is 200 m wide.
func TestStill(t *testing.T) {
	const lat, lon, width, height = -33.5, 18.25, 2000, 1500
	at := func(x, y float32) detect.Box { return detect.Box{X1: x - 10, Y1: y - 10, X2: x + 10, Y2: y + 10} }
	photo := func(yaw, pitch float64) *flightlog.Log {
		s := flightlog.NewSample(0)
		s.Lat, s.Lon, s.RelAlt, s.HFOV, s.VFOV = lat, lon, 100, 90, 73.74
		s.Camera = flightlog.Attitude{Yaw: yaw, Pitch: pitch, Roll: 0}
		return &flightlog.Log{OfVideo: true, Samples: []flightlog.Sample{s}, Records: 1}
	}
	frame := NewFrame(lat, lon)
	for name, c := range map[string]struct {
		yaw, pitch  float64
		box         detect.Box
		east, north float64 // metres from the camera
	}{
		"below":              {0, -90, at(1000, 750), 0, 0},
		"right":              {0, -90, at(1500, 750), 50, 0},
		"up":                 {0, -90, at(1000, 250), 0, 50},
		"up, looking east":   {90, -90, at(1000, 250), 50, 0},
		"ahead, looking 45°": {0, -45, at(1000, 750), 0, 100},
		"ahead to the west":  {-90, -45, at(1000, 750), -100, 0},
	} {
		got := Still(width, height, []detect.Box{c.box}, photo(c.yaw, c.pitch))
		if len(got) != 1 {
			t.Errorf("%s: %d positions", name, len(got))
			continue
		}
		e, n := frame.Metres(got[0].Lat, got[0].Lon)
		if math.Hypot(e-c.east, n-c.north) > 1 || got[0].Radius < 2 || got[0].Radius > 40 {
			t.Errorf("%s: %.1f m east, %.1f m north, within %.1f m", name, e, n, got[0].Radius)
		}
	}
	two := Still(width, height, []detect.Box{at(1000, 750), at(1000, 0)}, photo(0, -10)) // the second is in the sky
	if len(two) != 1 || two[0].ID != 0 {
		t.Errorf("%+v", two)
	}
	unknown := photo(math.NaN(), -90)
	if got := Still(width, height, []detect.Box{at(1000, 750)}, unknown); got != nil {
		t.Errorf("without a heading: %+v", got)
	}
	if got := Still(width, height, []detect.Box{at(1000, 750)}, nil); got != nil {
		t.Errorf("without a log: %+v", got)
	}
}
