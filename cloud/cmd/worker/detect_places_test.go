package main

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

// TestPlacesOfAPhotograph has a camera that looks straight down from 60.5 m, with the top of the picture to the south.
func TestPlacesOfAPhotograph(t *testing.T) {
	r := &detectRun{folder: "../../flightlog/testdata", names: []string{"photo.jpg", "subtitles.mp4", "missing.jpg"}}
	f := &video.Frame{Width: 4000, Height: 3000}
	boxes := []detect.Box{{X1: 1990, Y1: 1490, X2: 2010, Y2: 1510}, {X1: 1990, Y1: 490, X2: 2010, Y2: 510}}
	got := r.places(f, boxes)
	if len(got) != 2 || math.Abs(got[0].Latitude+33.5) > 1e-5 || math.Abs(got[0].Longitude+70.25) > 1e-5 || got[0].Radius <= 0 {
		t.Fatalf("%+v", got)
	}
	// Under the digital zoom of 2, 24 mm are 48 mm of 43.3 mm across 5,000 pixels: 1,000 pixels from 60.5 m are 10.9 m, ten
	// degrees off the meridian.
	if south := (got[0].Latitude - got[1].Latitude) * 111000; math.Abs(south-10.7) > 0.5 {
		t.Errorf("the upper animal is %.1f m to the south", south)
	}
	for i := 1; i < 3; i++ {
		if f.Index = i; r.places(f, boxes)[0] != nil {
			t.Errorf("%s has places", r.names[i])
		}
	}
}
