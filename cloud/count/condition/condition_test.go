package condition

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/still"
	"cattlecounter/cloud/synthetic"
)

// conditions are changes of a picture by daylight, with the codes that each may have. The first one must be found.
var conditions = map[string]struct {
	change change
	codes  []Code
}{
	"black":               {filled(0, 0, 0), []Code{Underexposed}},
	"almost black":        {exposed(0.05, 0, 1), []Code{Underexposed}},
	"night":               {exposed(0.16, 4, 8), []Code{Night}},
	"white":               {filled(255, 255, 255), []Code{Overexposed}},
	"overexposed":         {exposed(4, 60, 2), []Code{Overexposed}},
	"snow":                {exposed(0.02, 216, 1), []Code{Snow}},
	"snow with structure": {both(exposed(0.3, 185, 1), grayed(0.15)), []Code{Snow}},
	"snow in gray":        {filled(225, 225, 225), []Code{Snow}},
	"fog":                 {exposed(0.1, 140, 1), []Code{Fog}},
	"one color":           {filled(140, 140, 140), []Code{Fog}},
	"white-hot":           {colored(whiteHot...), []Code{Gray, Blurred}},
	"black-hot":           {colored(blackHot...), []Code{Gray, Blurred}},
	"ironbow":             {colored(ironbow...), []Code{Thermal, Blurred}},
	"hot iron":            {colored(hotIron...), []Code{Thermal, Blurred}},
	"rainbow":             {colored(rainbow...), []Code{Thermal, Blurred}},
	"plasma":              {colored(plasma...), []Code{Thermal, Blurred}},
	"turbo":               {colored(turbo...), []Code{Thermal, Blurred}},
	"arctic":              {colored(arctic...), []Code{Thermal, Blurred}},
	"gray":                {grayed(0), []Code{Gray}},
	"blur of 8":           {blurred(8), []Code{Blurred}},
	"blur of 8, noise":    {both(blurred(8), exposed(1, 0, 2)), []Code{Blurred}},
	"blur of 16":          {blurred(16), []Code{Blurred}},
	"moved across":        {moved(1, 0, 40), []Code{Blurred}},
	"moved down":          {moved(0, 1, 60), []Code{Blurred}},
	"moved diagonally":    {moved(1, 1, 40), []Code{Blurred}},
}

// grayed keeps a share of the color.
func grayed(share float64) change {
	return pixels(func(b, g, r float64) (float64, float64, float64) {
		l := brightness(b, g, r)
		return l + (b-l)*share, l + (g-l)*share, l + (r-l)*share
	})
}

func TestConditions(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at many pictures")
	}
	day := pasture(t, synthetic.Config{Width: 800, Height: 450, Tilt: 1})
	if got := classify(measure(compressed(t, day))); len(got) != 0 {
		t.Errorf("by daylight: %v, %+v", got, measure(day))
	}
	for name, apply := range map[string]change{
		"red soil":    colored([3]float64{0, 0, 0}, [3]float64{60, 110, 255}),
		"brown soil":  colored([3]float64{20, 25, 30}, [3]float64{150, 190, 255}),
		"green grass": colored([3]float64{0, 20, 0}, [3]float64{80, 220, 150}),
		"evening":     exposed(0.7, 0, 2),
		"noon":        exposed(1.3, 15, 1),
	} {
		checkChange(t, name, day, apply, []Code{""})
	}
	for name, c := range conditions {
		checkChange(t, name, day, c.change, c.codes)
	}
}

// checkChange wants the first code, or none for "", and no other ones.
func checkChange(t *testing.T, name string, day *video.Frame, apply change, codes []Code) {
	t.Helper()
	f := &video.Frame{Width: day.Width, Height: day.Height, Pix: bytes.Clone(day.Pix)}
	apply(f)
	m := measure(compressed(t, f))
	got := classify(m)
	if codes[0] != "" && !slices.Contains(got, codes[0]) {
		t.Errorf("%s: got %v, want %s: %+v detail %.3f", name, got, codes[0], m, m.sharpness.detail())
	}
	for _, code := range got {
		if !slices.Contains(codes, code) {
			t.Errorf("%s: got %v, want %v: %+v detail %.3f", name, got, codes, m, m.sharpness.detail())
		}
	}
}

// TestRenderedPicturesAreFine looks at frames of many sizes, heights and angles.
func TestRenderedPicturesAreFine(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at many pictures")
	}
	for _, c := range []synthetic.Config{
		{Width: 2880, Height: 400, Scale: 50, Animals: 10}, {Width: 1280, Height: 720, Seed: 3},
		{Width: 640, Height: 512, Seed: 4}, {Width: 320, Height: 320, Seed: 5}, {Width: 160, Height: 160},
		{Width: 64, Height: 64},
	} {
		f := pasture(t, c)
		if got := classify(measure(f)); len(got) != 0 {
			t.Errorf("%dx%d: %v, %+v", c.Width, c.Height, got, measure(f))
		}
	}
}

// TestRealPicturesAreFine needs photographs of the development material: no warning for cattle from drones, sand and
// building sites. It reads one in six of them; with -v it logs how far they are from the limits.
func TestRealPicturesAreFine(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at many pictures")
	}
	root := "../../../../shared/data"
	if _, err := os.Stat(root); err != nil {
		t.Skipf("test material is missing: %v", err)
	}
	var files []string
	for _, folder := range []string{"drone-stills/images", "nadir-stills", "empty-ground"} {
		all, err := filepath.Glob(filepath.Join(root, folder, "*.jpg"))
		if err != nil || len(all) == 0 {
			t.Fatalf("%s has no picture: %v", folder, err)
		}
		files = append(files, all...)
	}
	leastDetail, most := 1.0, measures{}
	for i := 0; i < len(files); i += 6 {
		file := files[i]
		var f video.Frame
		if err := still.Read(file, &f); err != nil {
			t.Fatal(err)
		}
		m := measure(&f)
		if got := classify(m); len(got) != 0 {
			t.Errorf("%s: %v, %+v", file, got, m)
		}
		leastDetail = min(leastDetail, m.sharpness.detail())
		most.white = max(most.white, m.white)
		most.palette.byBrightness = max(most.palette.byBrightness, m.palette.byBrightness)
	}
	t.Logf("%d pictures: detail at least %.3f (limit %g), white at most %.2f (%g), by brightness at most %.2f (%g)",
		(len(files)+5)/6, leastDetail, blurDetail, most.white, whitePart, most.palette.byBrightness, paletteShare)
}

