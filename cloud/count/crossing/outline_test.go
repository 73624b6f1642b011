package crossing

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// A line of the picture stays in the frame, one of the ground moves against the camera.
func TestOutlines(t *testing.T) {
	set := across(boundary.Ground)
	set.Lines = append(set.Lines, across(boundary.Picture).Lines[0], across(boundary.Ground).Lines[0])
	set.Lines[1].Name, set.Lines[2].Name = "picture", "late"
	set.Lines[2].Seconds = 60
	set.Zones = pen("", 0).Zones
	j, _ := scene{seconds: 5, camera: herdPan}.run(set)
	got := map[string]Outline{}
	for _, o := range j.Outlines() {
		got[o.Name] = o
	}
	if len(got) != 3 || len(got["pen"].Points) != 4 || !got["pen"].Zone {
		t.Fatalf("%+v", got)
	}
	for name, y := range map[string]float64{"gate": 150, "picture": 300} { // the camera has moved by 150 pixels
		o := got[name]
		if o.Zone || len(o.Points) != 2 || math.Abs(o.Points[0].Y-y) > 1e-6 || o.In.Y <= y || o.In.X != width/2 {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := New(set).Outlines(); o != nil {
		t.Errorf("without a step: %+v", o)
	}
	j, _ = scene{seconds: 5, pose: func(i int, p *motion.Pose) { p.Segment = i / 10 }}.run(set)
	for _, o := range j.Outlines() {
		if o.Name == "gate" {
			t.Errorf("on lost ground: %+v", o)
		}
	}
}
