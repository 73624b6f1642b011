package flightlog

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

const (
	airdata = "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),altitude_above_seaLevel(feet),satellites," +
		"compass_heading(degrees), pitch(degrees), roll(degrees),isPhoto,isVideo,gimbal_heading(degrees),gimbal_pitch(degrees),gimbal_roll(degrees),altitude(feet)\n" +
		"1000,2026-05-17 08:00:00,0.0,0.0,0,0,3,350,1,2,0,0,350.0,-90,0,0\n" +
		"1100,2026-05-17 08:00:00,-33.5,18.25,100,400,14,350,1,2,0,1,350.0,-89.5,0.5,100\n" +
		"1200,2026-05-17 08:00:00,-33.6,18.25,100,400,14,350,1,2,0,1,350.0,-89.5,0.5,100\n" +
		"1300,2026-05-17 08:00:00,-33.7,18.25,100,400,14,350,1,2,0,0,350.0,-89.5,0.5,100\n"
	litchi = "latitude,longitude,altitude(feet),ascent(feet),speed(mph),time(millisecond),datetime(utc),datetime(local),satellites," +
		"home_latitude,home_longitude,pitch(deg),roll(deg),yaw(deg),isTakingVideo,gimbalPitchRaw,gimbalRollRaw,gimbalYawRaw\n" +
		"-33.5,18.25,100,0,0,100,2026-05-17 08:00:00.000,2026-05-17 10:00:00.000,14,-33.4,18.2,1,2,-10,1,-895,5,-100\n" +
		"-33.6,18.25,100,0,0,200,2026-05-17 08:00:00.100,2026-05-17 10:00:00.100,14,-33.4,18.2,1,2,-10,1,-895,5,-100\n" +
		"-33.7,18.25,100,0,0,300,2026-05-17 08:00:00.200,2026-05-17 10:00:00.200,14,-33.4,18.2,1,2,-10,0,-895,5,-100\n"
	djiFly = "sep=,\nCUSTOM.date [local],CUSTOM.updateTime [local],OSD.flyTime [s],OSD.latitude,OSD.longitude,OSD.height [ft],OSD.altitude [ft]," +
		"OSD.pitch,OSD.roll,OSD.yaw [360],OSD.gpsNum,GIMBAL.pitch,GIMBAL.roll,GIMBAL.yaw,GIMBAL.yaw [360],CAMERA.isVideo,HOME.latitude,HOME.longitude,RECOVER.aircraftName,RECOVER.aircraftSerial\n" +
		"5/17/2026,8:00:00.10 AM,0.1,-33.5,18.25,100,400,1,2,350,14,-89.5,0.5,-10,350,True,-33.4,18.2,Mavic 3,1581F\n" +
		"5/17/2026,8:00:00.20 AM,0.2,-33.6,18.25,100,400,1,2,350,14,-89.5,0.5,-10,350,True,-33.4,18.2,Mavic 3,1581F\n" +
		"5/17/2026,8:00:00.30 AM,0.3,-33.7,18.25,100,400,1,2,350,14,-89.5,0.5,-10,350,False,-33.4,18.2,Mavic 3,1581F\n"
	gpx = `<?xml version="1.0" encoding="UTF-8"?><gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>` +
		`<trkpt lat="-33.5" lon="18.25"><ele>120.5</ele><time>2026-05-17T08:00:00.100Z</time><sat>14</sat></trkpt>` + "\n" +
		`<trkpt lat="-33.6" lon="18.25"><ele>120.5</ele><time>2026-05-17T10:00:00.200+02:00</time></trkpt>` + "\n" +
		`<trkpt lon="18.25" lat="-33.7"><time>2026-05-17T08:00:00.300Z</time></trkpt></trkseg></trk></gpx>`
	kml = `<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2"><Placemark><gx:Track>` +
		`<altitudeMode>relativeToGround</altitudeMode><when>2026-05-17T08:00:00.1Z</when><when>2026-05-17T08:00:00.2Z</when><when>2026-05-17T08:00:00.3Z</when>` +
		`<gx:coord>18.25 -33.5 30.48</gx:coord><gx:coord>18.25 -33.6 30.48</gx:coord><gx:coord>18.25 -33.7 30.48</gx:coord></gx:Track></Placemark></kml>`
)

