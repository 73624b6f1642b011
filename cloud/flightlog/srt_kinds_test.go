package flightlog

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestOrderOfLists has logs in which the order of the two numbers, or the meaning of the third, follows from
// something else than the list itself.
func TestOrderOfLists(t *testing.T) {
	const cue = "1\n00:00:00,000 --> 00:00:01,000\n"
	none := math.NaN()
	for name, c := range map[string]struct {
		text                  string
		lat, lon, rel, abs    float64
		satellites            int
		homeLat, homeLon, alt float64
	}{
		"named height beside satellites": {cue + "GPS(146.5,-18.5,16) [altitude: 117.5]", -18.5, 146.5, none, 117.5,
			16, none, none, none},
		"longitude first, real height": {cue + "GPS(146.5,-18.5,35.25)", -18.5, 146.5, none, 35.25, 0, none, none,
			none},
		"line, real height": {cue + "F/2.8, SS 100, GPS (5.5, 48.25, 245.6), D 1m, H 45.6m", 48.25, 5.5,
			45.6, 245.6, 0, none, none, none},
		"home line, real height": {cue + "HOME(5.5,48.5) 2019.01.02 10:00:00\nGPS(5.5,48.25,245.6) Hb:4.5",
			48.25, 5.5, 4.5, 245.6, 0, 48.5, 5.5, none},
		"named and listed": {cue + "[latitude: 48.25] [longitude: 5.5] GPS(5.5,48.25,18)", 48.25, 5.5,
			none, none, 18, none, none, none},
		"named and listed, turned round": {cue + "GPS(48.25,5.5,18.5) [latitude: 48.25] [longitude: 5.5]", 48.25,
			5.5, none, 18.5, 0, none, none, none},
		"named, list before its fix": {cue + "[latitude: 48.25] [longitude: 5.5] GPS(0,0,3)", 48.25, 5.5, none,
			none, 3, none, none, none},
		"listed, names before their fix": {cue + "[latitude: 0.0] [longitude: 0.0] GPS(5.5,48.25,18)", 48.25, 5.5,
			none, none, 18, none, none, none},
		"named, home longitude first": {cue + "[latitude: 48.25] [longitude: 5.5] HOME(5.5,48.2,12.5m)", 48.25,
			5.5, none, none, 0, 48.2, 5.5, 12.5},
		"named, home latitude first": {cue + "[latitude: 48.25] [longitude: 5.5] HOME(48.2,5.5)", 48.25, 5.5,
			none, none, 0, 48.2, 5.5, none},
		"home tells by its range": {cue + "GPS(89.99,13.5,70.5) HOME(90.01,13.5)", 13.5, 89.99, none, 70.5, 0,
			13.5, 90.01, none},
		"distance tells, latitude first": {cue + "GPS(48,5.501,15) HOME(48,5.5) D 74.4m", 48, 5.501, none, none, 15,
			48, 5.5, none},
		"distance tells, the other": {cue + "GPS(5.501,48.0,15.5) HOME(5.5,48) D 74.4m", 48, 5.501, none, 15.5,
			0, 48, 5.5, none},
		"letters": {cue + "HOME(W: 109.318642, N: 40.769371) 2023-02-07 10:09:14\nGPS(W: 109.339287, N: 40.768574, 2371.76m)",
			40.768574, -109.339287, none, 2371.76, 0, 40.769371, -109.318642, none},
		"letters, latitude first":   {cue + "GPS(S 33.5, E 18.25, 12)", -33.5, 18.25, none, none, 12, none, none, none},
		"letters behind":            {cue + "GPS (18.25W, 33.5S, 12)", -33.5, -18.25, none, none, 12, none, none, none},
		"no parentheses":            {cue + "GPS: 5.5, 48.25, 18 H: 4.5m", 48.25, 5.5, 4.5, none, 18, none, none, none},
		"square brackets":           {cue + "GPS [5.5, 48.25, 18]", 48.25, 5.5, none, none, 18, none, none, none},
		"semicolons":                {cue + "GPS (5,5; 48,25; 18)", 48.25, 5.5, none, none, 18, none, none, none},
		"commas everywhere":         {cue + "GPS(5,5,48,25,18)", 48.25, 5.5, none, none, 18, none, none, none},
		"commas everywhere, height": {cue + "GPS(105,5,48,25,18,5)", 48.25, 105.5, none, 18.5, 0, none, none, none},
		"height in feet": {cue + "GPS (105.5, 48.25, 100ft), H 50 ft", 48.25, 105.5, 15.24, 30.48, 0,
			none, none, none},
	} {
		t.Run(name, func(t *testing.T) {
			l := read(t, c.text+"\n")
			s, h := l.Samples[0], l.Home
			for _, n := range []struct {
				what      string
				got, want float64
			}{{"latitude", s.Lat, c.lat}, {"longitude", s.Lon, c.lon}, {"rel. height", s.RelAlt, c.rel},
				{"abs. height", s.AbsAlt, c.abs},
				{"satellites", float64(s.Satellites), float64(c.satellites)}, {"home latitude", h.Lat, c.homeLat},
				{"home longitude", h.Lon, c.homeLon}, {"home height", h.Alt, c.alt}} {
				if math.Abs(n.got-n.want) > 1e-9 || math.IsNaN(n.got) != math.IsNaN(n.want) {
					t.Errorf("%s %v, want %v", n.what, n.got, n.want)
				}
			}
		})
	}
}

