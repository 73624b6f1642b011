package flightlog

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestDoubtfulFields has records that can be read wrongly in silence. What may be wrong is left out, and a fault says so.
func TestDoubtfulFields(t *testing.T) {
	const cue, place, at = "1\n00:00:00,000 --> 00:00:00,033\n", "[latitude: -31.70001] [longitude: 24.30001] ", "at -31.7 24.3"
	const guess = " fault nothing says which of %s is the latitude; the longitude is taken to come first"
	for text, want := range map[string]string{
		// Places of other things.
		place + "[Home: latitude: -31.6 longitude: 24.2]":                            at,
		"[Home: latitude: -31.6 longitude: 24.2] " + place:                           at,
		place + "[Home Position: lat: -31.6, lon: 24.2]":                             at,
		place + "[RC: latitude: -31.6, longitude: 24.2]":                             at,
		place + "[LRF: latitude: -31.6 longitude: 24.2 height: 3.0] [rel_alt: 30.5]": at + " rel 30.5",
		place + "[operator_latitude: -31.6] [operator_longitude: 24.2]":              at,
		"[waypoint latitude: -31.6] [waypoint longitude: 24.2] " + place:             at,
		place + "[poi_lat: -31.6] [poi_lon: 24.2]":                                   at,
		"[subject latitude: -31.6, longitude: 24.2] " + place:                        at,
		"[takeoff latitude: -31.6, longitude: 24.2] " + place:                        at,
		"[latitude: -31.70001][longtitude: 24.30001][longitude: 0.0]":                at,
		"[longitude: 0.0][latitude: -31.70001][longtitude: 24.30001]":                at,
		// Coordinates in other forms.
		"[latitude: 31°42'07\"S] [longitude: 24°18'30\"E]":                                "at -31.7019 24.3083",
		"[latitude: 31.70001] [latitude_ref: S] [longitude: 24.30001] [longitude_ref: E]": at,
		"[latitude: 31.70001] [latRef=S] [longitude: 24.30001] [lonRef=W]":                "at -31.7 -24.3",
		"[latitude: S31.70001] [longitude: E24.30001]":                                    at,
		"latitude=-31.70001&longitude=24.30001&rel_alt=30":                                at + " rel 30",
		// The order of lists.
		"GPS(-31.7001,24.3001,100) BAROMETER(91.2) HOME(-31.7002,24.3001,50)": "at -31.7001 24.3001 rel 91.2 abs 100",
		"GPS(-31.7001,24.3001,18) BAROMETER:91.2":                             "at 24.3001 -31.7001 rel 91.2 sats 18" + fmt.Sprintf(guess, "-31.7001 and 24.3001"),
		"GPS(24.3001,-31.7001,18) BAROMETER:91.2":                             "at -31.7001 24.3001 rel 91.2 sats 18" + fmt.Sprintf(guess, "24.3001 and -31.7001"),
		"GPS(124.3001,-31.7001,18) BAROMETER:91.2":                            "at -31.7001 124.3 rel 91.2 sats 18",
		"GPS(24,3001,-31,7001,18)":                                            "at -31.7001 24.3001 sats 18" + fmt.Sprintf(guess, "24.3001 and -31.7001"),
		// Numbers that no camera has.
		place + "[focal_len: 6.72]":                          at + " fault the focal length 6.72 mm is that of the lens, not as for film of 35 mm; it is not used",
		place + "[focal_len: 12.00]":                         at + " focal 12",
		place + "[gb_yaw: 3500 gb_pitch: -900 gb_roll: 0]":   at + " fault the camera's pitch of -900 degrees is impossible; its angles are not used",
		place + "[gb_yaw: 10.0 gb_pitch: -120.0 gb_roll: 0]": at + " camera 10 -120 0",
		// Heights.
		place + "[rel_alt: 98.4ft abs_alt: 400.0ft]":                  at + " rel 29.9923 abs 121.92",
		place + "[rel_alt:30.5 abs_alt:100.25] [height: 5.2m] [H: 9]": at + " rel 30.5 abs 100.25",
		place + "[H: 9] [height: 5.2m] [rel_alt:30.5]":                at + " rel 30.5",
		place + "H.S 12.0m/s, V.S 1.0m/s, D 5m, H 30.5m":              at + " rel 30.5",
	} {
		if got := summary(read(t, cue+text+"\n")); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"Lat: 31 42.123 S, Lon: 24 18.5 E":                      "degrees and minutes in a form that is not read",
		"Lat: 31:42:07 S, Lon: 24:18:30 E":                      "degrees and minutes in a form that is not read",
		"Lat: 31d42m07s S, Lon: 24d18m30s E":                    "degrees and minutes in a form that is not read",
		"[latitude: -317000100] [longitude: 243000100]":         "is no place",
		"[latitude: -31.7] [longitude: 24.3] [latitude: -30.2]": "latitude is given as -31.7 and as -30.2",
		"[latitude: 0.0] [longitude: 0.0]":                      "1 of 2 records have no position",
		"[latitude: N/A] [longitude: N/A]":                      "1 of 2 records have no position",
	} {
		l := read(t, cue+text+"\n\n2\n00:00:01,000 --> 00:00:01,033\n"+place+"\n")
		if l.Samples[0].HasPosition() || l.Fixes() != 1 || !strings.Contains(fmt.Sprint(l.Faults), want) {
			t.Errorf("%s: %+v, faults %v", text, l.Samples[0], l.Faults)
		}
	}
}

