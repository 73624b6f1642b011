package main

import (
	"context"
	"fmt"
	"io"

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
}

// config translates the flags. In synthetic.Config 0 stands for the default, so a flag of 0 becomes what stands for
// none.
func (c *clipCommand) config() synthetic.Config {
	none := func(v, stands float64) float64 {
		if v == 0 {
			return stands
		}
		return v
	}
	const straightDown = 1e-9
	return synthetic.Config{
		Seed: c.Seed, Animals: c.Animals, Seconds: c.Seconds, FPS: c.FPS, Width: c.Size.Width, Height: c.Size.Height,
		Scale: c.Scale, Tilt: none(c.Tilt, straightDown), Speed: none(c.Speed, -1), Moving: none(c.Moving, -1),
	}
}

// run renders the clip. A line about the result goes to stderr.
func (c *clipCommand) run(ctx context.Context, stderr io.Writer) error {
	truth, err := clipfile.Write(ctx, c.Out, c.config())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "%s: %d frames, %d animals in view of %d in the world\n",
		c.Out, truth.Frames, truth.UniqueAnimals, len(truth.Animals))
	return err
}