func flight(t *testing.T, text string) *Log {
	t.Helper()
	l, err := Read("", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// decimalCommas turns a table into one of a spreadsheet in a language with decimal commas.
func decimalCommas(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, ",", ";"), ".", ",")
}

func TestTablesOfAFlight(t *testing.T) {
	for name, c := range map[string]struct {
		text, dialect string
		zone          Zone
		angles, app   bool
		height        float64
	}{
		"Airdata":          {airdata, "airdata-csv", UTC, true, false, 30.48},
		"Litchi":           {litchi, "litchi-csv", UTC, true, true, 30.48},
		"DJI Fly":          {djiFly, "dji-csv", Local, true, true, 30.48},
		"tabs":             {strings.ReplaceAll(litchi, ",", "\t"), "litchi-csv", UTC, true, true, 30.48},
		"semicolons":       {strings.ReplaceAll(airdata, ",", ";"), "airdata-csv", UTC, true, false, 30.48},
		"decimal commas":   {decimalCommas(litchi), "litchi-csv", UTC, true, true, 30.48},
		"UTF-16":           {utf16(airdata), "airdata-csv", UTC, true, false, 30.48},
		"CR LF":            {strings.ReplaceAll(airdata, "\n", "\r\n"), "airdata-csv", UTC, true, false, 30.48},
		"CR":               {strings.ReplaceAll(airdata, "\n", "\r"), "airdata-csv", UTC, true, false, 30.48},
		"mark, blank line": {"\ufeff\n" + airdata, "airdata-csv", UTC, true, false, 30.48},
		"GPX":              {gpx, "gpx", UTC, false, false, math.NaN()},
		"GPX 1.0":          {strings.ReplaceAll(gpx, "1/1", "1/0"), "gpx", UTC, false, false, math.NaN()},
		"KML":              {kml, "kml-track", UTC, false, false, 30.48},
		"plain": {"timestamp,lat,lon,height_m\n1779004800.1,-33.5,18.25,30.48\n1779004800.2,-33.6,18.25,30.48\n1779004800.3,-33.7,18.25,30.48\n",
			"csv", UTC, false, false, 30.48},
	} {
		t.Run(name, func(t *testing.T) {
			l := flight(t, c.text)
			if l.OfVideo || l.Dialect != c.dialect || l.Zone != c.zone {
				t.Errorf("%s, of a video %t, zone %q", l.Dialect, l.OfVideo, l.Zone)
			}
			i := len(l.Samples) - 3
			first, last := l.Samples[i], l.Samples[i+2]
			if first.Lat != -33.5 || last.Lat != -33.7 || last.Lon != 18.25 ||
				(last.Offset-first.Offset).Round(time.Millisecond) != 200*time.Millisecond {
				t.Errorf("%+v\n%+v", first, last)
			}
			if h := last.RelAlt; math.Abs(h-c.height) > 1e-9 || math.IsNaN(h) != math.IsNaN(c.height) {
				t.Errorf("height %v", h)
			}
			if got := first.Time.Truncate(time.Second); !got.Equal(time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC)) {
				t.Errorf("time %v", got)
			}
			if !c.angles {
				return
			}
			if last.Camera != (Attitude{-10, -89.5, 0.5}) || last.Body != (Attitude{-10, 1, 2}) ||
				last.Satellites != 14 {
				t.Errorf("%+v", last)
			}
			if !first.Recording || last.Recording {
				t.Error("the part with a video is not known")
			}
			if c.app && l.Home.Lat != -33.4 {
				t.Errorf("home %+v", l.Home)
			}
		})
	}
	if l := flight(t, djiFly); l.Model != "Mavic 3" || l.Serial != "1581F" {
		t.Errorf("%+v", l)
	}
}

