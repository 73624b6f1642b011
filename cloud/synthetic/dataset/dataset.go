package simulatecmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"cattlecounter/cloud/synthetic/aerial"
)

// ErrDataset marks a data set that cannot be written as asked.
var ErrDataset = errors.New("data set cannot be rendered")

// maxPictures bounds a data set: its file names have six digits.
const maxPictures = 999_999

// maxJobs bounds the painters, each of which holds its own canvas.
const maxJobs = 64

// RenderCommand is the command line of `worker render`.
type RenderCommand struct {
	Out    string `required:"" type:"path" placeholder:"FOLDER" help:"New or empty folder; gets images/ and, last, annotations.json (COCO)."`
	Images int    `default:"100" help:"How many pictures."`
	Seed   uint64 `default:"1" help:"The same seed gives the same pictures."`
	Size   Size   `default:"640x640" help:"Width and height in pixels."`
	Jobs   int    `default:"1" help:"Pictures that are drawn at the same time."`
}

// coco is the part of the COCO format that object detection uses.
type coco struct {
	Info        cocoInfo         `json:"info"`
	Images      []cocoImage      `json:"images"`
	Annotations []cocoAnnotation `json:"annotations"`
	Categories  []cocoCategory   `json:"categories"`
}

type cocoInfo struct {
	Description string `json:"description"`
	Version     string `json:"version"`
	Seed        uint64 `json:"seed"`
}

type cocoImage struct {
	ID       int    `json:"id"`
	FileName string `json:"file_name"` // below images/
	Width    int    `json:"width"`
	Height   int    `json:"height"`
}

type cocoAnnotation struct {
	ID       int        `json:"id"`
	ImageID  int        `json:"image_id"`
	Category int        `json:"category_id"`
	Box      [4]float64 `json:"bbox"` // left, top, width, height in pixels
	Area     float64    `json:"area"` // of the visible animal in pixels
	Crowd    int        `json:"iscrowd"`
}

type cocoCategory struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

func (c *RenderCommand) validate() error {
	if c.Images < 1 || c.Images > maxPictures {
		return fmt.Errorf("%d pictures, want 1 to %d: %w", c.Images, maxPictures, ErrDataset)
	}
	if c.Jobs < 1 || c.Jobs > maxJobs {
		return fmt.Errorf("%d jobs, want 1 to %d: %w", c.Jobs, maxJobs, ErrDataset)
	}
	if err := aerial.CheckSize(c.Size.Width, c.Size.Height); err != nil {
		return fmt.Errorf("%w: %w", err, ErrDataset)
	}
	entries, err := os.ReadDir(c.Out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", err, ErrDataset)
	}
	if len(entries) > 0 {
		return fmt.Errorf("folder %s is not empty, name a new one: %w", c.Out, ErrDataset)
	}
	return nil
}

// Run renders the data set. annotations.json appears last and whole, so a
// folder without it is not a data set. A line about the result goes to stderr.
func (c *RenderCommand) Run(ctx context.Context, stderr io.Writer) error {
	if err := c.validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.Out, "images"), 0o755); err != nil {
		return fmt.Errorf("data set: %w", err)
	}
	animals, err := c.paintAll(ctx)
	if err != nil {
		return err
	}
	set := c.describe(animals)
	if err := c.publish(set); err != nil {
		return err
	}
	empty := 0
	for _, list := range animals {
		if len(list) == 0 {
			empty++
		}
	}
	_, err = fmt.Fprintf(stderr, "%s: %d pictures, %d animals, %d pictures without any\n", c.Out, c.Images, len(set.Annotations), empty)
	return err
}

// paintAll draws every picture and returns the labelled animals of each.
func (c *RenderCommand) paintAll(ctx context.Context) ([][]aerial.Animal, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	animals := make([][]aerial.Animal, c.Images)
	next := make(chan int)
	var painters sync.WaitGroup
	for range c.Jobs {
		painters.Go(func() {
			painter, err := aerial.NewPainter(c.Size.Width, c.Size.Height)
			if err != nil {
				stop(err)
				return
			}
			for i := range next {
				if animals[i], err = c.paint(painter, i); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	for i := 0; i < c.Images && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	painters.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return animals, nil
}

func fileName(index int) string { return fmt.Sprintf("%06d.jpg", index+1) }

func (c *RenderCommand) paint(painter *aerial.Painter, index int) ([]aerial.Animal, error) {
	picture := painter.Paint(c.Seed, index)
	// Recordings differ in how hard they are compressed.
	const seal = 0x09E6
	quality := 60 + rand.New(rand.NewPCG(c.Seed^seal, uint64(index))).IntN(36)
	if err := writeJPEG(filepath.Join(c.Out, "images", fileName(index)), picture.Image, quality); err != nil {
		return nil, err
	}
	labelled := []aerial.Animal{}
	for _, a := range picture.Animals {
		if a.Labelled() {
			labelled = append(labelled, a)
		}
	}
	return labelled, nil
}

func writeJPEG(path string, m image.Image, quality int) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	err = jpeg.Encode(f, m, &jpeg.Options{Quality: quality})
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("picture %s: %w", path, err)
	}
	return nil
}

func (c *RenderCommand) describe(animals [][]aerial.Animal) *coco {
	set := &coco{Info: cocoInfo{Description: "rendered views of cattle from above", Version: "1", Seed: c.Seed},
		Images: []cocoImage{}, Annotations: []cocoAnnotation{}, Categories: []cocoCategory{{1, "cattle"}}}
	for i, list := range animals {
		set.Images = append(set.Images, cocoImage{i + 1, fileName(i), c.Size.Width, c.Size.Height})
		for _, a := range list {
			set.Annotations = append(set.Annotations, cocoAnnotation{ID: len(set.Annotations) + 1, ImageID: i + 1, Category: 1, Box: a.Box, Area: a.Pixels})
		}
	}
	return set
}

// publish writes annotations.json under another name, syncs it and renames it.
func (c *RenderCommand) publish(set *coco) error {
	f, err := os.CreateTemp(c.Out, ".annotations-*")
	if err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	defer os.Remove(f.Name())
	err = json.NewEncoder(f).Encode(set)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(c.Out, "annotations.json")); err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	return nil
}
