package flightlog

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestModels has a record as each family of drones writes it, with places of no flight.
func TestModels(t *testing.T) {
	none := math.NaN()
	const cue, font = "1\n00:00:00,000 --> 00:00:00,033\n", "<font size=\"28\">FrameCnt: 1, DiffTime: 33ms\n"
	const exposure = "[iso: 100] [shutter: 1/640.0] [fnum: 2.8] [ev: 0] "
	for _, c := range []struct {
		model, text                     string
		lat, lon, rel, abs, focal, zoom float64
		camera                          Attitude
		satellites                      int
		taken                           string // wall clock
		rtk                             bool
	}{
		{"Phantom 4, 2017", "1\n00:00:00,000 --> 00:00:01,000\nHOME(146.4151,-18.8832) 2017.8.5 14:11:51\n" +
			"GPS(146.4152,-18.8833,16) Hb:1.9 Hs:1.8\nISO:100 TV:60 EV: 0 IR:F2.8\n",
			-18.8833, 146.4152, 1.9, none, none, none, Unknown(), 16, "2017-08-05 14:11:51", false},
		{"Mavic Pro", cue + "HOME(14.41,48.88) 2017.08.05 14:11:51\nGPS(14.42,48.89,9) BAROMETER:-1.9\n" +
			"ISO:100 Shutter:60 EV:-1/3 Fnum:2.2\n",
			48.89, 14.42, -1.9, none, none, none, Unknown(), 9, "2017-08-05 14:11:51", false},
		{"Matrice 300", cue + "2021.08.05 14:11:51\nGPS(22.5428,13.9584,0.0M) BAROMETER:30.3M\n",
			22.5428, 13.9584, 30.3, 0, none, none, Unknown(), 0, "2021-08-05 14:11:51", false},
		{"Mavic Mini", cue + "F/2.8, SS 30.15, ISO 260, EV -1.7, GPS (-24.3558, 49.4471, 17), D 221.21m, H 20.70m, H.S n/a, V.S n/a\n",
			49.4471, -24.3558, 20.7, none, none, none, Unknown(), 17, "", false},
		{"Phantom 4 RTK", cue + "F/5.6, SS 400, ISO 100, EV 0, RTK (-61.461745, -32.867922, 15), HOME (-61.457509, -32.862707, -57.98m), " +
			"D 698.70m, H 85.80m, H.S 0.00m/s, V.S 0.00m/s, F.PRY (2.7°, -7.0°, 110.1°), G.PRY (-24.4°, 0.0°, 110.4°)\n",
			-32.867922, -61.461745, 85.8, none, none, none, Attitude{110.4, -24.4, 0}, 15, "", true},
		{"Mavic 2, early", "1\n2019.02.03 10:00:00\n[iso : 100] [latitude : 60.4811] [longtitude : 15.6122]\n",
			60.4811, 15.6122, none, none, none, none, Unknown(), 0, "2019-02-03 10:00:00", false},
		{"Mavic 2 Zoom", "\ufeff" + cue + "<font size=\"36\">FrameCnt : 218, DiffTime : 40ms\n2019-09-27 10:28:08,438,904\n" +
			"[iso : 110] [color_md : default] [focal_len : 480] [latitude : -33.710155] [longtitude : -62.896702] [altitude: 74.725998] </font>\n",
			-33.710155, -62.896702, none, 74.725998, 48, none, Unknown(), 0, "2019-09-27 10:28:08.438", false},
		{"Air 2S", cue + "<font size=\"36\">SrtCnt : 1, DiffTime : 33ms\n2022-08-07 13:40:40,774,808\n[iso : 100] [focal_len : 240] " +
			"[latitude: 42.794724] [longitude: -0.375844] [altitude: 117.000000] </font>\n",
			42.794724, -0.375844, none, 117, 24, none, Unknown(), 0, "2022-08-07 13:40:40.774", false},
		{"Mini 4 Pro", cue + "[latitude: 60.3700] [longitude: 15.3900] [rel_alt: 1.0 abs_alt: 100.0] [iso : 100] [fnum : 170]\n",
			60.37, 15.39, 1, 100, none, none, Unknown(), 0, "", false},
		{"Mavic 3", cue + font + "2021-12-25 12:27:52.373\n" + exposure + "[ct: 5115] [color_md : default] [focal_len: 24.00] " +
			"[latitude: 4.78531] [longitude: -5.98440] [rel_alt: -2.400 abs_alt: 0.401] </font>\n",
			4.78531, -5.9844, -2.4, 0.401, 24, none, Unknown(), 0, "2021-12-25 12:27:52.373", false},
		{"Air 3S", cue + font + "2026-05-17 08:28:30.219\n" + exposure + "[color_md: hlg] [focal_len: 70.00] [latitude: 35.640373] " +
			"[longitude: -86.786160] [rel_alt: 0.000 abs_alt: 302.208] [ct: 5419] </font>\n",
			35.640373, -86.78616, 0, 302.208, 70, none, Unknown(), 0, "2026-05-17 08:28:30.219", false},
		{"Avata 360", cue + font + "2026-05-15 08:24:18.623\nFrameId: 7 " + exposure + "[ae_meter_md: 0] [dzoom_ratio: 15000, delta: 0] " +
			"[latitude: 46.977181] [longitude: 11.143860] [rel_alt: 1.500 abs_alt: 113.900] [gb_yaw: -12.5 gb_pitch: -89.9 gb_roll: 0.1] " +
			"[vsync: 1602] [eis: normal] [shift x: 0.00, y: 0.00] [pp_vsync:1602] [pp_target:0.996, -0.004, -0.053, -0.075]</font>\n",
			46.977181, 11.14386, 1.5, 113.9, none, 1.5, Attitude{-12.5, -89.9, 0.1}, 0, "2026-05-15 08:24:18.623",
			false},
		{"Mavic 3 Enterprise",
			cue + font + "2024-05-15 08:24:18.623\n" + exposure + "[focal_len: 24.00] [dzoom_ratio: 1.00] [latitude: 46.9] " +
				"[longitude: 11.1] [rel_alt: 1.5 abs_alt: 113.9] [rtk_flag: 50] [gb_yaw: 170.0 gb_pitch: -45.0 gb_roll: 0.0]</font>\n",
			46.9, 11.1, 1.5, 113.9, 24, 1, Attitude{170, -45, 0}, 0, "2024-05-15 08:24:18.623", true},
		{"Avata 2", cue + "GPS(41.276217,13.781305,69.800) BAROMETER(91.2) HOME(41.276206,13.781400)\n",
			41.276217, 13.781305, 91.2, 69.8, none, none, Unknown(), 0, "", false},
		{"Mavic 4 Pro", cue + font + "2026-05-17 08:28:30.219\n" + exposure + "[focal_len: 28.00] [latitude: 35.6] [longitude: -86.7] " +
			"[rel_alt: 7.5 abs_alt: 302.2] [ct: 5562, tint: 0] </font>\n",
			35.6, -86.7, 7.5, 302.2, 28, none, Unknown(), 0, "2026-05-17 08:28:30.219", false},
		{"Autel", cue + "HOME(W: 109.318642, N: 40.769371) 2023-02-07 10:09:14\nGPS(W: 109.339287, N: 40.768574, 2371.76m)\n" +
			"HDR ISO:100 SHUTTER:1000 EV:-0.7 F-NUM:1.8\nF.PRY (1.0°, -3.7°, -59.0°), G.PRY (-51.1°, 0.0°, -58.9°)\n",
			40.768574, -109.339287, none, 2371.76, none, none, Attitude{-58.9, -51.1, 0}, 0, "2023-02-07 10:09:14",
			false},
	} {
		t.Run(c.model, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n", "\r"} {
				l := read(t, strings.ReplaceAll(c.text, "\n", end))
				s := l.Samples[0]
				got := [...]float64{s.Lat, s.Lon, s.RelAlt, s.AbsAlt, s.Focal35, s.Zoom, s.Camera.Yaw,
					s.Camera.Pitch, s.Camera.Roll}
				want := [...]float64{c.lat, c.lon, c.rel, c.abs, c.focal, c.zoom, c.camera.Yaw, c.camera.Pitch,
					c.camera.Roll}
				for i := range got {
					if !near(got[i], want[i]) {
						t.Errorf("number %d: %v, want %v", i, got[i], want[i])
					}
				}
				if s.Satellites != c.satellites || s.RTK != c.rtk || len(l.Faults) > 0 || l.Records != 1 || !l.OfVideo {
					t.Errorf("%+v", l)
				}
				taken := ""
				if !s.Time.IsZero() {
					taken = s.Time.Format("2006-01-02 15:04:05.999")
				}
				if taken != c.taken || (l.Zone == Local) != (taken != "") || s.Offset != 0 && s.Offset != time.Second {
					t.Errorf("taken %q, zone %q", taken, l.Zone)
				}
			}
		})
	}
}
