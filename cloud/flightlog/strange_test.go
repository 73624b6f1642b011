package flightlog

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// summary is what a log says of its first record with a position, without what it does not say.
func summary(l *Log) string {
	i := 0
	for i < len(l.Samples)-1 && !l.Samples[i].HasPosition() {
		i++
	}
	s, b := l.Samples[i], &strings.Builder{}
	say := func(name string, values ...float64) {
		text, known := name, false
		for _, v := range values {
			if known = known || !math.IsNaN(v); math.IsNaN(v) {
				text += " ?"
			} else {
				text += fmt.Sprintf(" %.6g", v)
			}
		}
		if known {
			b.WriteString(text + " ")
		}
	}
	say("at", s.Lat, s.Lon)
	say("rel", s.RelAlt)
	say("abs", s.AbsAlt)
	say("camera", s.Camera.Yaw, s.Camera.Pitch, s.Camera.Roll)
	say("body", s.Body.Yaw, s.Body.Pitch, s.Body.Roll)
	say("focal", s.Focal35)
	say("zoom", s.Zoom)
	if s.Satellites > 0 {
		fmt.Fprintf(b, "sats %d ", s.Satellites)
	}
	if !s.Time.IsZero() {
		fmt.Fprintf(b, "%s %s ", l.Zone, s.Time.Format("2006-01-02T15:04:05.999"))
	}
	if s.Recording {
		b.WriteString("recording ")
	}
	if n := len(l.Samples); n > 1 {
		fmt.Fprintf(b, "%d to %s ", n, l.End)
	}
	for _, f := range l.Faults {
		fmt.Fprintf(b, "fault %s ", f)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// TestFieldsOfSidecars has fields that drones and converters write beside the usual ones.
func TestFieldsOfSidecars(t *testing.T) {
	const cue, place = "1\n00:00:00,000 --> 00:00:00,033\n", "[latitude: -22.5] [longitude: -113.9] "
	const at = "at -22.5 -113.9"
	for text, want := range map[string]string{
		place + "[Gimbal: Pitch: -45.0, Roll: 0.5, Yaw: 350.0] [Drone: Roll:1, Pitch:2, Yaw:190]": at +
			" camera -10 -45 0.5 body -170 2 1",
		place + "[Camera(Yaw=20, Pitch=-60)]":                                       at + " camera 20 -60 ?",
		place + "[gb_yaw: 350.0 gb_pitch: -45.0 gb_roll: 0.0]":                      at + " camera -10 -45 0",
		"F/2.8, GPS (-113.9, -22.5, 12), G.PRY (-45.0°, 0.0°, 350.0°)":              at + " camera -10 -45 0 sats 12",
		place + "[home latitude: -22.6] [home longitude: -113.8]":                   at,
		place + "[LRF latitude: 1.5] [LRF longitude: 2.5] [target_latitude: 3.5]":   at,
		"F/2.8, SS 640.00, EV 0, DZOOM 2.000, GPS (-113.9, -22.5, 16), D 2m, H 1m":  at + " rel 1 zoom 2 sats 16",
		place + "[focal_len : 240] [dzoom_ratio: 20000, delta:0]":                   at + " focal 24 zoom 2",
		place + "[digital_zoom_ratio: 1.50]":                                        at + " zoom 1.5",
		"[latitude: -2.25e1] [longitude: -1.139E+02] [rel_alt: 5e-1]":               at + " rel 0.5",
		"[latitude: −22.5] [longitude: −113.9]":                                     at,
		`{"latitude": -22.5, "longitude": -113.9, "rel_alt": 3.5}`:                  at + " rel 3.5",
		"Latitude: 22.5° S, Longitude: 113.9° W":                                    at,
		"2020-08-12 08:55:21 GMT+2\n" + place:                                       at + " utc 2020-08-12T06:55:21",
		"2020-08-12 08:55:21 UTC-03:30\n" + place:                                   at + " utc 2020-08-12T12:25:21",
		"2020-08-12 08:55:21+02\n" + place:                                          at + " utc 2020-08-12T06:55:21",
		"2020-08-12T08:55:21.1234567Z\n" + place:                                    at + " utc 2020-08-12T08:55:21.123",
		"2020-02-31 08:55:21\n" + place:                                             at + ` fault line 2: "2020-02-31 08:55:21" is no date`,
		"9020-02-21 08:55:21\n" + place:                                             at + ` fault line 2: the clock shows the year 9020; it is not set`,
		"HOME(-113.9,-22.5) 2017.08.05 14:11:51 -18.5\nGPS(-113.9,-22.5,9)":         at + " sats 9 local 2017-08-05T14:11:51",
		"GPS(-113.9,-22.5,99999999999999999999) [latitude: -22.5] [longitude: 7.5]": "at -22.5 7.5 abs 1e+20",
	} {
		if got := summary(read(t, cue+text+"\n")); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	for _, head := range []string{"%d 00:00:%02d,000 --> x", "%d\n00:%02d.000 --> x", "%d\n0:0:%d --> x"} {
		text := ""
		for i := range 3 {
			text += fmt.Sprintf(head+"\n%s\n\n", i+1, i, place)
		}
		if got := summary(read(t, text)); got != at+" 3 to 2s" {
			t.Errorf("%s: %s", head, got)
		}
	}
}

// TestTablesOfManyKinds has tables of apps and programs, with places in the south and west.
func TestTablesOfManyKinds(t *testing.T) {
	const at, day = "at -33.5 -18.25", "2026-05-17T08:00:00.1"
	for name, c := range map[string]struct{ text, want string }{
		"Yuneec": {",fsk_rssi,voltage,altitude,latitude,longitude,tas,satellites_num,roll,pitch,yaw\n" +
			"20171105 23:59:59:678,-60,15.2,10.5,-33.5,-18.25,0.0,14,1.0,2.0,350.0\n" +
			"20171106 00:00:00:678,-60,15.2,10.5,-33.6,-18.25,0.0,14,1.0,2.0,350.0\n",
			at + " rel 10.5 body -10 2 1 sats 14 local 2017-11-05T23:59:59.678 2 to 1s"},
		"over midnight": {"date,time,lat,lon\n2026-05-17,23:59:59,-33.5,-18.25\n2026-05-18,00:00:01,1.6,2.5\n",
			at + " local 2026-05-17T23:59:59 2 to 2s"},
		"seconds of Unix": {"time,lat,lon\n1779004800.1,-33.5,-18.25\n1779004801.1,-33.6,-18.25\n",
			at + " utc " + day + " 2 to 1s"},
		"milliseconds of Unix": {"timestamp_ms,lat,lon\n1779004800100,-33.5,-18.25\n1779004801100,-33.6,-18.25\n",
			at + " utc " + day + " 2 to 1s"},
		"seconds from the start": {"timestamp,lat,lon\n0.5,-33.5,-18.25\n2.0,-33.6,-18.25\n", at + " 2 to 1.5s"},
		"units in names": {"time_ms,lat_deg,lon_deg,altitude_agl_ft,gimbal_pitch_deg\n0,-33.5,-18.25,100,-45\n" +
			"1500,-33.6,-18.25,100,-45\n", at + " rel 30.48 camera ? -45 ? 2 to 1.5s"},
		"QGroundControl": {"Timestamp,roll,pitch,heading,altitudeRelative,altitudeAMSL,gps.lat,gps.lon,gps.count\n" +
			"2026-05-17 08:00:00.100,1,2,350,30.5,120.5,-33.5,-18.25,14\n",
			at + " rel 30.5 abs 120.5 body -10 2 1 sats 14 local " + day},
		"flight time with units": {"CUSTOM.updateTime,OSD.flyTime,OSD.latitude,OSD.longitude,OSD.height [ft],GIMBAL.pitch," +
			"GIMBAL.yaw [360],CAMERA.isVideo\n2026/05/17 08:00:00.100,1m 0.1s,-33.5,-18.25,100,-45,350,True\n" +
			"2026/05/17 08:00:00.200,1m 0.2s,-33.6,-18.25,100,-45,350,True\n",
			at + " rel 30.48 camera -10 -45 ? local " + day + " recording 2 to 100ms"},
		"ISO times and metres": {"CUSTOM.dateTime,OSD.flyTime [s],OSD.latitude,OSD.longitude,OSD.height [m],OSD.altitude [m]," +
			"GIMBAL.pitch,GIMBAL.yaw,CAMERA.isVideo\n2026-05-17T08:00:00.100Z,0.1,-33.5,-18.25,100,400,-45,-170,true\n",
			at + " rel 100 abs 400 camera -170 -45 ? utc " + day + " recording"},
		"local time": {"time(millisecond),datetime(local),latitude,longitude,height_above_takeoff(meters),isVideo," +
			"gimbal_heading(degrees)\n100,2026-05-17 08:00:00.1,-33.5,-18.25,30,1,350\n",
			at + " rel 30 camera -10 ? ? local " + day + " recording"},
		"zone, height above take-off": {"timestamp,latitude,longitude,altitude_hae,height_above_takeoff,gimbal_pitch,gimbal_yaw\n" +
			"2026-05-17T10:00:00.1+02:00,-33.5,-18.25,120,30,-45,350\n", at + " rel 30 camera -10 -45 ? utc " + day},
		"GPX, zone without colon": {`<gpx><trk><trkseg><trkpt lat="-33.5" lon="-18.25"><time>2026-05-17T10:00:00.1+0200</time>` +
			`</trkpt></trkseg></trk></gpx>`, at + " utc " + day},
		"GPX, blank for T": {`<gpx><trk><trkseg><trkpt lat="-33.5" lon="-18.25"><ele>-5</ele><time> 2026-05-17 08:00:00.1 </time>` +
			`</trkpt></trkseg></trk></gpx>`, at + " abs -5 utc " + day},
		"exponents": {"time,lat,lon,height\n1.5E+00,-3.35E+01,-1.825E+01,5E-1\n", at + " rel 0.5"},
	} {
		if got := summary(flight(t, c.text)); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", name, got, c.want)
		}
	}
	for text, want := range map[string]string{
		`<gpx><trk><trkseg><trkpt lat="1" lon="2"><time>noon</time></trkpt></trkseg></trk></gpx>`: `none of its points has a time (line 1: "noon" is no time)`,
		",latitude,longitude\n0,1.5,2.5\n1,1.6,2.5\n":                                             "its 2 rows have no times",
	} {
		if _, err := Read("", strings.NewReader(text)); !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMarksInSidecars(t *testing.T) {
	long := "<" + strings.Repeat("x", 300) + ">"
	for text, want := range map[string]string{
		"": "", "no mark": "no mark", `<font size="28">[iso: 1]</font>`: " [iso: 1] ", `{\an7}a{\b1}`: " a ",
		"{\"a\": 1}": "{\"a\": 1}", "a < b": "a < b", "1<2 <b>": "1<2  ", "<": "<", "{": "{", `{\`: `{\`, "<>x": " x",
		long: long,
	} {
		if got := untagged(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
