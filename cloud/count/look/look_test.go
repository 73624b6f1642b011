package look

import (
	"math"
	"testing"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// flight is a camera over ground with animals that a perfect detector sees.
type flight struct {
	width, height int
	speed         float64 // of the camera to the right, pixels a second
	walk          float64 // of the animals downwards, pixels a second
	length        float64 // of the animals in pixels
	spacing       float64 // 0 for no animals
	seconds       float64
	options       Options
}

const (
	stepsASecond  = 6
	framesASecond = 30
)

// pace is the number of frames from one step to the next: a fast camera has more steps.
func (f flight) pace() int {
	const usual, most = 0.08, 5 // as in package count
	hurry := math.Abs(f.speed) / stepsASecond / float64(max(f.width, f.height)) / usual
	return max(1, int(framesASecond/stepsASecond/min(most, max(1, hurry))))
}

// outcome is what a planner did on a flight.
type outcome struct {
	tiles, whole int // tiles planned, and tiles of looks at whole frames three times a second
	steps        int
	looks        map[int]int // looks at the ground in the middle row, by column of 40 pixels, while it is well inside
	gap          float64     // shortest time between two looks at one tile of one grid
	side         int         // of the last tile
}

func (f flight) run(t *testing.T) outcome {
	t.Helper()
	p := New(f.options)
	tr := track.New(track.Options{Threshold: 0.4})
	out := outcome{looks: map[int]int{}, gap: math.Inf(1)}
	last := map[detect.Region]float64{}
	for i := 0; float64(i) < f.seconds*framesASecond; i += f.pace() {
		now := float64(i) / framesASecond
		out.steps++
		frame := &video.Frame{Index: i, Width: f.width, Height: f.height}
		pose := motion.Pose{ToGround: motion.Transform{A: 1, TX: f.speed * now}, Inliers: 1}
		plan := p.Plan(Step{Frame: frame, Seconds: now, Remaining: f.seconds - now, Pose: pose,
			InView: tr.InView(pose, now, f.width, f.height)})
		if plan == nil {
			continue
		}
		var found [][]detect.Box
		for _, tiles := range plan {
			found = append(found, f.see(tiles, now))
			if p.Enough(plan, found, 0.4) {
				break
			}
		}
		used := p.Learn(Step{Frame: frame, Seconds: now, Pose: pose}, plan, found, 0.4)
		o := track.Observation{Index: i, Seconds: now, Width: f.width, Height: f.height, Boxes: found[used], Pose: pose,
			Looked: []motion.Rect{}}
		for _, r := range plan[used] {
			rect := motion.Rect{X1: float64(r.X), Y1: float64(r.Y), X2: float64(r.X + r.Width), Y2: float64(r.Y + r.Height)}
			o.Looked = append(o.Looked, rect)
			r.Frame = nil
			const end = 0.5 // seconds; ground that comes into view there gets its look in time
			if was, again := last[r]; again && f.seconds-now > end {
				out.gap = min(out.gap, now-was)
			}
			last[r], out.side = now, r.Width
		}
		for x := f.length; x < float64(f.width)-f.length; x += 40 {
			for _, r := range o.Looked {
				if y := float64(f.height) / 2; x >= r.X1 && x <= r.X2 && y >= r.Y1 && y <= r.Y2 {
					out.looks[int((x+f.speed*now)/40)]++
					break
				}
			}
		}
		tr.Observe(o)
	}
	out.tiles = p.Tiles()
	out.whole = len(f.options.Grid.Regions(nil, &video.Frame{Width: f.width, Height: f.height})) * out.steps / 2
	return out
}

// see returns the animals that lie in one of the tiles.
func (f flight) see(tiles []detect.Region, now float64) []detect.Box {
	var boxes []detect.Box
	if f.spacing == 0 {
		return nil
	}
	first := math.Floor(f.speed * now / f.spacing)
	for i := range int(float64(f.width)/f.spacing) + 2 {
		for row := range int(float64(f.height) / f.spacing) {
			x := (first+float64(i))*f.spacing - f.speed*now
			y := float64(row)*f.spacing + math.Mod(f.walk*now, f.spacing)
			b := detect.Box{X1: float32(x), Y1: float32(y), X2: float32(x + f.length), Y2: float32(y + 0.5*f.length),
				Score: 0.9, Label: "cow"}
			for _, r := range tiles {
				if b.X1 >= float32(r.X) && b.Y1 >= float32(r.Y) && b.X2 <= float32(min(r.X+r.Width, f.width)) &&
					b.Y2 <= float32(min(r.Y+r.Height, f.height)) {
					boxes = append(boxes, b)
					break
				}
			}
		}
	}
	return boxes
}

func options() Options {
	return Options{Grid: detect.Grid{Tile: 480, Overlap: 0.2}, Input: 416, Gap: 1.0 / 3}
}

func TestEachPieceOfGroundGetsItsLooks(t *testing.T) {
	for name, f := range map[string]flight{
		"slow pass over a herd":       {speed: 120, length: 60, spacing: 200},
		"fast pass":                   {speed: 500, length: 60, spacing: 200},
		"slow pass over empty ground": {speed: 120, length: 60},
		"near animals in a slow pass": {speed: 120, length: 180, spacing: 400},
		"standing camera":             {length: 60, spacing: 200},
		"walking herd, slow pass":     {speed: 60, walk: 60, length: 60, spacing: 200},
	} {
		t.Run(name, func(t *testing.T) {
			f.width, f.height, f.seconds, f.options = 1920, 1080, 20, options()
			got := f.run(t)
			// Ground that came into view after the start and left it before the end.
			least := math.MaxInt
			for c, n := range got.looks {
				if x := float64(c) * 40; x > 1920+60 && x < f.speed*f.seconds-60 || f.speed == 0 {
					least = min(least, n)
				}
			}
			want := enoughLooks - 1 // the time in view is an estimate
			if f.speed > 400 {
				want = 3
			}
			if least < want {
				t.Errorf("some ground has %d looks, want %d", least, want)
			}
			if got.gap < f.options.Gap-0.05 {
				t.Errorf("two looks at one tile within %.2f s", got.gap)
			}
			if got.tiles*2 > got.whole {
				t.Errorf("%d tiles, and %d for looks at whole frames", got.tiles, got.whole)
			}
		})
	}
}

// Each piece of ground gets its looks at any speed of the camera, as far as steps show it, and for the same number of tiles.
func TestLooksAtAnySpeed(t *testing.T) {
	for name, f := range map[string]flight{
		"along the picture":  {width: 1920, height: 1080, length: 60, spacing: 200},
		"across the picture": {width: 1080, height: 1920, length: 60, spacing: 200},
		"near animals in 4K": {width: 3840, height: 2160, length: 400, spacing: 900},
		"empty ground":       {width: 1920, height: 1080, length: 60},
	} {
		t.Run(name, func(t *testing.T) {
			const frames = 6.0                                                   // widths of ground
			slow := 0.0                                                          // tiles
			for _, speed := range []float64{0.15, 0.3, 0.6, 0.8, 1, 1.4, 2, 3} { // widths a second
				f.speed, f.seconds, f.options = speed*float64(f.width), frames/speed, options()
				got := f.run(t)
				least := math.MaxInt
				for c, k := range got.looks {
					if x := float64(c) * 40; x > float64(f.width)+f.length && x < f.speed*f.seconds-f.length {
						least = min(least, k)
					}
				}
				steps := int((1 - 2*f.length/float64(f.width)) / speed * framesASecond / float64(f.pace())) // with the animal inside
				if want := min(enoughLooks-1, steps-1); least < want {
					t.Errorf("%g widths a second: some ground has %d looks in %d steps, want %d", speed, least, steps, want)
				}
				if slow == 0 {
					slow = float64(got.tiles)
				}
				if most := 1.3 * slow; float64(got.tiles) > most {
					t.Errorf("%g widths a second: %d tiles, want at most %.0f", speed, got.tiles, most)
				}
			}
		})
	}
}

func TestNearAnimalsGetLargeTiles(t *testing.T) {
	for _, c := range []struct {
		width, height int
		length        float64
		least, most   int
	}{
		{1920, 1080, 30, 440, 480},
		{1920, 1080, 60, 500, 800},
		{1920, 1080, 160, 1000, 1920},
		{3840, 2160, 60, 500, 800},
		{3840, 2160, 400, 2000, 3840},
	} {
		f := flight{width: c.width, height: c.height, length: c.length, spacing: 2.2 * c.length, seconds: 4, options: options()}
		if got := f.run(t).side; got < c.least || got > c.most {
			t.Errorf("animals of %.0f pixels in %dx%d: tiles of %d pixels, want %d to %d", c.length, c.width, c.height, got,
				c.least, c.most)
		}
	}
	fixed := options()
	fixed.Fixed = true
	if got := (flight{width: 1920, height: 1080, length: 160, spacing: 400, seconds: 2, options: fixed}).run(t).side; got != 480 {
		t.Errorf("fixed tiles of %d pixels", got)
	}
}

func TestSmallerTilesAreLookedAtOnlyWhenTheyMayShowMore(t *testing.T) {
	p := New(options())
	f := &video.Frame{Width: 3840, Height: 2160}
	plan := p.Plan(Step{Frame: f, Remaining: 10, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}})
	if len(plan) != 4 || len(plan[0]) != 1 || plan[3][0].Width != 480 {
		t.Fatalf("%d lists", len(plan))
	}
	row := func(n int, length float32) (boxes []detect.Box) {
		for i := range n {
			x := 10 + float32(i)*length*1.2
			boxes = append(boxes, detect.Box{X1: x, Y1: 900, X2: x + length, Y2: 900 + length/2, Score: 0.9})
		}
		return boxes
	}
	for name, c := range map[string]struct {
		larger, smaller []detect.Box
		enough          bool
	}{
		"large animals":                     {row(8, 400), row(8, 400), true},
		"small ones among the large":        {row(8, 400), append(row(8, 400), row(10, 60)...), false},
		"small animals":                     {row(8, 100), row(8, 100), false},
		"nothing":                           {nil, nil, false},
		"small ones, missed in large tiles": {row(1, 400), row(30, 60), false},
	} {
		if got := p.Enough(plan, [][]detect.Box{c.larger, c.smaller}, 0.4); got != c.enough {
			t.Errorf("%s: enough is %v", name, got)
		}
	}
	if p.Enough(plan, [][]detect.Box{row(8, 400)}, 0.4) {
		t.Error("one size of tiles is enough")
	}
}

