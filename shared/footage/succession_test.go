package footage

import (
	"testing"
	"time"
)

func TestReadSequence(t *testing.T) {
	for name, want := range map[string]Sequence{
		"DJI_0001.MP4":                  {"dji #", 1, false},
		"DJI_0041_T.MP4":                {"dji #", 41, false},
		"DJI_20250601080000_0007_D.MP4": {"dji dated #", 7, false},
		"DJI_0001_2.MP4":                {"dji 0001_#", 2, false},
		"GX020123.MP4":                  {"gopro 0123", 2, true},
		"GH010123.mp4":                  {"gopro 0123", 1, true},
		"GOPR0123.MP4":                  {"gopr 0123", 0, true},
		"GP010123.MP4":                  {"gopr 0123", 1, true},
		"MAX_0012.MP4":                  {"autel #", 12, false},
		"herd_002.mp4":                  {"herd_#", 2, false},
		"herd (2).mp4":                  {"herd (#)", 2, false},
		"part2.mp4":                     {"part#", 2, false},
		"herd-b.mov":                    {"herd-@", 1, false},
		"20250601_080000.mp4":           {},
		"20250601_080000_003.mp4":       {"20250601_080000_#", 3, false},
		"morning.mp4":                   {},
		"1234567.mp4":                   {},
		"":                              {},
	} {
		if got := ReadSequence(name); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestSucceeds(t *testing.T) {
	day := time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	part := func(name string, after, length time.Duration) Part {
		p := Part{Path: name, Duration: length, Width: 3840, Height: 2160, FPS: 29.97, Codec: "hvc1"}
		if after >= 0 {
			p.Started = day.Add(after)
		}
		return p
	}
	const unknown, five = -1, 5 * time.Minute
	with := func(p Part, change func(*Part)) Part { change(&p); return p }
	for name, c := range map[string]struct {
		a, b Part
		want Bond
	}{
		"cut by the camera":          {part("DJI_0001.MP4", 0, five), part("DJI_0002.MP4", five+time.Second, five), BondSure},
		"the second is short":        {part("DJI_0001.MP4", 0, five), part("DJI_0002.MP4", five, 20*time.Second), BondSure},
		"times of the ends":          {part("DJI_0001.MP4", five, five), part("DJI_0002.MP4", five+20*time.Second, 20*time.Second), BondSure},
		"stopped and started":        {part("DJI_0001.MP4", 0, five), part("DJI_0002.MP4", five+time.Minute, five), BondLikely},
		"another battery":            {part("DJI_0001.MP4", 0, five), part("DJI_0002.MP4", five+15*time.Minute, five), NoBond},
		"no times":                   {part("DJI_0001.MP4", unknown, five), part("DJI_0002.MP4", unknown, five), BondLikely},
		"equal times":                {part("DJI_0001.MP4", 0, five), part("DJI_0002.MP4", 0, five), BondLikely},
		"a clock that was set back":  {part("DJI_0001.MP4", time.Hour, five), part("DJI_0002.MP4", 0, five), BondLikely},
		"a part is missing":          {part("DJI_0001.MP4", 0, five), part("DJI_0003.MP4", 2*five, five), BondLikely},
		"backwards":                  {part("DJI_0002.MP4", unknown, five), part("DJI_0001.MP4", unknown, five), NoBond},
		"far numbers":                {part("DJI_0001.MP4", 0, five), part("DJI_0009.MP4", five, five), NoBond},
		"numbers begin again":        {part("DJI_0999.MP4", 0, five), part("DJI_0001.MP4", five, five), BondSure},
		"chapters":                   {part("GX010123.MP4", unknown, five), part("GX020123.MP4", unknown, five), BondSure},
		"chapters with one time":     {part("GX010123.MP4", 0, five), part("GX020123.MP4", 0, five), BondSure},
		"chapters of two recordings": {part("GX010123.MP4", unknown, five), part("GX010124.MP4", unknown, five), BondOpen},
		"names with times": {part("DJI_20260601080000_0001_D.MP4", unknown, five),
			part("DJI_20260601080500_0002_D.MP4", unknown, five), BondSure},
		"names with times far apart": {part("DJI_20260601080000_0001_D.MP4", 0, five),
			part("DJI_20260601100000_0002_D.MP4", five, five), NoBond},
		"names with times in the other order": {part("DJI_20260601080000_0002_D.MP4", 0, five),
			part("DJI_20260531190000_0003_D.MP4", 0, five), NoBond},
		"names with times, the other order by minutes": {part("20260601_080000_001.mp4", unknown, five),
			part("20260601_075000_002.mp4", unknown, five), NoBond},
		"no number, the other order": {part("20260601_080000.mp4", unknown, five), part("20260601_075000.mp4", unknown, five),
			NoBond},
		"yesterday's next number":      {part("DJI_0002.MP4", 48*time.Hour, five), part("DJI_0003.MP4", 10*time.Hour, five), NoBond},
		"chapters of other months":     {part("GX010123.MP4", 90*24*time.Hour, five), part("GX020123.MP4", 0, five), NoBond},
		"chapters, a clock set back":   {part("GX010123.MP4", time.Hour, five), part("GX020123.MP4", 0, five), BondLikely},
		"chapters, times of a copy":    {part("GX010123.MP4", time.Minute, five), part("GX020123.MP4", 0, five), BondSure},
		"an unset clock says nothing":  {part("GX010123.MP4", 0, five), with(part("GX020123.MP4", 0, five), func(p *Part) { p.Started = time.Unix(0, 0) }), BondSure},
		"times alone, the other order": {part("morning.mp4", 48*time.Hour, five), part("later.mp4", 0, five), NoBond},
		"times alone":                  {part("morning.mp4", 0, five), part("later.mp4", five, five), BondLikely},
		"nothing known":                {part("morning.mp4", unknown, five), part("later.mp4", unknown, five), BondOpen},
		"the first bare":               {part("herd.mp4", unknown, five), part("herd_1.mp4", unknown, five), BondLikely},
		"the second in ()":             {part("herd.mp4", unknown, five), part("herd (2).mp4", unknown, five), BondLikely},
		"thermal and wide":             {part("DJI_0001_T.MP4", 0, five), part("DJI_0002_W.MP4", five, five), NoBond},
		"a copy on the side":           {part("DJI_0001.MP4", 0, five), part("DJI_0002.LRF", five, five), NoBond},
		"another folder":               {part("a/DJI_0001.MP4", 0, five), part("b/DJI_0002.MP4", five, five), NoBond},
		"another size":                 {part("DJI_0001.MP4", 0, five), with(part("DJI_0002.MP4", five, five), func(p *Part) { p.Width = 1920 }), NoBond},
		"another rate":                 {part("DJI_0001.MP4", 0, five), with(part("DJI_0002.MP4", five, five), func(p *Part) { p.FPS = 59.94 }), NoBond},
		"a rounded rate":               {part("DJI_0001.MP4", 0, five), with(part("DJI_0002.MP4", five, five), func(p *Part) { p.FPS = 30 }), BondSure},
		"another codec":                {part("DJI_0001.MP4", 0, five), with(part("DJI_0002.MP4", five, five), func(p *Part) { p.Codec = "avc1" }), NoBond},
	} {
		if got := Succeeds(c.a, c.b); got.Bond != c.want {
			t.Errorf("%s: %+v, want bond %d", name, got, c.want)
		}
	}
	near, far := Succeeds(part("DJI_0001.MP4", 0, five), part("DJI_0002.MP4", five, five)),
		Succeeds(part("DJI_0001.MP4", 0, five), part("DJI_0003.MP4", 2*five, five))
	if near.Compare(far) >= 0 || far.Compare(near) <= 0 || near.Compare(near) != 0 {
		t.Error("the next number must come before a later one")
	}
}

func FuzzSucceeds(f *testing.F) {
	f.Add("DJI_0001.MP4", "DJI_0002.MP4")
	f.Add("GX010123.MP4", "a/GX020123.MP4")
	f.Add("herd.mp4", "herd (2).mp4")
	f.Fuzz(func(t *testing.T, a, b string) {
		ab, ba := Succeeds(Part{Path: a}, Part{Path: b}), Succeeds(Part{Path: b}, Part{Path: a})
		if ab.Step > 0 && ba.Step > 0 && ReadSequence(a).Number != ReadSequence(b).Number {
			// Only a series that begins again may follow itself.
			x, y := ReadSequence(a), ReadSequence(b)
			if x.Series == y.Series && x.Number < 999 && y.Number < 999 {
				t.Errorf("%q and %q follow each other", a, b)
			}
		}
	})
}