func TestCoordinatesByName(t *testing.T) {
	const cue = "1\n00:00:00,000 --> 00:00:01,000\n"
	for text, want := range map[string][2]float64{
		"[latitude: 33.5 S] [longitude: 70.25 W]":                        {-33.5, -70.25},
		"lat: S33.5, lon: W70.25":                                        {-33.5, -70.25},
		"Lat: 33.5°S Long: 70.25°E":                                      {-33.5, 70.25},
		`latitude: 33°30'0.0"S longitude: 70°15'0.0"W`:                   {-33.5, -70.25},
		"[latitude: -33.5] [longtitude: -70.25]":                         {-33.5, -70.25},
		"Breitengrad: 47,5 Längengrad: 8,25 Höhe: 3,5":                   {47.5, 8.25},
		"[纬度: 30.5] [经度: 104.25] [高度: 3.5]":                              {30.5, 104.25},
		"[широта: 55.5] [долгота: 37.25]":                                {55.5, 37.25},
		"latitud = 40.5 longitud = -3.25":                                {40.5, -3.25},
		"[latitude: n/a] [longitude: n/a] GPS(8.25,47.5,12)":             {47.5, 8.25},
		"[latitude: nan] [longitude: nan] GPS (8.25, 47.5, n/a)":         {47.5, 8.25},
		"<font size=\"28\">[latitude:47.5][longitude:8.25]":              {47.5, 8.25},
		"GPS (lat: 47.5, lon: 8.25, alt: 400m) HOME(lat: 1.5, lon: 2.5)": {47.5, 8.25},
		"{\\an8}[latitude: 47.5] [longitude: 8.25]":                      {47.5, 8.25},
	} {
		s := read(t, cue+text+"\n").Samples[0]
		if math.Abs(s.Lat-want[0]) > 1e-9 || math.Abs(s.Lon-want[1]) > 1e-9 {
			t.Errorf("%s: %v, %v", text, s.Lat, s.Lon)
		}
	}
	for _, text := range []string{"GPS (n/a, n/a, 0)", "GPS (nan, nan, 0)", "GPS(inf,inf,3)",
		"[latitude: n/a] [longitude: 5]", "GPS(1e999,5,3)"} {
		if l, err := ReadSRT(strings.NewReader(cue + text + "\n")); err == nil {
			t.Errorf("%s: %+v", text, l.Samples[0])
		}
	}
}

func TestClocksOfSidecars(t *testing.T) {
	const place, next = "\nGPS(7.5,47.5,12)\n\n", "2\n00:00:01,000 --> 00:00:02,000\n"
	for name, c := range map[string]struct {
		first, second string
		zone          Zone
		captured      time.Time
	}{
		"plain": {"2017.8.5 14:11:51", "2017.8.5 14:11:52", Local, time.Date(2017, 8, 5, 14, 11, 51, 0,
			time.UTC)},
		"zone": {"2020-08-12T08:55:21+02:00", "2020-08-12T08:55:22+02:00", UTC, time.Date(2020, 8, 12,
			6, 55, 21, 0, time.UTC)},
		"zone only at first": {"2020-08-12 08:55:21 +0200", "2020-08-12 08:55:22", UTC, time.Date(2020, 8, 12, 6, 55,
			21, 0, time.UTC)},
		"zone only at last": {"2020-08-12 08:55:21", "2020-08-12 08:55:22 +0200", UTC, time.Date(2020, 8, 12, 6, 55,
			21, 0, time.UTC)},
		"UTC":            {"2020-08-12 08:55:21.5 UTC", "", UTC, time.Date(2020, 8, 12, 8, 55, 21, 5e8, time.UTC)},
		"other language": {"2020年08月12日 08:55:21", "", Local, time.Date(2020, 8, 12, 8, 55, 21, 0, time.UTC)},
		"12 hours":       {"2020-08-12 08:55:21 PM", "", Local, time.Date(2020, 8, 12, 20, 55, 21, 0, time.UTC)},
		"clock not set": {"1970-01-01 00:00:21", "2020-08-12 08:55:22", Local, time.Date(2020, 8, 12, 8, 55, 21,
			0, time.UTC)},
		"Mac of old": {"1904-01-01 00:00:00", "", UnknownZone, time.Time{}},
		"no date":    {"2020-13-12 08:55:21", "", UnknownZone, time.Time{}},
	} {
		l := read(t, "1\n00:00:00,000 --> 00:00:01,000\n"+c.first+place+next+c.second+place)
		if l.Zone != c.zone || !l.Captured().Equal(c.captured) {
			t.Errorf("%s: %q %s", name, l.Zone, l.Captured())
		}
	}
	l := read(t, "1\n00:00:00,000 --> x\n1970-01-01 00:00:21"+place)
	if len(l.Faults) != 2 || l.Faults[1].String() != "line 2: the clock shows the year 1970; it is not set" {
		t.Errorf("%v", l.Faults)
	}
}