func TestWholeFramesAndEveryStep(t *testing.T) {
	f := flight{width: 1280, height: 720, length: 60, spacing: 200, seconds: 4, options: options()}
	f.options.All = true
	perFrame := len(f.options.Grid.Regions(nil, &video.Frame{Width: 1280, Height: 720}))
	if got := f.run(t).tiles; got != perFrame*4*stepsASecond {
		t.Errorf("%d tiles, want all of %d steps", got, 4*stepsASecond)
	}
	f.options = Options{Gap: 1.0 / 3}
	if got := f.run(t); got.tiles == 0 || got.tiles > 12 || got.side != 1280 {
		t.Errorf("whole frames: %d looks at regions of %d pixels", got.tiles, got.side)
	}
}

func TestTheCostOfAMinuteStaysTheSame(t *testing.T) {
	short := flight{width: 1920, height: 1080, speed: 150, length: 60, spacing: 300, seconds: 60, options: options()}
	long := short
	long.seconds = 240
	a, b := short.run(t).tiles, long.run(t).tiles
	if float64(b) > 4.2*float64(a) {
		t.Errorf("%d tiles in one minute, %d in four", a, b)
	}
}

func TestPlacesOfZones(t *testing.T) {
	f := &video.Frame{Width: 1920, Height: 1080}
	z := newZones(detect.Grid{Tile: 480, Overlap: 0.2}, f)
	for k, r := range z.regions {
		rect := z.rect(k)
		if z.at((rect.X1+rect.X2)/2, (rect.Y1+rect.Y2)/2) != k {
			t.Errorf("the middle of zone %d is in another", k)
		}
		if rect.X1 < float64(r.X) || rect.Y1 < float64(r.Y) || rect.X2 > float64(r.X+r.Width) || rect.Y2 > float64(r.Y+r.Height) {
			t.Errorf("zone %+v reaches beyond its tile %+v", rect, r)
		}
	}
}

