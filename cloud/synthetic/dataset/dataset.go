// Package dataset renders labelled pictures of cattle from above into a folder, as a COCO data set.
package dataset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"cattlecounter/cloud/synthetic/aerial"
)

// ErrOptions marks options outside their ranges, and a folder that is not empty.
var ErrOptions = errors.New("data set cannot be rendered")

// maxPictures bounds a data set: its file names have six digits.
const maxPictures = 999_999

// maxJobs bounds the painters, each of which has a canvas in memory.
const maxJobs = 64

// Options describe a data set. All are required.
type Options struct {
	Folder        string // new or empty; gets images/ and, last, annotations.json
	Images        int    // how many pictures, 1 to 999,999
	Seed          uint64 // the same seed gives the same pictures
	Width, Height int    // pixels, see aerial.CheckSize
	Jobs          int    // pictures that are drawn at the same time, 1 to 64
}

// Summary is what a data set holds.
type Summary struct {
	Pictures, Animals int
	Empty             int // pictures without an animal
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

func (o Options) validate() error {
	if o.Images < 1 || o.Images > maxPictures {
		return fmt.Errorf("%d pictures, want 1 to %d: %w", o.Images, maxPictures, ErrOptions)
	}
	if o.Jobs < 1 || o.Jobs > maxJobs {
		return fmt.Errorf("%d jobs, want 1 to %d: %w", o.Jobs, maxJobs, ErrOptions)
	}
	if err := aerial.CheckSize(o.Width, o.Height); err != nil {
		return fmt.Errorf("%w: %w", err, ErrOptions)
	}
	entries, err := os.ReadDir(o.Folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", err, ErrOptions)
	}
	if len(entries) > 0 {
		return fmt.Errorf("folder %s is not empty, choose a new one: %w", o.Folder, ErrOptions)
	}
	return nil
}

// Write renders the data set. annotations.json appears last and complete, so a folder without it is no data set. The
// error wraps ErrOptions, is the cause of ctx, or is of the disk.
func Write(ctx context.Context, o Options) (Summary, error) {
	if err := o.validate(); err != nil {
		return Summary{}, err
	}
	if err := os.MkdirAll(filepath.Join(o.Folder, "images"), 0o755); err != nil {
		return Summary{}, fmt.Errorf("data set: %w", err)
	}
	animals, err := o.paintAll(ctx)
	if err != nil {
		return Summary{}, err
	}
	set := o.describe(animals)
	if err := o.writeAnnotations(set); err != nil {
		return Summary{}, err
	}
	sum := Summary{Pictures: o.Images, Animals: len(set.Annotations)}
	for _, list := range animals {
		if len(list) == 0 {
			sum.Empty++
		}
	}
	return sum, nil
}

// paintAll draws every picture and returns the labelled animals of each.
func (o Options) paintAll(ctx context.Context) ([][]aerial.Animal, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	animals := make([][]aerial.Animal, o.Images)
	next := make(chan int)
	var painters sync.WaitGroup
	for range o.Jobs {
		painters.Go(func() {
			painter, err := aerial.NewPainter(o.Width, o.Height)
			if err != nil {
				stop(err)
				return
			}
			for i := range next {
				if animals[i], err = o.paint(painter, i); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	for i := 0; i < o.Images && ctx.Err() == nil; i++ {
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

func (o Options) paint(painter *aerial.Painter, index int) ([]aerial.Animal, error) {
	picture := painter.Paint(o.Seed, index)
	// Recordings differ in how hard they are compressed.
	const seal = 0x09E6
	quality := 60 + rand.New(rand.NewPCG(o.Seed^seal, uint64(index))).IntN(36)
	if err := writeJPEG(filepath.Join(o.Folder, "images", fileName(index)), picture.Image, quality); err != nil {
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

func (o Options) describe(animals [][]aerial.Animal) *coco {
	set := &coco{Info: cocoInfo{Description: "rendered views of cattle from above", Version: "1", Seed: o.Seed},
		Images: []cocoImage{}, Annotations: []cocoAnnotation{}, Categories: []cocoCategory{{1, "cattle"}}}
	for i, list := range animals {
		set.Images = append(set.Images, cocoImage{i + 1, fileName(i), o.Width, o.Height})
		for _, a := range list {
			set.Annotations = append(set.Annotations, cocoAnnotation{ID: len(set.Annotations) + 1, ImageID: i + 1, Category: 1, Box: a.Box, Area: a.Pixels})
		}
	}
	return set
}

// writeAnnotations writes annotations.json under another name, syncs it and renames it.
func (o Options) writeAnnotations(set *coco) error {
	f, err := os.CreateTemp(o.Folder, ".annotations-*")
	if err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	defer os.Remove(f.Name())
	err = json.NewEncoder(f).Encode(set)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	if err := os.Rename(f.Name(), filepath.Join(o.Folder, "annotations.json")); err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	return nil
}
