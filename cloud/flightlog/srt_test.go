package flightlog

import (
	"errors"
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
	if b.Offset != 1500*time.Millisecond || b.Lat != 60.3701 || b.Lon != -15.3901 || b.Camera != (Attitude{12.5, -89.9, 0.1}) ||
		b.Zoom != 2 || b.Focal35 != 24 || !math.IsNaN(b.RelAlt) {
		t.Errorf("second sample: %+v", b)
	}
	l, err = ReadSRT(strings.NewReader("1\n00:00:00,000 --> 00:00:01,000\nF/5.6, GPS (-61.461745, -32.867922, 15), " +
		"HOME (-61.457509, -32.862707, -57.98m), D 698.70m, H 85.80m, F.PRY (2.7°, -7.0°, 110.1°), G.PRY (-24.4°, 0.0°, 110.4°)\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := l.Samples[0]
	if s.Lat != -32.867922 || s.Lon != -61.461745 || s.Satellites != 15 || s.RelAlt != 85.8 || s.Camera.Pitch != -24.4 ||
		s.Body.Yaw != 110.1 || l.Home.Lat != -32.862707 || l.Home.Alt != -57.98 {
		t.Errorf("list: %+v home %+v", s, l.Home)
	}
	for _, text := range []string{"", "<html>", "1\n00:00:00,000 --> 00:00:01,000\nhello\n"} {
		if _, err := ReadSRT(strings.NewReader(text)); !errors.Is(err, ErrNoLog) {
			t.Errorf("%q: %v", text, err)
		}
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