// The camera climbs while no animal is in view: the animals are then three times as far away.
func TestTilesFollowTheHeightOfTheCamera(t *testing.T) {
	f := flight{width: 1920, height: 1080, length: 180, spacing: 400, seconds: 4, options: options()}
	p := New(f.options)
	side := 0
	for i := range 20 * stepsASecond {
		now := float64(i) / stepsASecond
		scale := 1.0
		switch {
		case now > 12:
			scale = 4
			f.length, f.spacing = 45, 100
		case now > 4:
			scale = 1 + 3*(now-4)/8
			f.spacing = 0
		}
		frame := &video.Frame{Index: i * 5, Width: f.width, Height: f.height}
		s := Step{Frame: frame, Seconds: now, Remaining: 20 - now,
			Pose: motion.Pose{ToGround: motion.Transform{A: scale}, Inliers: 1}}
		plan := p.Plan(s)
		if plan == nil {
			continue
		}
		var found [][]detect.Box
		for _, tiles := range plan {
			boxes := f.see(tiles, now)
			if len(tiles) > 0 && f.length*416/float64(tiles[0].Width) < 20 {
				boxes = nil // too small for the model
			}
			found = append(found, boxes)
		}
		side = plan[p.Learn(s, plan, found, 0.4)][0].Width
	}
	if side > 800 {
		t.Errorf("tiles of %d pixels for animals of 45 pixels", side)
	}
}