// TestPositionsOutOfReach has positions from which the drone cannot have come to the others.
func TestPositionsOutOfReach(t *testing.T) {
	const good = "[latitude: -31.7000%d] [longitude: 24.30001]"
	series := func(lines ...string) string {
		s := ""
		for i, text := range lines {
			s += fmt.Sprintf("%d\n00:00:%02d,000 --> 00:00:%02d,000\n%s\n\n", i+1, i, i+1, text)
		}
		return s
	}
	row := func(bad map[int]string, n int) string {
		var lines []string
		for i := range n {
			text := fmt.Sprintf(good, i)
			if b, ok := bad[i]; ok {
				text = b
			}
			lines = append(lines, text)
		}
		return series(lines...)
	}
	const before = "[latitude: 22.54301] [longitude: 113.95801]" // where the receiver was last
	for name, c := range map[string]struct {
		text  string
		gone  []int // records without a position
		fault string
	}{
		"the last place of another day": {row(map[int]string{0: before, 1: before}, 8), []int{0, 1}, "2 of 8 positions are too far"},
		"one wrong digit":               {row(map[int]string{3: "[latitude: -31.70003] [longitude: 42.30001]"}, 8), []int{3}, "1 of 8 positions are too far"},
		"one without a sign":            {row(map[int]string{7: "[latitude: 31.70007] [longitude: 24.30001]"}, 8), []int{7}, "1 of 8 positions are too far"},
		"zero before the fix":           {row(map[int]string{0: "[latitude: 0.0] [longitude: 24.30001]"}, 8), []int{0}, "1 of 8 positions are too far"},
		"half of them":                  {row(map[int]string{0: before, 1: before, 2: before, 3: before}, 8), nil, "4 of 8 positions are too far"},
		"a fast drone":                  {series("[latitude: -31.7] [longitude: 24.3]", "[latitude: -31.7005] [longitude: 24.3]", "[latitude: -31.701] [longitude: 24.3]", "[latitude: -31.7015] [longitude: 24.3]", "[latitude: -31.702] [longitude: 24.3]"), nil, ""},
		"over the line of 180 degrees": {series("[latitude: -17.5] [longitude: 179.9999]", "[latitude: -17.5] [longitude: 180.0]", "[latitude: -17.5] [longitude: -179.9999]",
			"[latitude: -17.5] [longitude: -179.9998]", "[latitude: -17.5] [longitude: -179.9997]"), nil, ""},
		"two logs in one file": {row(nil, 5) + series("[latitude: -31.8] [longitude: 24.4]", "[latitude: -31.8] [longitude: 24.4]", "[latitude: -31.8] [longitude: 24.4]"), nil,
			"its times start over"},
	} {
		l := read(t, c.text)
		var gone []int
		for i := range l.Samples {
			if s := l.Samples[i]; !s.HasPosition() {
				gone = append(gone, i)
			} else if math.Abs(s.Lat+31.8) < 0.01 {
				t.Errorf("%s: the second log is read", name)
			}
		}
		if !slices.Equal(gone, c.gone) || c.fault == "" && len(l.Faults) > 0 || !strings.Contains(fmt.Sprint(l.Faults), c.fault) {
			t.Errorf("%s: without a position %v, faults %v", name, gone, l.Faults)
		}
	}
}
