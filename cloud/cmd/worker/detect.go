package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video/still"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/footage"
)

// detectCommand is `worker detect`: it writes the detections of a folder of pictures, without a server.
type detectCommand struct {
	Images string `required:"" type:"path" placeholder:"DIR" help:"Folder of JPEG, PNG, TIFF, WebP or BMP files, or a file."`
	Out    string `required:"" placeholder:"FILE" help:"Where the JSON lines go; - is standard output."`
	detectFlags
}

// Validate refuses a path that does not exist as a wrong argument.
func (c *detectCommand) Validate() error {
	err := c.detectFlags.Validate()
	if _, missing := os.Stat(c.Images); missing != nil {
		err = errors.Join(err, fmt.Errorf("--images: %w", missing))
	}
	return err
}

// errPictures marks pictures that could not be read. The output has an error line for each of them, and the lines of
// the other pictures.
var errPictures = errors.New("pictures cannot be read")

// detectLine is one line of the output.
type detectLine struct {
	Image      string      `json:"image"`
	Width      int         `json:"width,omitempty"` // pixels of the picture, upright as its EXIF orientation says
	Height     int         `json:"height,omitempty"`
	Detections []detection `json:"detections,omitzero"` // absent with Error, else present even when empty
	Others     []detection `json:"others,omitempty"`    // animals of other kinds
	Error      string      `json:"error,omitempty"`

	Model  string         `json:"model"`
	Digest footage.Digest `json:"digest"` // SHA-256 of the network
}

// detection is one animal.
type detection struct {
	Box   [4]float64 `json:"box"` // x1, y1, x2, y2 in pixels of the upright picture
	Score float64    `json:"score"`
	Label string     `json:"label"`

	// Position is missing where the picture does not say the place, height, heading and pitch of its camera.
	Position *detectedPlace `json:"position,omitempty"`
}

// detectedPlace is where an animal of a photograph is.
type detectedPlace struct {
	Latitude  float64 `json:"latitude"` // WGS 84, degrees
	Longitude float64 `json:"longitude"`
	Radius    float64 `json:"radius_m"` // metres; the animal is within it in 95 of 100 cases
}

// run writes progress to stderr, and the lines to Out or, for "-", to stdout. A file gets its name when it is complete,
// so an interrupted run leaves no partial file.
func (c *detectCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	folder, names, err := findPictures(c.Images)
	if err != nil {
		return err
	}
	settings := c.settings()
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
	r := &detectRun{folder: folder, names: names, out: out, unreadable: map[int]error{}, model: net.Info(),
		meter: newMeter(stderr, "detect")}
	p := detect.Pipeline{Source: r.next, Detector: tiler, Workers: settings.Workers()}
	if err := p.Run(ctx, r.write); err != nil {
		return err
	}
	if err := r.writeUnreadable(len(names)); err != nil {
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	r.meter.clear()
	fmt.Fprintf(stderr, "%d pictures, %d detections by %s, SHA-256 %s\n", len(names), r.boxes, net.Info().Name,
		net.Info().Digest)
	if n := len(r.unreadable); n > 0 {
		return fmt.Errorf("%w: %d of %d in %s; each has an error line in the output", errPictures, n, len(names),
			c.Images)
	}
	return nil
}

// findPictures lists the pictures of a folder, sorted by name. The path of one picture is its folder with one name.
func findPictures(path string) (folder string, names []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", errPictures, err)
	}
	if !info.IsDir() {
		return filepath.Dir(path), []string{filepath.Base(path)}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", errPictures, err)
	}
	for _, e := range entries {
		if !e.IsDir() && still.IsPicture(e.Name()) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return "", nil, fmt.Errorf("%w: folder %s has no %s pictures", errPictures, path, still.Formats)
	}
	return path, names, nil
}
