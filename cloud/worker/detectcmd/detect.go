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
	"runtime"

	"cattlecounter/cloud/detect"
	"cattlecounter/cloud/detect/detr"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/video/still"
	"cattlecounter/cloud/worker/meter"
)

// Command is the command line of `worker detect`.
type Command struct {
	Images    string        `required:"" type:"existingdir" placeholder:"DIR" help:"Folder with the pictures (.jpg, .jpeg, .png)."`
	Out       string        `required:"" placeholder:"FILE" help:"Where the JSON lines go; - is standard output."`
	Model     string        `type:"path" env:"CATTLE_MODEL" placeholder:"PATH" help:"Model folder, or the model.onnx in it. Default: the project's own model."`
	Tile      int           `default:"-1" placeholder:"PX" help:"Side of the tiles in pixels; 0 looks at whole pictures. By default what the model recommends."`
	Overlap   float64       `default:"-1" placeholder:"PART" help:"Least overlap of neighbouring tiles, 0 to 0.9. By default what the model recommends."`
	Threshold float64       `default:"-1" placeholder:"SCORE" help:"Least score of a detection, 0 to 1. By default what the model recommends."`
	Provider  detr.Provider `default:"cpu" placeholder:"NAME" help:"Where the model runs: cpu, cuda or tensorrt."`
	Device    int           `default:"0" placeholder:"N" help:"Number of the GPU."`
	Batch     int           `default:"0" placeholder:"N" help:"Tiles per run of the model; 0 is a good value."`
	Workers   int           `default:"0" placeholder:"N" help:"Pictures looked at at the same time; 0 is one per core, or two on a GPU."`
	Runtime   string        `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

// ErrPictures is returned when some pictures could not be read. Lines for the
// others, and an error line for each of these, are in the output.
var ErrPictures = errors.New("some pictures could not be read")

// Line is one line of the output.
type Line struct {
	Image      string      `json:"image"`
	Detections []Detection `json:"detections,omitzero"` // absent with Error, else present even when empty
	Error      string      `json:"error,omitempty"`
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
	net, tiler, err := c.open()
	if err != nil {
		return err
	}
	defer net.Close()
	out, err := openOutput(c.Out, stdout)
	if err != nil {
		return err
	}
	defer out.discard()
	r := &run{folder: c.Images, names: names, out: out, faults: map[int]error{}, meter: meter.New(stderr, "detect")}
	p := detect.Pipeline{Source: r.next, Detector: tiler, Workers: c.workers()}
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
	fmt.Fprintf(stderr, "%d pictures, %d detections\n", len(names), r.boxes)
	if n := len(r.faults); n > 0 {
		return fmt.Errorf("%d of %d in %s: %w", n, len(names), c.Images, ErrPictures)
	}
	return nil
}

func (c *Command) workers() int {
	switch {
	case c.Workers > 0:
		return c.Workers
	case c.Provider == detr.CPU || c.Provider == "":
		return runtime.GOMAXPROCS(0) // knows the limits of a container
	}
	return 2
}

func (c *Command) open() (*detr.Model, *detect.Tiler, error) {
	path, err := model.Find(c.Model)
	if err != nil {
		return nil, nil, err
	}
	net, err := detr.Open(detr.Options{Path: path, Library: c.Runtime, Provider: c.Provider,
		GPU: detr.GPU{Device: c.Device}, Batch: c.Batch, Parallel: c.workers()})
	if err != nil {
		return nil, nil, err
	}
	info := net.Info()
	grid, threshold := detect.Grid{Tile: info.Tile, Overlap: info.Overlap}, info.Threshold
	if c.Tile >= 0 {
		grid.Tile = c.Tile
	}
	if c.Overlap >= 0 {
		grid.Overlap = c.Overlap
	}
	if c.Threshold >= 0 {
		threshold = c.Threshold
	}
	tiler, err := detect.NewTiler(net, grid, threshold)
	if err != nil {
		return nil, nil, errors.Join(err, net.Close())
	}
	return net, tiler, nil
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
