package flightlog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

const brackets = "\ufeff1\r\n00:15:04,000 --> 00:15:04,033\r\n<font size=\"28\">FrameCnt: 1\r\n" +
	"[focal_len : 240] [latitude: 0.0] [longitude: 0.0] [rel_alt: 5.000 abs_alt: -122.5]</font>\r\n\r\n" +
	"2\r\n00:15:05,500 --> 00:15:05,533\r\n[focal_len: 24.00] [dzoom_ratio: 2.0] [latitude : 60.3701] [longtitude : -15.3901] " +
	"[gb_yaw: 12.5 gb_pitch: -89.9 gb_roll: 0.1]\r\n"

func TestReadSRT(t *testing.T) {
	l, err := ReadSRT(strings.NewReader(brackets))
	if err != nil {
		t.Fatal(err)
	}
	a, b := l.Samples[0], l.Samples[1]
	if a.HasPosition() || a.Offset != 0 || a.RelAlt != 5 || a.AbsAlt != -122.5 || a.Focal35 != 24 {
		t.Errorf("before the fix: %+v", a)
	}
	if b.Offset != 1500*time.Millisecond || b.Lat != 60.3701 || b.Lon != -15.3901 || b.Camera != (Attitude{12.5,
		-89.9, 0.1}) ||
		b.Zoom != 2 || b.Focal35 != 24 || !math.IsNaN(b.RelAlt) {
		t.Errorf("second sample: %+v", b)
	}
	l, err = ReadSRT(strings.NewReader("1\n00:00:00,000 --> 00:00:01,000\nF/5.6, GPS (-61.461745, -32.867922, 15), " +
		"HOME (-61.457509, -32.862707, -57.98m), D 698.70m, H 85.80m, F.PRY (2.7°, -7.0°, 110.1°), G.PRY (-24.4°, 0.0°, 110.4°)\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := l.Samples[0]
	if s.Lat != -32.867922 || s.Lon != -61.461745 || s.Satellites != 15 || s.RelAlt != 85.8 ||
		s.Camera.Pitch != -24.4 ||
		s.Body.Yaw != 110.1 || l.Home.Lat != -32.862707 || l.Home.Alt != -57.98 {
		t.Errorf("list: %+v home %+v", s, l.Home)
	}
	for _, text := range []string{"", "<html>", "1\n00:00:00,000 --> 00:00:01,000\nhello\n"} {
		if _, err := ReadSRT(strings.NewReader(text)); !errors.Is(err, ErrNoLog) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// read reads a sidecar that must have a position.
func read(t *testing.T, text string) *Log {
	t.Helper()
	l, err := ReadSRT(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestDialects(t *testing.T) {
	const cue = "1\n00:00:00,000 --> 00:00:01,000\n"
	for name, c := range map[string]struct {
		text             string
		lat, lon, height float64
	}{
		"home line first, satellites": {cue + "HOME(146.1,-18.2) 2017.08.05 14:11:51\nGPS(146.3,-18.4,16) BAROMETER:1.9\n", -18.4, 146.3, 1.9},
		"Hb and Hs":                   {cue + "GPS(-3.5,43.25,11) Hb:4.5 Hs:1.0\n", 43.25, -3.5, 4.5},
		"latitude first, unit":        {cue + "GPS(22.5,113.9,0.0M) BAROMETER:30.3M\n", 22.5, 113.9, 30.3},
		"latitude first, height": {cue + "GPS(41.25,13.75,69.800) BAROMETER(91.2) HOME(41.2,13.7)\n", 41.25,
			13.75, 91.2},
		"longitude beyond 90 is second": {cue + "GPS(41.25,113.75,16) BAROMETER:2\n", 41.25, 113.75, 2},
		"list, n/a":                     {cue + "F/2.8, SS 30.15, GPS (-124.5, 49.25, 17), D 221.21m, H 20.70m, H.S n/a\n", 49.25, -124.5, 20.7},
		"list, decimal commas":          {cue + "F/2,8, GPS (5,5990, 48,8392, 18), D 49,21m, H 45,60m, H.S 0,00m/s\n", 48.8392, 5.599, 45.6},
		"brackets":                      {cue + "[latitude : 60.5] [longtitude : 15.25] [rel_alt: 5.0 abs_alt: 105.0]</font>\n", 60.5, 15.25, 5},
		"brackets, decimal commas":      {cue + "[latitude: 60,5] [longitude: -15,25] [rel_alt: 5,5 abs_alt: 105,0]\n", 60.5, -15.25, 5.5},
		"other names and case":          {cue + "Lat: 60.5, Lon: 15.25, Height: 12.5\n", 60.5, 15.25, 12.5},
		"equals signs":                  {cue + "latitude=60.5 longitude=15.25 rel_alt=7\n", 60.5, 15.25, 7},
		"no cue times":                  {"1\n2019.02.03 10:00:00\n[latitude: 60.5] [longtitude: 15.25] [rel_alt: 3]\n\n", 60.5, 15.25, 3},
		"lone CR":                       {"1\r00:00:00,000 --> 00:00:01,000\r[latitude: 60.5] [longitude: 15.25] [rel_alt: 3]\r\r", 60.5, 15.25, 3},
		"cut behind the position": {cue + "[latitude: 60.5] [longitude: 15.25] [rel_alt: 3] [abs_al", 60.5,
			15.25, 3},
		"UTF-16": {utf16(cue + "[latitude: 60.5] [longitude: 15.25] [rel_alt: 3]\n"), 60.5,
			15.25, 3},
		"no blank lines": {cue + "[latitude: 60.5] [longitude: 15.25] [rel_alt: 3]\n2\n00:00:01,000 --> \n[latitude: 1]\n", 60.5, 15.25, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := read(t, c.text).Samples[0]
			if s.Lat != c.lat || s.Lon != c.lon || s.RelAlt != c.height {
				t.Errorf("%v, %v, %v m: %+v", s.Lat, s.Lon, s.RelAlt, s)
			}
		})
	}
}

func utf16(text string) string {
	out := []byte{0xff, 0xfe}
	for _, b := range []byte(text) {
		out = append(out, b, 0)
	}
	return string(out)
}

func TestTimesOfSidecars(t *testing.T) {
	l := read(t, "1\n00:00:01,000 --> 00:00:02,000\n2020-08-12 08:55:21,745,078\nGPS(1.5,2.5,9)\n\n"+
		"2\n00:00:02,000 --> 00:00:03,000\n2020-08-12 08:55:22,745,078\nGPS(1.5,2.5,9)\n")
	if l.Zone != Local || !l.Captured().Equal(time.Date(2020, 8, 12, 8, 55, 20, 745e6, time.UTC)) {
		t.Errorf("%s %v", l.Zone, l.Captured())
	}
	if l.Samples[0].Offset != time.Second || l.Samples[0].Held || !l.Samples[1].Held {
		t.Errorf("%+v", l.Samples)
	}
	l = read(t, "1\n2020-08-12T08:55:21+02:00\n[latitude: 1.5] [longitude: 2.5]\n\n2\n2020-08-12T08:55:24+02:00\n[latitude: 1.6] [longitude: 2.5]\n\n")
	if l.Zone != UTC || l.Captured().Hour() != 6 || l.Samples[1].Offset != 3*time.Second {
		t.Errorf("%s %v %+v", l.Zone, l.Captured(), l.Samples)
	}
}

func TestOneOrderForAllRecords(t *testing.T) {
	const second = "\n\n2\n00:00:01,000 --> x\n"
	l := read(t, "1\n00:00:00,000 --> x\nGPS(41.5,13.5,70) HOME(41.25,13.25)"+second+"GPS(41.5,13.75,69.8)\n")
	if a, b := l.Samples[0], l.Samples[1]; a.Lat != 41.5 || a.Lon != 13.5 || a.AbsAlt != 70 || b.Lat != 41.5 ||
		l.Home.Lat != 41.25 {
		t.Errorf("%+v home %+v", l.Samples, l.Home)
	}
	l = read(t, "1\n00:00:00,000 --> x\nGPS(80.5,13.5,11)"+second+"GPS(90.5,13.5,11)\n")
	if a := l.Samples[0]; a.Lat != 13.5 || a.Lon != 80.5 || a.Satellites != 11 {
		t.Errorf("%+v", l.Samples)
	}
}

func TestAnglesAndReceivers(t *testing.T) {
	s := read(t, "1\n00:00:00,000 --> x\n[latitude: 1.5] [longtitude: 2.5] [Drone: Yaw:-146.0, Pitch:-0.6, Roll:1.3] "+
		"[Gimbal: Yaw:10.0, Pitch:-45.0, Roll:0.5]\n").Samples[0]
	if s.Body != (Attitude{-146, -0.6, 1.3}) || s.Camera != (Attitude{10, -45, 0.5}) {
		t.Errorf("%+v", s)
	}
	s = read(t, "1\n00:00:00,000 --> x\nF/5.6, rtk (-61.5, -32.5, 15), home (-61.25, -32.25, 1.5m), H 80.5m, g.pry (-24.5°, 0.0°, 110.5°)\n").Samples[0]
	if !s.RTK || s.Lat != -32.5 || s.Lon != -61.5 || s.RelAlt != 80.5 || s.Camera != (Attitude{110.5, -24.5, 0}) {
		t.Errorf("%+v", s)
	}
}

func TestSignsOfDegreesInOtherEncodings(t *testing.T) {
	for _, sign := range []string{"°", "\xb0", "\xa1\xe3", "\ufffd", "", "º"} {
		s := read(t, "1\n00:00:00,000 --> x\nF/5.6, GPS (-61.5, -32.5, 15), G.PRY (-24.5"+sign+", 0.0"+sign+", 110.5"+sign+")\n").Samples[0]
		if s.Camera != (Attitude{110.5, -24.5, 0}) {
			t.Errorf("%q: %+v", sign, s.Camera)
		}
	}
}

func TestHeldPositions(t *testing.T) {
	var b strings.Builder
	for i := range 300 { // a hover of 30 s at ten records a second
		fmt.Fprintf(&b, "%d\n00:00:%02d,%d00 --> x\n[latitude: 1.5] [longitude: 2.5] [focal_len: 162.00]\n\n", i,
			i/10, i%10)
	}
	l, fresh := read(t, b.String()), 0
	for _, s := range l.Samples {
		if !s.Held {
			fresh++
		}
	}
	if fresh < 15 || fresh > 30 {
		t.Errorf("%d of %d positions of a hover are new", fresh, len(l.Samples))
	}
	if f := l.Samples[0].Focal35; f != 162 {
		t.Errorf("a long lens of %v mm", f)
	}
}

func TestRecordsWithoutPosition(t *testing.T) {
	l := read(t, "1\n00:00:00,000 --> 00:00:01,000\n[latitude: 0.0] [longitude: 0.0]\n\n"+
		"2\n00:00:01,000 --> 00:00:02,000\n[latitude: 91] [longitude: 7]\n\n3\n00:00:02,000 --> 00:00:03,000\n[latitude: 46.5] [longitude: 7]\n")
	if l.Fixes() != 1 || l.Records != 3 || len(l.Faults) != 2 {
		t.Fatalf("%+v", l)
	}
	if got := l.Faults[1].String(); got != "line 6: latitude 91, longitude 7 is no place" {
		t.Error(got)
	}
	if got := l.Faults[0].String(); got != "line 2: 2 of 3 records have no position" {
		t.Error(got)
	}
	for text, want := range map[string]string{
		"":                          "the file is empty",
		"<!DOCTYPE html><p>Log in":  "a page in HTML",
		"1\n":                       "no records of a flight",
		"1\n00:00:00,000 --> 1\nhi": "none of its 1 records has a position (the first is in line 2)",
	} {
		if _, err := ReadSRT(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// endless is a sidecar without end: n records of one cue each.
type endless struct{ n, rest int }

func (e *endless) Read(b []byte) (int, error) {
	if e.rest--; e.rest < 0 {
		return 0, io.EOF
	}
	e.n++
	return copy(b, fmt.Sprintf("%d\n%02d:%02d:%02d,000 --> x\n[latitude: %d.5] [longitude: 7]\n\n", e.n, e.n/3600,
		e.n/60%60, e.n%60, e.n%80)), nil
}

func TestLongSidecarIsThinned(t *testing.T) {
	l, err := ReadSRT(&endless{rest: 3 * MaxSamples / 2})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(l.Samples); n > MaxSamples || n < MaxSamples/2 || l.Records != 3*MaxSamples/2 {
		t.Fatalf("%d samples of %d records", n, l.Records)
	}
	if step := l.Samples[9].Offset - l.Samples[8].Offset; step != 2*time.Second {
		t.Errorf("every second record is kept: %v", step)
	}
	if last := l.Samples[len(l.Samples)-1].Offset; l.End-last > 2*time.Second {
		t.Errorf("the last sample is at %v of %v", last, l.End)
	}
	l = read(t, strings.Repeat("x", 3*longestLine)+"\n"+brackets)
	if l.Fixes() != 1 {
		t.Errorf("after a long line: %+v", l)
	}
}

func FuzzReadSRT(f *testing.F) {
	f.Add(brackets)
	f.Add("00:00:00,000 --> x\nGPS (1, 2, 3)")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ReadSRT(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, s := range l.Samples {
			if s.HasPosition() && (math.Abs(s.Lat) > 90 || math.Abs(s.Lon) > 180) {
				t.Fatalf("%+v", s)
			}
		}
	})
}
