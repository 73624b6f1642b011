package footage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var morning = time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC)

// clipOf is a 4K recording of 25 s without a known start.
func clipOf(path string) Recording {
	return Recording{Path: path, Duration: 25 * time.Second, Width: 3840, Height: 2160}
}

func (r Recording) at(t time.Time) Recording { r.Started = t; return r }

func (r Recording) long(d time.Duration) Recording { r.Duration = d; return r }

func (r Recording) sized(w, h int) Recording { r.Width, r.Height = w, h; return r }

func TestSiblings(t *testing.T) {
	for name, pair := range map[string][2]Recording{
		// The first of each pair is the one to count.
		"DJI copy": {clipOf("DJI_0001.MP4"), clipOf("DJI_0001.LRF").sized(1280, 720)},
		"DJI copy of today": {
			clipOf("DJI_20250601080000_0001_D.MP4"),
			clipOf("DJI_20250601080000_0001_D.LRF").sized(1280, 720),
		},
		"thermal": {
			clipOf("DJI_20250601080000_0001_W.MP4"),
			clipOf("DJI_20250601080000_0001_T.MP4").sized(640, 512),
		},
		"thermal, named 2 s later": {
			clipOf("DJI_20250601080000_0001_V.MP4"),
			clipOf("DJI_20250601080002_0001_T.MP4"),
		},
		"thermal with more pixels": {clipOf("DJI_0001_W.MP4").sized(1920, 1080), clipOf("DJI_0001_T.MP4")},
		"zoom":                     {clipOf("DJI_0001_W.MP4").sized(1920, 1080), clipOf("DJI_0001_Z.MP4")},
		"visible and zoom":         {clipOf("DJI_0001_V.MP4"), clipOf("DJI_0001_Z.MP4")},
		"split screen":             {clipOf("DJI_0001_Z.MP4"), clipOf("DJI_0001_S.MP4")},
		"screen and thermal":       {clipOf("DJI_0001_S.MP4"), clipOf("DJI_0001_T.MP4")},
		"thermal beside no letter": {clipOf("DJI_0001.MP4"), clipOf("DJI_0001_T.MP4")},
		"mission": {
			clipOf("DJI_20250601080000_0001_W_waypoint3.MP4"),
			clipOf("DJI_20250601080000_0001_T_waypoint3.MP4"),
		},
		"copy of a camera": {clipOf("DJI_0001_W.MP4"), clipOf("DJI_0001_T.LRF")},
		"letter case":      {clipOf("DJI_0001.MP4"), clipOf("dji_0001.lrf").sized(1280, 720)},
		"folder proxy": {
			clipOf("card/DJI_0001.MP4"),
			clipOf("card/proxy/DJI_0001.mp4").sized(960, 540),
		},
		"folder Proxies beside":  {clipOf("day/raw/A.mov"), clipOf("day/raw/Proxies/A.mov").sized(960, 540)},
		"word proxy":             {clipOf("DJI_0001.MP4"), clipOf("DJI_0001_Proxy.mov").sized(960, 540)},
		"smaller .mp4 of a .mov": {clipOf("DJI_0001.MOV"), clipOf("DJI_0001.mp4").sized(1920, 1080)},
		"smaller, size in its name": {
			clipOf("herd.mp4").sized(960, 1080),
			clipOf("herd_640x720.mp4").sized(640, 720),
		},
		"smaller, 720p":         {clipOf("herd.mp4"), clipOf("herd-720p.mp4").sized(1280, 720)},
		"converted, same start": {clipOf("DJI_0001.MOV").at(morning), clipOf("DJI_0001.mp4").at(morning)},
		"copy elsewhere, same start": {
			clipOf("card/DJI_0001.MP4").at(morning),
			clipOf("old/DJI_0001.LRF").at(morning),
		},
		"folder thermal":          {clipOf("visible/rec_0001.mp4"), clipOf("thermal/rec_0001.mp4")},
		"word thermal":            {clipOf("S1000012.MP4"), clipOf("S1000012_thermal.MP4")},
		"word thermal of DJI":     {clipOf("DJI_0001.MP4"), clipOf("DJI_0001_thermal.MP4")},
		"words in front":          {clipOf("wide_0001.mp4"), clipOf("thermal_0001.mp4")},
		"letters without a maker": {clipOf("flight_W.MP4"), clipOf("flight_T.MP4")},
		"Skydio copy":             {clipOf("S1000012.MP4"), clipOf("S1000012.LRV")},
		"GoPro copy":              {clipOf("GX010001.MP4"), clipOf("GL010001.LRV").sized(768, 432)},
		"GoPro copy, renamed":     {clipOf("GH010001.MP4"), clipOf("GL010001.MP4").sized(768, 432)},
		"GoPro copy, older":       {clipOf("GOPR0001.MP4"), clipOf("GOPR0001.LRV")},
		"Insta360 copy": {
			clipOf("VID_20220101_094420_00_013.mp4"),
			clipOf("LRV_20220101_094420_01_013.mp4"),
		},
		"Insta360 copy, pro": {
			clipOf("PRO_VID_20220101_094420_00_013.mp4"),
			clipOf("PRO_LRV_20220101_094420_01_013.lrv"),
		},
		"Autel infrared": {clipOf("MAX_0007.MP4"), clipOf("IRX_0007.MP4")},
		"Sony copy": {
			clipOf("M4ROOT/CLIP/C0001.MP4"),
			clipOf("M4ROOT/SUB/C0001S03.MP4").sized(1280, 720),
		},
		"Sony copy, moved":      {clipOf("C0001.MP4"), clipOf("C0001S03.MP4").sized(1280, 720)},
		"folders on both sides": {clipOf("day/originals/a.mp4"), clipOf("day/proxies/a.mp4").sized(960, 540)},
		"words vis and ir":      {clipOf("0001_VIS.mp4"), clipOf("0001_IR.mp4")},
		"size without a letter": {clipOf("DJI_0001.MP4"), clipOf("DJI_0001_640.mp4").sized(640, 360)},
		"word in brackets":      {clipOf("DJI_0001.MP4"), clipOf("DJI_0001 (proxy).mp4").sized(640, 360)},
		"word proxy in front":   {clipOf("DJI_0001.MP4"), clipOf("proxy_DJI_0001.mp4").sized(640, 360)},
		"number like a size":    {clipOf("DJI_1080.MP4"), clipOf("DJI_1080_T.MP4")},
		"a little longer": {
			clipOf("DJI_0001_W.MP4"),
			clipOf("DJI_0001_T.MP4").long(25900 * time.Millisecond),
		},
		"half an hour, 29.97 fps": {
			clipOf("DJI_0001_W.MP4").long(1800 * time.Second),
			clipOf("DJI_0001_T.MP4").long(1801800 * time.Millisecond),
		},
		"camera without a clock": {
			clipOf("DJI_0001_W.MP4").at(time.Unix(0, 0)),
			clipOf("DJI_0001_T.MP4").at(morning),
		},
		"name outlives conversion": {
			clipOf("DJI_20250601080000_0001_D.MP4").at(morning),
			clipOf("proxy/DJI_20250601080000_0001_D.mp4").at(morning.AddDate(0, 1, 0)),
		},
	} {
		for _, order := range [][]Recording{{pair[0], pair[1]}, {pair[1], pair[0]}} {
			flights, doubts := GroupSiblings(order)
			if len(flights) != 1 || len(doubts) != 0 {
				t.Errorf("%s: %v, %v; want one flight", name, flights, doubts)
				continue
			}
			if first := order[flights[0][0]].Path; first != pair[0].Path {
				t.Errorf("%s: %s is to be counted, want %s", name, first, pair[0].Path)
			}
		}
	}
}

