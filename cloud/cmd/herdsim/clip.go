package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
)

// frameSize is width and height in pixels, written 1280x720.
type frameSize struct{ Width, Height int }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *frameSize) UnmarshalText(b []byte) error {
	var rest string
	if n, _ := fmt.Sscanf(string(b), "%dx%d%s", &s.Width, &s.Height, &rest); n != 2 {
		return fmt.Errorf("size %q, want a width and height such as 1280x720", b)
	}
	return nil
}

// clipCommand is `herdsim clip`.
type clipCommand struct {
	Out     string    `required:"" type:"path" placeholder:"FILE" help:"The clip, an MP4 file; its truth goes beside it as .json."`
	Seed    uint64    `default:"1" help:"The same seed gives the same clip."`
	Animals int       `default:"40" help:"Animals in the world; the camera may miss some of them."`
	Seconds float64   `default:"8" help:"Length of the clip."`
	FPS     float64   `name:"fps" default:"30" help:"Frames per second."`
	Size    frameSize `default:"1280x720" help:"Width and height in pixels, even numbers."`
	Scale   float64   `default:"22" help:"Pixels per metre of ground; a grown animal is about 2.3 m long."`
	Tilt    float64   `default:"35" help:"Camera angle in degrees; 0 looks straight down."`
	Speed   float64   `default:"4" help:"Speed of the drone in metres per second."`
	Moving  float64   `default:"0.25" help:"Share of the animals that walk, 0 to 1."`

	Ground  string  `placeholder:"WORD" default:"grass" help:"${grounds}."`
	Light   string  `placeholder:"WORD" default:"day" help:"${lights}."`
	Camera  string  `placeholder:"WORD" default:"pass" help:"Way of the drone: ${cameras}."`
	Herd    string  `placeholder:"WORD" default:"loose" help:"What the animals do: ${herds}."`
	Coat    string  `placeholder:"WORD" default:"mixed" help:"${coats}."`
	Lane    float64 `placeholder:"METRES" help:"Width of a dirt lane with fences along the way; 5 for the herd lane."`
	Turning float64 `default:"0.2" help:"Share of the animals of the herd lane that turn round."`
	Turn    float64 `default:"90" help:"Degrees, for the cameras turn and yaw."`
	Zoom    float64 `default:"1.6" help:"Largest or smallest scale by --scale, for the camera zoom; 0.5 to 2."`
	Wind    float64 `default:"1" help:"Strength of the drift of the drone, 0 to 4."`
	Opening float64 `placeholder:"DEGREES" help:"Horizontal field of view of a camera that looks straight down; 0: no perspective."`
	Young   float64 `default:"0.15" help:"Share of young animals."`
	Clutter float64 `default:"1" help:"Amount of bushes, rocks, troughs and spots, 0 to 4."`
	Sun     float64 `placeholder:"DEGREES" help:"Direction of the shadows, clockwise from the right of the picture; 0: by the seed."`
	Noise   float64 `help:"Noise of the sensor: standard deviation in levels of 255."`
	Blur    float64 `help:"Blur of the lens: standard deviation in pixels."`
	Flicker float64 `help:"Slow change of the exposure, share of the light, up to 0.5."`
	Bright  float64 `name:"exposure" default:"1" help:"Factor of the light: 0.2 is dusk, 4 is overexposed."`
	Log     string  `placeholder:"WORD" help:"Also write a flight log as NAME.SRT and the place of each animal into the truth: ${logs}. Needs --tilt 0."`
	At      string  `placeholder:"LAT,LON" default:"-31.7,24.3" help:"Where the flight log says that the clip begins, in degrees."`
	Errors  float64 `default:"0" placeholder:"X" help:"Errors of the flight log, 1 for the usual ones: 1.6 m, 4 degrees of heading, 1.5 m of height."`
	Tracks  string  `type:"existingfile" placeholder:"FILE" help:"Recorded boxes (MOT, CSV; 1920x1080, 60 frames per second), for the herd replay and the camera recorded."`
}

// kinds are the words of the help for the kinds of ground, light and so on.
func kinds() kong.Vars {
	return kong.Vars{
		"grounds": list("Ground", synthetic.Grounds()), "lights": list("Light", synthetic.Lights()),
		"cameras": list("", synthetic.Cameras()), "herds": list("", synthetic.Herds()), "coats": list("Color", synthetic.Coats()),
		"logs": list("", clipfile.Dialects()),
	}
}

// list is all words of a kind after its name.
func list[T ~string](name string, all []T) string {
	var words []string
	for _, v := range all {
		words = append(words, string(v))
	}
	text := strings.Join(words, ", ")
	if name != "" {
		text = name + ": " + text
	}
	return text
}

// config translates the flags. In synthetic.Config 0 stands for the default, so a flag of 0 becomes what stands for
// none. The error wraps synthetic.ErrTracks.
func (c *clipCommand) config() (synthetic.Config, error) {
	none := func(v, stands float64) float64 {
		if v == 0 {
			return stands
		}
		return v
	}
	tracks, err := c.readTracks()
	return synthetic.Config{
		Seed: c.Seed, Animals: int(none(float64(c.Animals), -1)), Seconds: c.Seconds, FPS: c.FPS, Width: c.Size.Width,
		Height: c.Size.Height, Scale: c.Scale, Tilt: none(c.Tilt, -1), Speed: none(c.Speed, -1), Moving: none(c.Moving, -1),
		Ground: synthetic.Ground(c.Ground), Light: synthetic.Light(c.Light), Camera: synthetic.Camera(c.Camera),
		Herd: synthetic.Herd(c.Herd), Coat: synthetic.Coat(c.Coat), Lane: c.Lane, Turning: none(c.Turning, -1),
		Turn: c.Turn, Zoom: c.Zoom, Wind: none(c.Wind, -1), Opening: c.Opening, Young: none(c.Young, -1),
		Clutter: none(c.Clutter, -1), Sun: c.Sun, Noise: c.Noise, Blur: c.Blur, Flicker: c.Flicker, Exposure: c.Bright, Tracks: tracks,
	}, err
}

// readTracks reads the file of recorded boxes, if there is one.
func (c *clipCommand) readTracks() (*synthetic.Tracks, error) {
	if c.Tracks == "" {
		return nil, nil
	}
	f, err := os.Open(c.Tracks)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tracks, err := synthetic.ReadTracks(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Tracks, err)
	}
	return tracks, nil
}

// run renders the clip. A line about the result goes to stderr.
func (c *clipCommand) run(ctx context.Context, stderr io.Writer) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	log := clipfile.Log{Dialect: clipfile.Dialect(c.Log), Noise: c.Errors}
	if n, _ := fmt.Sscanf(c.At, "%f,%f", &log.Lat, &log.Lon); n != 2 {
		return fmt.Errorf("--at %q, want degrees such as -31.7,24.3: %w", c.At, synthetic.ErrConfig)
	}
	truth, err := clipfile.WriteLogged(ctx, c.Out, config, log)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "%s: %d frames, %d animals in view of %d in the world\n",
		c.Out, truth.Frames, truth.UniqueAnimals, len(truth.Animals))
	return err
}