func TestBrokenCues(t *testing.T) {
	const a, b, c = "[latitude: 1.5] [longitude: 2.5]\n", "[latitude: 1.6] [longitude: 2.5]\n",
		"[latitude: 1.7] [longitude: 2.5]\n"
	for name, v := range map[string]struct {
		text    string
		offsets []time.Duration
		last    float64
	}{
		"out of order": {"2\n00:00:01,000 --> x\n" + b + "\n1\n00:00:00,000 --> x\n" + a, []time.Duration{0,
			time.Second}, 1.6},
		"twice":          {"1\n00:00:00,000 --> x\n" + a + "\n1\n00:00:00,000 --> x\n" + a + "\n2\n00:00:01,000 --> x\n" + b, []time.Duration{0, time.Second}, 1.6},
		"twice, one fix": {"1\n00:00:00,000 --> x\n\n1\n00:00:00,000 --> x\n" + a, []time.Duration{0}, 1.5},
		"late, out of order": {"2\n00:15:05,000 --> x\n" + b + "\n1\n00:15:04,000 --> x\n" + a + "\n3\n00:15:06,000 --> x\n" + c,
			[]time.Duration{0, time.Second, 2 * time.Second}, 1.7},
		"no start":  {"1\n00:00:00,000 --> 00:00:01,000\n" + a + "\n2\n --> 00:00:02,000\n" + b + "\n3\n00:00:02,000 --> 00:00:03,000\n" + c, []time.Duration{0, time.Second, 2 * time.Second}, 1.7},
		"no number": {"00:00:00.000 --> x\n" + a + "00:00:01.000 --> x\n" + b, []time.Duration{0, time.Second}, 1.6},
		"colon": {"1\n00:00:00:000 --> x\n" + a + "\n2\n00:00:01:500 --> x\n" + b, []time.Duration{0,
			1500 * time.Millisecond}, 1.6},
		"zeros inside": {"1\n00:00:00,000 --> x\n" + a + strings.Repeat("\x00",
			900) + "\n2\n00:00:01,000 --> x\n" + b, []time.Duration{0, time.Second}, 1.6},
		"cut": {"1\n00:00:00,000 --> x\n" + a + "\n2\n00:00:01,000 --> x\n[latitude: 1.6] [longi",
			[]time.Duration{0, time.Second}, math.NaN()},
	} {
		l := read(t, v.text)
		var offsets []time.Duration
		for _, s := range l.Samples {
			offsets = append(offsets, s.Offset)
		}
		last := l.Samples[len(l.Samples)-1].Lat
		if len(offsets) != len(v.offsets) || last != v.last && !(math.IsNaN(last) && math.IsNaN(v.last)) {
			t.Errorf("%s: %v, last %v", name, offsets, last)
			continue
		}
		for i := range offsets {
			if offsets[i] != v.offsets[i] {
				t.Errorf("%s: %v", name, offsets)
			}
		}
	}
}

func TestManyFaults(t *testing.T) {
	var b strings.Builder
	for range 50 {
		b.WriteString("1\n00:00:00,000 --> x\n[latitude: 95] [longitude: 2]\n\n")
	}
	b.WriteString("1\n00:00:00,000 --> x\n[latitude: 5] [longitude: 2]\n")
	l := read(t, b.String())
	if n := len(l.Faults); n != MaxFaults || l.Faults[n-1].String() != "32 more faults" {
		t.Errorf("%d %v", n, l.Faults)
	}
}
