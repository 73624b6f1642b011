package clipfile

import (
	"bytes"
	"math"
	"testing"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/synthetic"
)

// TestLogsAreRead has every form read by the reader of the product.
func TestLogsAreRead(t *testing.T) {
	truth := synthetic.Truth{Animals: []synthetic.AnimalTruth{{ID: 4}}}
	for i := range 31 {
		f := synthetic.FrameTruth{Frame: i, Camera: synthetic.CameraTruth{X: float64(i), Y: -2, Heading: 350, Scale: 20}}
		f.Animals = []synthetic.Sighting{{ID: 4, Visible: 1, At: [2]float64{100, 50}}}
		truth.PerFrame = append(truth.PerFrame, f)
	}
	c := synthetic.Config{FPS: 10, Width: 1280, Height: 720}
	for _, d := range Dialects() {
		l := Log{Dialect: d, Lat: -31.7, Lon: 24.3}
		if err := l.validate(c); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := l.text(&b, c, truth); err != nil {
			t.Fatal(err)
		}
		log, err := flightlog.ReadSRT(&b)
		if err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		want := map[Dialect]int{Brackets: 31, Plain: 31, List: 4}[d]
		s := log.Samples[len(log.Samples)-1]
		if log.Records != want || math.Abs(s.Offset.Seconds()-3) > 0.01 || math.Abs(s.Lat-(-31.7+2/110890.0)) > 1e-6 ||
			math.Abs(s.Lon-(24.3+30/94790.0)) > 1e-6 || math.Abs(s.RelAlt-44.4) > 0.1 {
			t.Errorf("%s: %d records, last %+v", d, log.Records, s)
		}
		if angles := s.Camera; d == Plain && angles.Known() || d != Plain && (angles.Yaw != -10 || angles.Pitch != -90) {
			t.Errorf("%s: angles %+v", d, angles)
		}
		l.place(&truth)
		if a := truth.Animals[0]; a.Latitude == nil || math.Abs(*a.Latitude-(-31.7-50/110890.0)) > 1e-6 {
			t.Errorf("%s: the place of the animal: %+v", d, a)
		}
	}
}