func TestNoSiblings(t *testing.T) {
	for name, c := range map[string]struct {
		a, b  Recording
		doubt string // empty when the names do not claim it
	}{
		"other number":      {a: clipOf("DJI_0001.MP4"), b: clipOf("DJI_0002.LRF")},
		"split flight":      {a: clipOf("DJI_0001_W.MP4"), b: clipOf("DJI_0002_W.MP4")},
		"chapters of GoPro": {a: clipOf("GX010001.MP4"), b: clipOf("GX020001.MP4")},
		"other chapter":     {a: clipOf("GX010001.MP4"), b: clipOf("GL020001.LRV")},
		"other mission":     {a: clipOf("DJI_0001_W_waypoint1.MP4"), b: clipOf("DJI_0001_T_waypoint2.MP4")},
		"other day": {
			a:     clipOf("DJI_20250601080000_0001_W.MP4"),
			b:     clipOf("DJI_20250602080000_0001_T.MP4"),
			doubt: "start",
		},
		"other day, container": {
			a:     clipOf("DJI_0001_W.MP4").at(morning),
			b:     clipOf("DJI_0001_T.MP4").at(morning.AddDate(0, 0, 1)),
			doubt: "start",
		},
		"other day, folders": {
			a: clipOf("1/DJI_0001_W.MP4").at(morning),
			b: clipOf("2/DJI_0001_T.MP4").at(morning.AddDate(0, 0, 1)),
		},
		"other folder":        {a: clipOf("1/DJI_0001_W.MP4"), b: clipOf("2/DJI_0001_T.MP4")},
		"other folder, copy":  {a: clipOf("1/DJI_0001.MP4"), b: clipOf("2/DJI_0001.LRF")},
		"same name elsewhere": {a: clipOf("1/DJI_0001.MP4"), b: clipOf("2/DJI_0001.MP4").sized(1920, 1080)},
		"other length": {
			a:     clipOf("DJI_0001_W.MP4"),
			b:     clipOf("DJI_0001_T.MP4").long(27 * time.Second),
			doubt: "(25.0 s and 27.0 s)",
		},
		"other length, short": {
			a:     clipOf("a.mp4").long(4 * time.Second),
			b:     clipOf("a.lrv").long(5 * time.Second),
			doubt: "lengths",
		},
		"unknown length": {
			a:     clipOf("DJI_0001_W.MP4"),
			b:     clipOf("DJI_0001_T.MP4").long(0),
			doubt: "length is unknown",
		},
		"other ending":         {a: clipOf("a.mp4"), b: clipOf("a.mov"), doubt: "starts are unknown"},
		"other letter case":    {a: clipOf("a.mp4"), b: clipOf("A.mp4"), doubt: "starts are unknown"},
		"smaller, other shape": {a: clipOf("a.mp4"), b: clipOf("a.mov").sized(640, 720), doubt: "starts are unknown"},
		"hardly smaller": {
			a:     clipOf("a.mp4"),
			b:     clipOf("a.mov").sized(3200, 1800),
			doubt: "starts are unknown",
		},
		"unknown size":       {a: clipOf("a.mp4"), b: clipOf("a.mov").sized(0, 0), doubt: "starts are unknown"},
		"numbers like sizes": {a: clipOf("DJI_2160.MP4"), b: clipOf("DJI_1080.MP4").sized(1920, 1080)},
		"south and west":     {a: clipOf("pen_S.mp4"), b: clipOf("pen_W.mp4")},
		"two lenses": {
			a: clipOf("VID_20220101_094420_00_013.mp4"),
			b: clipOf("LRV_20220101_094420_11_013.mp4"),
		},
		"Latin-1 letters":   {a: clipOf("corral\xe9.mp4"), b: clipOf("corral\xe8.lrv")},
		"dated and undated": {a: clipOf("DJI_20250601080000_0001_W.MP4"), b: clipOf("DJI_0001_T.MP4")},
	} {
		flights, doubts := GroupSiblings([]Recording{c.a, c.b})
		if len(flights) != 2 {
			t.Errorf("%s: %v, want two flights", name, flights)
		}
		if (len(doubts) == 0) != (c.doubt == "") || len(doubts) > 0 && !strings.Contains(doubts[0].Reason, c.doubt) {
			t.Errorf("%s: doubts %+v, want %q", name, doubts, c.doubt)
		}
	}
}

