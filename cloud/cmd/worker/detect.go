// Package detectcmd is the worker's `detect` command: detections of a folder
// of pictures as JSON lines, without a server.
package detectcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video/still"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/cloud/worker/meter"
	"cattlecounter/shared/footage"
)

// Command is the command line of `worker detect`.
type Command struct {
	Images string `required:"" type:"existingdir" placeholder:"DIR" help:"Folder with the pictures (.jpg, .jpeg, .png)."`
	Out    string `required:"" placeholder:"FILE" help:"Where the JSON lines go; - is standard output."`
	engine.DetectFlags
}

// ErrPictures is returned when some pictures could not be read. Lines for the
// others, and an error line for each of these, are in the output.
var ErrPictures = errors.New("some pictures could not be read")

// Line is one line of the output.
type Line struct {
	Image      string      `json:"image"`
	Detections []Detection `json:"detections,omitzero"` // absent with Error, else present even when empty
	Error      string      `json:"error,omitempty"`

	Model  string         `json:"model"`
	Digest footage.Digest `json:"digest"` // SHA-256 of the network
}

// Detection is one animal.
type Detection struct {
	Box   [4]float64 `json:"box"` // x1, y1, x2, y2 in pixels
	Score float64    `json:"score"`
	Label string     `json:"label"`
}

// Run does the command. Progress goes to stderr, the lines to Out or, for "-",
// to stdout. A file is written under a temporary name and renamed at the end,
// so a stopped run leaves no half file.
func (c *Command) Run(ctx context.Context, stdout, stderr io.Writer) error {
	names, err := pictures(c.Images)
	if err != nil {
		return err
	}
	settings := c.Settings()
	net, tiler, err := engine.Detector(settings)
	if err != nil {
		return err
	}
	defer net.Close()
	out, err := openOutput(c.Out, stdout)
	if err != nil {
		return err
	}
	defer out.discard()
	r := &run{folder: c.Images, names: names, out: out, faults: map[int]error{}, model: net.Info(), meter: meter.New(stderr, "detect")}
	p := detect.Pipeline{Source: r.next, Detector: tiler, Workers: settings.Workers()}
	if err := p.Run(ctx, r.write); err != nil {
		return err
	}
	if err := r.writeFaults(len(names)); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	r.meter.Clear()
	fmt.Fprintf(stderr, "%d pictures, %d detections by %s, SHA-256 %s\n", len(names), r.boxes, net.Info().Name, net.Info().Digest)
	if n := len(r.faults); n > 0 {
		return fmt.Errorf("%d of %d in %s: %w", n, len(names), c.Images, ErrPictures)
	}
	return nil
}

// pictures lists the pictures of a folder, sorted by name.
func pictures(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("pictures: %w", err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && still.IsPicture(e.Name()) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("pictures: %s has no .jpg, .jpeg or .png file: %w", folder, fs.ErrNotExist)
	}
	return names, nil
}