func TestHeatSensors(t *testing.T) {
	f := pasture(t, synthetic.Config{Width: 640, Height: 512})
	grayed(0)(f)
	if got := classify(measure(f)); !slices.Equal(got, []Code{Thermal}) {
		t.Errorf("gray of 640x512 pixels: %v", got)
	}
}

func TestClassifyRefusesInvalidFrames(t *testing.T) {
	if _, err := Classify(&video.Frame{Width: 2, Height: 2, Pix: make([]byte, 5)}); err == nil {
		t.Error("a frame of too few bytes was accepted")
	}
	for _, size := range [][2]int{{1, 1}, {1, 4000}, {4000, 1}, {95, 97}, {96, 96}, {97, 300}} {
		f := &video.Frame{Width: size[0], Height: size[1], Pix: make([]byte, size[0]*size[1]*3)}
		if got, err := Classify(f); err != nil || !slices.Equal(got, []Code{Underexposed}) {
			t.Errorf("black of %v: %v %v", size, got, err)
		}
	}
}

// frameOf is a small frame with a condition, "" for none.
func frameOf(t *testing.T, code Code) *video.Frame {
	t.Helper()
	f := pasture(t, synthetic.Config{Width: 320, Height: 240})
	switch code {
	case Underexposed:
		filled(2, 2, 2)(f)
	case Overexposed:
		filled(254, 254, 254)(f)
	}
	return f
}

func TestClip(t *testing.T) {
	day, black, white := frameOf(t, ""), frameOf(t, Underexposed), frameOf(t, Overexposed)
	for name, c := range map[string]struct {
		frames string // a letter for every half second: d, b, w
		want   []string
	}{
		"day":              {"dddddddddddd", nil},
		"nothing":          {"", nil},
		"flash":            {"ddddwddddddddddddd", nil},
		"one second":       {"ddddwwdddddddddddd", []string{"seconds 2 to 3: the picture is almost white"}},
		"black throughout": {"bbbbbb", []string{"in the whole clip the picture is almost black"}},
		"one black frame":  {"b", []string{"in the whole clip the picture is almost black"}},
		"at the end":       {"ddddddddddbbbb", []string{"seconds 5 to 7: the picture is almost black"}},
		"two": {"bbbbddddddwwwwdddd", []string{"seconds 0 to 2: the picture is almost black",
			"seconds 5 to 7: the picture is almost white"}},
		"with short gaps": {"bbbbdbbbbdddddddddddd", []string{"seconds 0 to 5: the picture is almost black"}},
		"many times": {strings.Repeat("bbbdddddd", 6), []string{
			"seconds 0 to 2, 4 to 6, 9 to 11, 13 to 15 and 2 more times: the picture is almost black"}},
	} {
		var clip Clip
		for i, letter := range c.frames {
			clip.Add(map[rune]*video.Frame{'d': day, 'b': black, 'w': white}[letter], float64(i)/2)
		}
		var got []string
		for _, f := range clip.Findings() {
			text, advice, _ := strings.Cut(f.Text(), "; ")
			if !strings.HasPrefix(advice, "the model was not made for such footage, do not trust the count") {
				t.Errorf("%s: %q", name, f.Text())
			}
			got = append(got, text)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestEveryCodeHasText keeps the list of codes and their descriptions together.
func TestEveryCodeHasText(t *testing.T) {
	if len(codes) != len(looks) {
		t.Errorf("%d codes, %d descriptions", len(codes), len(looks))
	}
	for _, code := range codes {
		if looks[code] == "" {
			t.Errorf("%s has no description", code)
		}
	}
}

// TestClipIgnoresInvalidFrames and times that run backwards do not matter.
func TestClipIgnoresInvalidFrames(t *testing.T) {
	black := frameOf(t, Underexposed)
	var clip Clip
	clip.Add(&video.Frame{Width: 9}, 0)
	for _, second := range []float64{5, 3, 4, 9} {
		clip.Add(black, second)
	}
	if f := clip.Findings(); len(f) != 1 || f[0].Share != 1 || !strings.HasPrefix(f[0].Text(), "in the whole clip") {
		t.Errorf("%+v", f)
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint8(1), uint8(1))
	f.Add(bytes.Repeat([]byte{0, 0, 255}, 100*100), uint8(100), uint8(100))
	f.Fuzz(func(t *testing.T, pix []byte, w, h uint8) {
		frame := &video.Frame{Width: int(w), Height: int(h), Pix: pix}
		got, err := Classify(frame)
		if (err != nil) != (frame.Validate() != nil) || len(got) > 2 {
			t.Fatalf("%v %v", got, err)
		}
	})
}

// BenchmarkClip4K is the cost of one looked-at frame. The detection of such a frame takes some 10 ms on a large GPU and
// some seconds on two cores.
func BenchmarkClip4K(b *testing.B) {
	f := pasture(b, synthetic.Config{Width: 3840, Height: 2160, Scale: 66})
	var clip Clip
	for b.Loop() {
		clip.Add(f, 1)
	}
}