// TestFlightOfFour groups all cameras of a drone, beside another flight with the same numbers.
func TestFlightOfFour(t *testing.T) {
	var files []Recording
	for _, day := range []string{"20250601", "20250602"} {
		for _, letter := range []string{"T", "S", "Z", "V", "W"} {
			files = append(files, clipOf("DJI_"+day+"080000_0001_"+letter+".MP4"))
		}
		files = append(files, clipOf("DJI_"+day+"080000_0001_W.LRF").sized(1280, 720))
	}
	flights, _ := GroupSiblings(files)
	want := []Flight{{4, 5, 3, 2, 1, 0}, {10, 11, 9, 8, 7, 6}}
	if !slices.EqualFunc(flights, want, slices.Equal[Flight]) {
		t.Errorf("got %v, want %v", flights, want)
	}
}

// TestFlightIsNoChain has three files of which only neighbors have the same length.
func TestFlightIsNoChain(t *testing.T) {
	flights, _ := GroupSiblings([]Recording{
		clipOf("DJI_0001_W.MP4"), clipOf("DJI_0001_Z.MP4").long(25900 * time.Millisecond),
		clipOf("DJI_0001_T.MP4").long(26800 * time.Millisecond),
	})
	if fmt.Sprint(flights) != "[[0 1] [2]]" {
		t.Errorf("got %v", flights)
	}
}

