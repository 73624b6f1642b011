package synthetic

import (
	"errors"
	"fmt"
	"slices"
)

// Ground is the kind of ground under the herd.
type Ground string

// Kinds of ground. Each has its own texture at every scale, spots and clutter.
const (
	Grass    Ground = "grass"    // green pasture, the default
	DryGrass Ground = "drygrass" // yellow pasture
	Soil     Ground = "soil"     // dry, pale or red soil
	Road     Ground = "road"     // trodden dirt with tyre tracks
	Concrete Ground = "concrete" // slabs of a yard
	Feedlot  Ground = "feedlot"  // mud, dung and puddles
	Stubble  Ground = "stubble"  // a harvested field with rows
)

// Grounds lists all kinds of ground.
func Grounds() []Ground { return []Ground{Grass, DryGrass, Soil, Road, Concrete, Feedlot, Stubble} }

// Light is the weather and the place of the sun.
type Light string

// Kinds of light.
const (
	Day     Light = "day"     // clear morning, shadows of medium length; the default
	Soft    Light = "soft"    // overcast, almost no shadow
	Noon    Light = "noon"    // short, hard and dark shadows
	Evening Light = "evening" // low and warm sun, long shadows
)

// Lights lists all kinds of light.
func Lights() []Light { return []Light{Day, Soft, Noon, Evening} }

// Camera is the way that the drone flies. Its start is at the origin of the ground, and it flies along +x.
type Camera string

// Ways of the camera. All but Steady have the slow drift of a drone in light wind.
const (
	Pass       Camera = "pass"       // straight on at Config.Speed; the default
	Steady     Camera = "steady"     // straight on without any drift
	Hover      Camera = "hover"      // above one place
	Back       Camera = "back"       // out for half of the clip, then back the same way
	Serpentine Camera = "serpentine" // two rows or more side by side
	Turn       Camera = "turn"       // a stop in the middle, a turn by Config.Turn, then straight on
	Yaw        Camera = "yaw"        // a pass with a turn by Config.Turn within half a second, and later back
	Zoom       Camera = "zoom"       // a pass with a change of the scale by the factor Config.Zoom, and back
	Gust       Camera = "gust"       // a pass with strong shake
	Recorded   Camera = "recorded"   // the way of the drone of Config.Tracks; Config.Speed is not used
)

// Cameras lists all ways of the camera.
func Cameras() []Camera {
	return []Camera{Pass, Steady, Hover, Back, Serpentine, Turn, Yaw, Zoom, Gust, Recorded}
}

// Herd is what the animals do.
type Herd string

// Kinds of herds. Config.Moving is used by Loose and Tight only.
const (
	Loose    Herd = "loose"    // loose groups over the whole ground; the share Config.Moving walks; the default
	Standing Herd = "standing" // none walks
	Grazing  Herd = "grazing"  // all graze, with slow steps
	Oneway   Herd = "oneway"   // all walk one way, across the way of the camera
	Lane     Herd = "lane"     // both ways along a lane along +x; the share Config.Turning turns round
	Crossing Herd = "crossing" // pairs that pass each other closely
	Follow   Herd = "follow"   // all walk along +x with the speed of the camera
	Return   Herd = "return"   // animals at the edge of the picture leave it and come back
	Tight    Herd = "tight"    // groups whose bodies almost touch; they walk when Config.Moving is 0.5 or more
	Replay   Herd = "replay"   // the animals of Config.Tracks
)

// Herds lists all kinds of herds.
func Herds() []Herd {
	return []Herd{Loose, Standing, Grazing, Oneway, Lane, Crossing, Follow, Return, Tight, Replay}
}

// Coat is the colour of all animals of a herd.
type Coat string

// Coats. Mixed, the default, has all of them.
const (
	Mixed Coat = "mixed"
	Black Coat = "black"
	White Coat = "white"
	Brown Coat = "brown"
	Grey  Coat = "grey"
	Pied  Coat = "pied"
)

// Coats lists all coats.
func Coats() []Coat { return []Coat{Mixed, Black, White, Brown, Grey, Pied} }

// Config describes a clip. The zero value of a field is its default. Configurations are comparable.
type Config struct {
	Seed    uint64
	Animals int     // in the world, default 40; the camera may miss some; negative for none
	Seconds float64 // default 8
	FPS     float64 // default 30
	Width   int     // pixels, default 1280
	Height  int     // default 720
	Scale   float64 // pixels per metre, default 22
	Tilt    float64 // degrees from straight down, 0 to 60, default 35; negative for straight down
	Speed   float64 // of the drone in metres per second, default 4; negative for a standing drone
	Moving  float64 // share of the walking animals, 0..1, default 0.25; negative for none

	Ground Ground // default Grass
	Light  Light  // default Day
	Camera Camera // default Pass
	Herd   Herd   // default Loose
	Coat   Coat   // default Mixed

	Turn     float64 // degrees, for the cameras Turn and Yaw; -360 to 360, default 90
	Zoom     float64 // largest or smallest scale divided by Scale, for the camera Zoom; 0.5 to 2, default 1.6
	Wind     float64 // strength of the drift of the camera, 0 to 4, default 1; negative for none
	Opening  float64 // degrees of the horizontal field of view, 0 to 90, without Tilt; 0, the default: no perspective
	Lane     float64 // width in metres of a dirt lane along +x, 0 for none; default 5 for the herd Lane
	Turning  float64 // share of the animals of the herd Lane that turn round, 0..1, default 0.2; negative for none
	Young    float64 // share of young animals, 0..1, default 0.15; negative for none
	Clutter  float64 // amount of bushes, rocks, troughs and spots, 0 to 4, default 1; negative for none
	Sun      float64 // direction that shadows fall to, degrees from +x towards +y, 0 to 360; 0 is chosen by Seed
	Noise    float64 // standard deviation of the sensor's noise, levels of 255; 0 to 30, default 0
	Blur     float64 // standard deviation of the blur, pixels; 0 to 8, default 0
	Flicker  float64 // slow change of the exposure, share of the light; 0 to 0.5, default 0
	Exposure float64 // factor of the light, 0.05 to 8, default 1; small for dusk, large for overexposed pictures

	Tracks *Tracks // for the herd Replay, which has the animals of the recording, and the camera Recorded
}

