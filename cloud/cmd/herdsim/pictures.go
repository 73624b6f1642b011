package main

import (
	"context"
	"fmt"
	"io"

	"cattlecounter/cloud/synthetic/dataset"
)

// picturesCommand is `herdsim pictures`.
type picturesCommand struct {
	Out    string    `required:"" type:"path" placeholder:"FOLDER" help:"New or empty folder; gets images/ and, last, annotations.json (COCO)."`
	Images int       `default:"100" help:"How many pictures."`
	Seed   uint64    `default:"1" help:"The same seed gives the same pictures."`
	Size   frameSize `default:"640x640" help:"Width and height in pixels."`
	Jobs   int       `default:"1" help:"Pictures that are drawn at the same time."`
}

// run renders the data set. A line about the result goes to stderr.
func (c *picturesCommand) run(ctx context.Context, stderr io.Writer) error {
	sum, err := dataset.Write(ctx, dataset.Options{
		Folder: c.Out, Images: c.Images, Seed: c.Seed, Width: c.Size.Width, Height: c.Size.Height, Jobs: c.Jobs,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stderr, "%s: %d pictures, %d animals, %d pictures without any\n", c.Out, sum.Pictures,
		sum.Animals, sum.Empty)
	return err
}