func TestNameForPeople(t *testing.T) {
	for path, want := range map[string]string{
		"DJI_0001_T.MP4": "thermal camera", "DJI_0001_Z.MP4": "zoom camera", "DJI_0001_S.MP4": "split screen",
		"DJI_0001_V.MP4": "visible camera", "DJI_0001.MP4": "wide camera", "DJI_0001_T.LRF": "low-resolution copy",
	} {
		if got := ReadName(path).String(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func FuzzReadName(f *testing.F) {
	for _, s := range []string{"DJI_20250601080000_0001_T.MP4", "a/proxy/b_lowres.mov", "SUB/C0001S03.MP4",
		"PRO_VID_20220101_094420_00_013.insv", "_T.mp4", ".mp4", "", "/", "x\xff_thermal.lrv", "GL010001.LRV"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := ReadName(s)
		if upper := ReadName(upperASCII(s)); upper != n {
			t.Errorf("%q: %+v, in capitals %+v", s, n, upper)
		}
		if n.Lens < LensWide || n.Lens > LensThermal {
			t.Errorf("%q: camera %d", s, n.Lens)
		}
	})
}

func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// FuzzGroupSiblings checks that every file is in exactly one flight, whatever the names and lengths.
func FuzzGroupSiblings(f *testing.F) {
	f.Add("DJI_0001_W.MP4\nDJI_0001_T.MP4\nproxy/DJI_0001_W.MP4", uint8(3), uint8(9))
	f.Fuzz(func(t *testing.T, names string, a, b uint8) {
		var files []Recording
		for i, p := range strings.Split(names, "\n") {
			r := clipOf(p).long(time.Duration(int(a)*i) * 100 * time.Millisecond)
			files = append(files, r.sized(int(b)*i, int(a)).at(time.Unix(int64(i)*int64(b)*1e8, 0)))
		}
		flights, doubts := GroupSiblings(files)
		var seen []int
		for _, fl := range flights {
			seen = append(seen, fl...)
		}
		slices.Sort(seen)
		for i := range files {
			if len(seen) != len(files) || seen[i] != i {
				t.Fatalf("%q: flights %v", names, flights)
			}
		}
		for _, d := range doubts {
			if d.File == d.Other || d.Reason == "" {
				t.Errorf("doubt %+v", d)
			}
		}
	})
}