func TestColumns(t *testing.T) {
	for text, want := range map[string]field{
		"latitude":                                 {latitude, "", "latitude"},
		" Longitude ":                              {longitude, "", "longitude"},
		"GPS(0):Long[degrees [-180;180]]":          {longitude, "degrees [-180;180", "gps0long"},
		"IMU_ATTI(0):relativeHeight[meters]":       {heightAboveTakeoff, "meters", "imuatti0relativeheight"},
		"height_above_takeoff(feet)":               {heightAboveTakeoff, "feet", "heightabovetakeoff"},
		"OSD.yaw [360]":                            {bodyYaw, "360", "osdyaw"},
		"CUSTOM.date [local]":                      {wallDate, "local", "customdate"},
		"time(utc)":                                {wallClock, "utc", "time"},
		"Breitengrad":                              {latitude, "", "breitengrad"},
		"gimbal_pitch(degrees)":                    {cameraPitch, "degrees", "gimbalpitch"},
		"max_altitude(feet)":                       {other, "feet", "maxaltitude"},
		"ground_elevation_at_drone_location(feet)": {other, "feet", "groundelevationatdronelocation"},
	} {
		if got := fieldOf(text); got != want {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

func TestTimesOfTables(t *testing.T) {
	at := time.Date(2026, 5, 17, 8, 0, 1, 0, time.UTC)
	for name, c := range map[string]struct {
		text string
		zone Zone
	}{
		"date and time": {"date,time,lat,lon\n2026-05-17,08:00:01,1.5,2.5\n2026-05-17,08:00:03,1.6,2.5\n", Local},
		"German":        {"Datum;date;time;Breitengrad;Längengrad\nx;17.05.2026;08:00:01;1,5;2,5\nx;17.05.2026;08:00:03;1,6;2,5\n", Local},
		"zone":          {"timestamp,lat,lon\n2026-05-17T10:00:01+02:00,1.5,2.5\n2026-05-17T10:00:03+02:00,1.6,2.5\n", UTC},
		"autopilot": {"TimeUS,Lat,Lng,Alt\n1000000,15000000,25000000,3\n3000000,16000000,25000000,3\n",
			UnknownZone},
		"minutes":        {"flyTime,lat,lon\n0m 1.0s,1.5,2.5\n0m 3.0s,1.6,2.5\n", UnknownZone},
		"rows shuffled":  {"timestamp,lat,lon\n2026-05-17T08:00:03Z,1.6,2.5\n2026-05-17T08:00:01Z,1.5,2.5\n", UTC},
		"quotes, spaces": {"\"timestamp\", \"lat\", \"lon\"\n\"2026-05-17T08:00:01Z\", \"1.5\", \"2.5\"\n\"2026-05-17T08:00:03Z\", \"1.6\", \"2.5\"\n", UTC},
	} {
		l := flight(t, c.text)
		a, b := l.Samples[0], l.Samples[1]
		if l.Zone != c.zone || a.Lat != 1.5 || b.Lat != 1.6 || b.Offset != 2*time.Second || a.Offset != 0 {
			t.Errorf("%s: %q %+v", name, l.Zone, l.Samples)
		}
		if c.zone != UnknownZone && !l.Captured().Equal(at) {
			t.Errorf("%s: %s", name, l.Captured())
		}
	}
}

func TestEventsOfAutel(t *testing.T) {
	const head = "[Script Info]\nTitle: x\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
	l := flight(t, head+`Dialogue: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{\an7}HOME(W: 109.31, N: 40.76) 2023-02-07 10:09:14\NGPS(W: 109.33, N: 40.75, 2371.76m)\NF.PRY (1.0°, -3.7°, -59.0°), G.PRY (-51.1°, 0.0°, -58.9°)`+
		"\nDialogue: 0,0:00:01.50,0:00:02.00,Default,,0,0,0,,GPS(W: 109.34, N: 40.75, 2372m)\nDialogue: 0,x,,,,\n")
	a, b := l.Samples[0], l.Samples[1]
	if l.Dialect != "autel-ass" || !l.OfVideo || a.Lat != 40.75 || a.Lon != -109.33 || a.AbsAlt != 2371.76 ||
		a.Camera.Pitch != -51.1 ||
		b.Offset != 1500*time.Millisecond || l.Home.Lon != -109.31 || l.Zone != Local {
		t.Errorf("%+v", l)
	}
	if len(l.Faults) != 1 || l.Faults[0].Line != 8 {
		t.Errorf("%v", l.Faults)
	}
}

func TestFaultsOfTables(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no times": {"latitude,longitude,height\n1.5,2.5,3\n", "its 1 rows have no times"},
		"no rows":  {"latitude,longitude,time\n", "its table has no rows"},
		"no fix": {"latitude,longitude,time\n0,0,1\n0,0,2\n",
			"none of its 2 records has a position (the first is in line 2)"},
		"GPX without times": {`<gpx><trk><trkseg><trkpt lat="1.5" lon="2"/></trkseg></trk></gpx>`,
			"its 1 points have no times"},
		"GPX of a route": {`<gpx><rte><rtept lat="1" lon="2"/></rte></gpx>`, "no points of a track"},
		"KML of a line": {`<kml><LineString><coordinates>1,2,3 4,5,6</coordinates></LineString></kml>`,
			"a line without times"},
	} {
		_, err := Read("", strings.NewReader(c.text))
		if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"cut GPX": gpx[:strings.Index(gpx, "-33.7")+2], "cut KML": kml[:strings.Index(kml, "-33.7")+2],
		"cut row": airdata[:strings.Index(airdata, "-33.7")+2], "row without time": djiFly + "x,y,,1.5,2.5,3\n",
		"place that is none": airdata + "1400,2026-05-17 08:00:00,95,18\n",
	} {
		l := flight(t, text)
		if len(l.Faults) == 0 || l.Fixes() < 2 {
			t.Errorf("%s: %d fixes, faults %v", name, l.Fixes(), l.Faults)
		}
	}
	l := flight(t, airdata+"1400,2026-05-17 08:00:00,95,18\n")
	if got := fmt.Sprint(l.Faults); got != "[line 2: 2 of 5 records have no position line 6: latitude 95, longitude 18 is no place]" {
		t.Error(got)
	}
}

func TestDatesOfTables(t *testing.T) {
	want := time.Date(2026, 5, 17, 15, 4, 5, 0, time.UTC)
	for text, zoned := range map[string]bool{
		"2026-05-17 15:04:05": false, "2026/05/17 15:04:05": false, "5/17/2026 3:04:05 PM": false,
		"17/5/2026 15:04:05":  false,
		"17.05.2026 15:04:05": false, "2026-05-17T17:04:05+02:00": true, "2026-05-17T15:04:05Z": true,
		"1779030245": true, "1779030245000": true,
	} {
		at, z, ok := parseTime(text)
		if !ok || z != zoned || !at.Equal(want) {
			t.Errorf("%s: %v %t %t", text, at, z, ok)
		}
	}
	for _, text := range []string{"", "5", "yesterday", "1970-01-01 00:00:00", "99/99/2026 10:00:00"} {
		if at, _, ok := parseTime(text); ok {
			t.Errorf("%s: %v", text, at)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{airdata, litchi, djiFly, gpx, kml, brackets, decimalCommas(litchi),
		"Dialogue: 0,0:00:00.00,,,,,,,,GPS(1,2,3)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Read("x", strings.NewReader(text))
		if err != nil {
			return
		}
		checkLog(t, l)
	})
}

// checkLog checks what every log promises.
func checkLog(t *testing.T, l *Log) {
	t.Helper()
	for i, s := range l.Samples {
		if s.HasPosition() && (math.Abs(s.Lat) > 90 || math.Abs(s.Lon) > 180) || i > 0 &&
			s.Offset <= l.Samples[i-1].Offset || s.Offset > l.End {
			t.Fatalf("sample %d: %+v, end %s", i, s, l.End)
		}
	}
	if l.Fixes() == 0 || len(l.Faults) > MaxFaults || l.Records < len(l.Samples) {
		t.Fatalf("%+v", l)
	}
}
