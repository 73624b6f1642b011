// Package simulatecmd is the worker's `simulate` command: a clip of a herd
// that never was, with the exact truth beside it.
package simulatecmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/opencv"
	"cattlecounter/cloud/synthetic"
)

// Size is width and height in pixels, written 1280x720.
type Size struct{ Width, Height int }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	var rest string
	if n, _ := fmt.Sscanf(string(b), "%dx%d%s", &s.Width, &s.Height, &rest); n != 2 {
		return fmt.Errorf("size %q, want a width and height such as 1280x720", b)
	}
	return nil
}

// Command is the command line of `worker simulate`.
type Command struct {
	Out     string  `required:"" type:"path" placeholder:"FILE" help:"The clip, an MP4 file; its truth goes beside it as .json."`
	Seed    uint64  `default:"1" help:"The same seed gives the same clip."`
	Animals int     `default:"40" help:"Animals in the world; the camera need not meet all of them."`
	Seconds float64 `default:"8" help:"Length of the clip."`
	FPS     float64 `name:"fps" default:"30" help:"Frames per second."`
	Size    Size    `default:"1280x720" help:"Width and height in pixels, even numbers."`
	Scale   float64 `default:"22" help:"Pixels per metre of ground; a grown animal is about 2.3 m long."`
	Tilt    float64 `default:"35" help:"Camera angle in degrees; 0 looks straight down."`
	Speed   float64 `default:"4" help:"Speed of the drone in metres per second."`
	Moving  float64 `default:"0.25" help:"Share of the animals that walk, 0 to 1."`
}

// config translates the flags; for the simulator 0 means its default, so an
// explicit 0 becomes what stands for none there.
func (c *Command) config() synthetic.Config {
	none := func(v, stands float64) float64 {
		if v == 0 {
			return stands
		}
		return v
	}
	const straightDown = 1e-9
	return synthetic.Config{Seed: c.Seed, Animals: c.Animals, Seconds: c.Seconds, FPS: c.FPS, Width: c.Size.Width, Height: c.Size.Height,
		Scale: c.Scale, Tilt: none(c.Tilt, straightDown), Speed: none(c.Speed, -1), Moving: none(c.Moving, -1)}
}

// Run renders the clip. Both files are complete or absent at the end. A line
// about the result goes to stderr.
func (c *Command) Run(ctx context.Context, stderr io.Writer) error {
	clip, err := synthetic.New(c.config())
	if err != nil {
		return err
	}
	part := strings.TrimSuffix(c.Out, filepath.Ext(c.Out)) + ".part.mp4" // the encoder goes by the name
	defer os.Remove(part)
	if err := render(ctx, clip, part); err != nil {
		return err
	}
	truth := clip.Truth()
	if err := writeJSON(TruthPath(c.Out), truth); err != nil {
		return err
	}
	if err := os.Rename(part, c.Out); err != nil {
		return fmt.Errorf("clip: %w", err)
	}
	_, err = fmt.Fprintf(stderr, "%s: %d frames, %d animals in view of %d in the world\n", c.Out, truth.Frames, truth.UniqueAnimals, len(truth.Animals))
	return err
}

// TruthPath is where the truth of a clip lies.
func TruthPath(clip string) string { return strings.TrimSuffix(clip, filepath.Ext(clip)) + ".json" }

func render(ctx context.Context, clip *synthetic.Clip, path string) error {
	k := clip.Config()
	enc, err := opencv.Create(path, k.Width, k.Height, k.FPS)
	if err != nil {
		return err
	}
	defer enc.Close()
	var f video.Frame
	for {
		err := clip.Next(ctx, &f)
		if errors.Is(err, io.EOF) {
			return enc.Close()
		}
		if err != nil {
			return err
		}
		if err := enc.Write(&f); err != nil {
			return err
		}
	}
}

func writeJSON(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("truth: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("truth: %w", err)
	}
	return nil
}
