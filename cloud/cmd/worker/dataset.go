package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/examples"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/footage"
)

// datasetCommand is `worker dataset`: it makes labeled pictures for training out of reviewed footage.
type datasetCommand struct {
	Folder  string   `arg:"" placeholder:"FOLDER" help:"COCO folder to make, or to add to. Pictures of the same footage from an earlier run are replaced."`
	Clips   []string `required:"" sep:"none" placeholder:"PATH" help:"A clip, or a folder with clips in it and its subfolders. May be repeated."`
	Review  []string `required:"" sep:"none" placeholder:"FILE" help:"Review of the animals, as JSON or CSV; see deploy/docs/models.md. May be repeated."`
	Results []string `sep:"none" placeholder:"PATH" help:"Result documents of worker count, or folders with them. Default: the clips' folders. May be repeated."`
	Images  int      `default:"200" placeholder:"N" help:"Pictures to make at most."`
	Seed    uint64   `default:"1" placeholder:"N" help:"The same seed and inputs give the same pictures."`
	Side    int      `default:"0" placeholder:"PX" help:"Side of a picture in pixels. 0: eight lengths of an animal."`
	detectFlags
	decoderFlags
}

// Validate implements kong's check of a command's options.
func (c *datasetCommand) Validate() error {
	const mostImages, leastSide = 100_000, 128
	err := errors.Join(c.detectFlags.Validate(),
		failWhen(c.Images < 1 || c.Images > mostImages, "--images: %d is outside 1 to %d", c.Images, mostImages),
		failWhen(c.Side != 0 && c.Side < leastSide, "--side: %d pixels are too few, use %d or more", c.Side, leastSide))
	for _, path := range append(append([]string{}, c.Review...), c.Results...) {
		if _, missing := os.Stat(path); missing != nil {
			err = errors.Join(err, missing)
		}
	}
	return err
}

// run writes progress to stderr and the summary to stdout.
func (c *datasetCommand) run(ctx context.Context, stdout, stderr io.Writer) error {
	var clips []examples.Clip
	for _, path := range c.Clips {
		found, err := findClips(ctx, path, "")
		if err != nil {
			return err
		}
		for _, f := range found.clips {
			clips = append(clips, examples.Clip{Path: f.path, Size: f.size})
		}
		for _, f := range found.faults {
			fmt.Fprintf(stderr, "%s: %v\n", footage.SafePath(f.rel), f.err)
		}
	}
	results := c.Results
	if len(results) == 0 {
		results = c.Clips
	}
	list, err := examples.Gather(ctx, c.Review, results, clips)
	if err != nil {
		return err
	}
	net, _, err := engine.Detector(c.settings())
	if err != nil {
		return err
	}
	defer net.Close()
	weak, err := c.weakDetector(net.Info(), net)
	if err != nil {
		return err
	}
	m := newMeter(stderr, "dataset")
	s, err := examples.Make(ctx, list, examples.Options{
		Folder: c.Folder, Images: c.Images, Seed: c.Seed, Side: c.Side, Detector: weak,
		Open: func(ctx context.Context, path string) (examples.Frames, error) {
			return libav.Open(ctx, c.decoderFlags.config(), path)
		},
		Progress: func(done, all int) { m.show(float64(done), float64(all), "pictures", "") },
	})
	m.clear()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	return c.print(stdout, s)
}

// weakDetector finds what may be an animal, also with scores that the count uses only to continue a track.
func (c *datasetCommand) weakDetector(info detr.Info, net detect.Model) (*detect.Tiler, error) {
	grid := detect.Grid{Tile: cmp.Or(int(c.Tile), info.Tile), Overlap: cmp.Or(c.Overlap, info.Overlap)}
	if c.Tile == engine.WholeFrame {
		grid.Tile = 0
	}
	return detect.NewTiler(net, grid, count.WeakScore(cmp.Or(c.Threshold, info.Threshold)))
}

func (c *datasetCommand) print(w io.Writer, s examples.Summary) error {
	_, err := fmt.Fprintf(w, "%d pictures: %d cattle, %d other animals, %d regions that training leaves out; %d pictures without an animal.\n",
		s.Pictures, s.Cattle, s.Others, s.Ignored, s.Empty)
	if err == nil && s.Alike > 0 {
		_, err = fmt.Fprintf(w, "%d more are nearly equal to others and were left out.\n", s.Alike)
	}
	if err == nil && s.Skipped > 0 {
		_, err = fmt.Fprintf(w, "%d more cannot be cut, because their frames are damaged or missing.\n", s.Skipped)
	}
	if err == nil {
		_, err = fmt.Fprintf(w, "%s has %d pictures of %d flights.\n", c.Folder, s.Total, s.Flights)
	}
	if err == nil && s.Flights < leastFlights {
		_, err = fmt.Fprintln(w, "A comparison of models needs pictures of at least two flights: one to train with, one to compare by.")
	}
	return err
}

// leastFlights is one to train with and one to compare by.
const leastFlights = 2