// A cut to another place begins with animals of unknown size again.
func TestANewSegmentKnowsNoSize(t *testing.T) {
	p := New(options())
	f := &video.Frame{Width: 1920, Height: 1080}
	s := Step{Frame: f, Remaining: 10, Pose: motion.Pose{ToGround: motion.Identity, Inliers: 1}}
	plan := p.Plan(s)
	var found [][]detect.Box
	for range plan {
		found = append(found, flight{width: 1920, height: 1080, length: 300, spacing: 400}.see(plan[0], 0))
	}
	p.Learn(s, plan, found, 0.4)
	if _, known := p.sizes.length(); !known {
		t.Fatal("the size is not known after a look at a herd")
	}
	s.Seconds, s.Pose.Segment = 1, 1
	p.Plan(s)
	if _, known := p.sizes.length(); known {
		t.Error("the size of another place is still in use")
	}
}

func TestEmptyGroundCostsLittle(t *testing.T) {
	f := flight{width: 3840, height: 2160, speed: 200, seconds: 60, options: options()}
	if got := f.run(t); float64(got.tiles) > 0.15*float64(got.whole) {
		t.Errorf("%d tiles over empty ground, %d in looks at whole frames", got.tiles, got.whole)
	}
}

// A camera that turns half a circle within half a second shows ground for a moment only. Each piece gets a look.
func TestGroundInViewForAMomentGetsALook(t *testing.T) {
	const w, h, far = 1280.0, 720.0, 450.0
	o := options()
	o.Grid.Tile, o.Fixed = w, true
	p := New(o)
	looked := map[[2]int]bool{}
	seen := map[[2]int]int{}
	heading := func(now float64) float64 { return math.Pi * min(1, max(0, 2*(now-1))) }
	for i := range 18 {
		now := float64(i) / stepsASecond
		sin, cos := math.Sincos(heading(now))
		middle := motion.Transform{A: 1, TX: -w / 2, TY: -h / 2}
		pose := motion.Pose{ToGround: middle.Then(motion.Transform{A: cos, B: sin}), Inliers: 1}
		frame := &video.Frame{Index: i * 5, Width: w, Height: h}
		s := Step{Frame: frame, Seconds: now, Remaining: 9, Pose: pose}
		plan := p.Plan(s)
		if plan != nil {
			found := make([][]detect.Box, len(plan))
			p.Learn(s, plan, found, 0.4)
		}
		back := pose.ToGround.Inverse()
		for k := range 72 { // places on a circle that the ends of the picture sweep
			a := float64(k) * math.Pi / 36
			at := back.Apply(motion.Point{X: far * math.Cos(a), Y: far * math.Sin(a)})
			place := [2]int{k, 0}
			if at.X < 100 || at.Y < 100 || at.X > w-100 || at.Y > h-100 {
				continue
			}
			seen[place]++
			for _, tiles := range plan {
				for _, r := range tiles {
					if at.X >= float64(r.X) && at.X <= float64(r.X+r.Width) && at.Y >= float64(r.Y) && at.Y <= float64(r.Y+r.Height) {
						looked[place] = true
					}
				}
			}
		}
	}
	missed := 0
	for place := range seen {
		if !looked[place] {
			missed++
		}
	}
	if len(seen) < 60 || missed > 0 {
		t.Errorf("%d of %d places that were in view have no look", missed, len(seen))
	}
}