// ErrConfig marks a configuration outside the ranges.
var ErrConfig = errors.New("configuration of the simulator is not valid")

// Bounds of the time for a clip.
const (
	maxAnimals = 5000
	maxSeconds = 3600
)

// setDefault replaces a zero value.
func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func (c Config) withDefaults() Config {
	setDefault(&c.Animals, 40)
	setDefault(&c.Seconds, 8)
	setDefault(&c.FPS, 30)
	setDefault(&c.Width, 1280)
	setDefault(&c.Height, 720)
	setDefault(&c.Scale, 22)
	setDefault(&c.Tilt, 35)
	setDefault(&c.Speed, 4)
	setDefault(&c.Moving, 0.25)
	setDefault(&c.Ground, Grass)
	setDefault(&c.Light, Day)
	setDefault(&c.Camera, Pass)
	setDefault(&c.Herd, Loose)
	setDefault(&c.Coat, Mixed)
	setDefault(&c.Turn, 90)
	setDefault(&c.Zoom, 1.6)
	setDefault(&c.Wind, 1)
	setDefault(&c.Turning, 0.2)
	setDefault(&c.Young, 0.15)
	setDefault(&c.Clutter, 1)
	setDefault(&c.Exposure, 1)
	if c.Herd == Lane {
		setDefault(&c.Lane, 5)
	}
	c.Animals = max(c.Animals, 0)
	for _, v := range []*float64{&c.Tilt, &c.Speed, &c.Moving, &c.Wind, &c.Turning, &c.Young, &c.Clutter} {
		*v = max(*v, 0)
	}
	return c
}

// within is a range of a number of the configuration.
type within struct {
	name      string
	v, lo, hi float64
	unit      string
}

// validate checks a configuration with defaults and returns all faults at once.
func (c Config) validate() error {
	var errs []error
	for _, w := range []within{
		{"animals", float64(c.Animals), 0, maxAnimals, ""}, {"length", c.Seconds, 1e-3, maxSeconds, " seconds"},
		{"rate", c.FPS, 1, 240, " frames per second"}, {"width", float64(c.Width), 64, 8192, " pixels"},
		{"height", float64(c.Height), 64, 8192, " pixels"}, {"scale", c.Scale, 4, 200, " pixels per metre"},
		{"tilt", c.Tilt, 0, 60, " degrees"}, {"speed", c.Speed, 0, 30, " metres per second"},
		{"moving share", c.Moving, 0, 1, ""}, {"turn", c.Turn, -360, 360, " degrees"}, {"zoom", c.Zoom, 0.5, 2, ""},
		{"wind", c.Wind, 0, 4, ""}, {"opening", c.Opening, 0, 90, " degrees"}, {"lane", c.Lane, 0, 30, " metres"},
		{"turning share", c.Turning, 0, 1, ""}, {"young share", c.Young, 0, 1, ""}, {"clutter", c.Clutter, 0, 4, ""},
		{"sun", c.Sun, 0, 360, " degrees"}, {"noise", c.Noise, 0, 30, " levels"}, {"blur", c.Blur, 0, 8, " pixels"},
		{"flicker", c.Flicker, 0, 0.5, ""}, {"exposure", c.Exposure, 0.05, 8, ""},
	} {
		if !(w.v >= w.lo && w.v <= w.hi) {
			errs = append(errs, fmt.Errorf("%s of %v%s, want %v to %v", w.name, w.v, w.unit, w.lo, w.hi))
		}
	}
	errs = append(errs, oneOf("ground", c.Ground, Grounds()), oneOf("light", c.Light, Lights()),
		oneOf("camera", c.Camera, Cameras()), oneOf("herd", c.Herd, Herds()), oneOf("coat", c.Coat, Coats()))
	if (c.Herd == Replay || c.Camera == Recorded) && c.Tracks == nil {
		errs = append(errs, errors.New("the herd replay and the camera recorded need tracks"))
	}
	if c.Opening > 0 && c.Tilt > 0 {
		errs = append(errs, fmt.Errorf("opening of %v degrees with a tilt of %v, want one of them to be 0",
			c.Opening, c.Tilt))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", err, ErrConfig)
	}
	return nil
}

func oneOf[T ~string](name string, v T, all []T) error {
	if slices.Contains(all, v) {
		return nil
	}
	return fmt.Errorf("%s %q, want one of %v", name, string(v), all)
}
