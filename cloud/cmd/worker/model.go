// Package modelcmd is the worker's `model` command: which detectors there are,
// whether they work, fetching others, and choosing one.
package modelcmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/footage"
)

// Command is the command line of `worker model`.
type Command struct {
	List   List   `cmd:"" help:"List the models there are; * marks the one a worker takes when told nothing."`
	Verify Verify `cmd:"" help:"Check a model: digests, loading, shapes, and real runs on a rendered picture."`
	Pull   Pull   `cmd:"" help:"Fetch a model from the Hugging Face hub, an address or a folder, check it, and keep it by name."`
	Use    Use    `cmd:"" help:"Choose the model that workers take from their next start on."`
}

// place is what every subcommand is told of where models are.
type place struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration of worker run; its data folder and worker.model count here too."`
	engine.StoreFlags
}

// where is what place stands for.
type where struct {
	store model.Store
	named string // worker.model
	conf  config.Worker
}

func (p place) read() (where, error) {
	c, err := config.Load(p.Config, os.Environ())
	if err != nil {
		return where{}, err
	}
	return where{store: p.Store(c.Data), named: c.Worker.Model, conf: c.Worker}, nil
}

// inference says where models run.
type inference struct {
	Provider detr.Provider `default:"cpu" placeholder:"NAME" help:"Where the model runs: cpu, cuda or tensorrt."`
	Device   int           `default:"0" placeholder:"N" help:"Number of the GPU."`
	Runtime  string        `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

func (i inference) options(w where, path string) detr.Options {
	return detr.Options{Path: path, Library: i.library(w), Provider: i.Provider, GPU: detr.GPU{Device: i.Device}}
}

func (i inference) library(w where) string { return cmp.Or(i.Runtime, w.conf.ONNXRuntimeLib) }

// Summary is what list and verify say about a model.
type Summary struct {
	Name      string         `json:"name"`
	Origin    model.Origin   `json:"origin"`
	Path      string         `json:"path"`
	InUse     bool           `json:"in_use"`
	Digest    footage.Digest `json:"digest,omitzero"` // SHA-256 of the network, as in results
	Size      int64          `json:"size,omitempty"`  // bytes of the network with its weights
	Family    string         `json:"family,omitempty"`
	Input     *Input         `json:"input,omitempty"`
	Classes   []string       `json:"classes,omitempty"` // that count; absent: all
	Threshold float64        `json:"threshold,omitempty"`
	Tile      int            `json:"tile,omitempty"` // pixels of the frame
	Overlap   float64        `json:"overlap,omitempty"`
	Source    *model.Source  `json:"source,omitempty"`
	Error     string         `json:"error,omitempty"` // it cannot be used
}

// Input is what the network takes. 0 stands for any.
type Input struct {
	Batch  int `json:"batch"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// String prints N x 3 x height x width in the way of people.
func (i *Input) String() string {
	if i == nil {
		return "-"
	}
	size, batch := "any size", "any batch"
	if i.Width > 0 && i.Height > 0 {
		size = fmt.Sprintf("%dx%d", i.Width, i.Height)
	}
	if i.Batch > 0 {
		batch = fmt.Sprintf("batch of %d", i.Batch)
	}
	return size + ", " + batch
}

// summary describes an entry, as far as can be seen without running it.
func summary(e model.Entry, info detr.Info, err error) Summary {
	s := Summary{Name: e.Name, Origin: e.Origin, Path: absolute(e.Path)}
	if err != nil {
		s.Error, s.Digest, s.Size = err.Error(), info.Digest, info.Size
		return s
	}
	if e.Origin == model.Path || e.Origin == model.Development {
		s.Name = info.Name // as its card says
	}
	batch := 0
	if info.Fixed {
		batch = info.Batch
	}
	s.Digest, s.Size, s.Family = info.Digest, info.Size, info.Family
	s.Input = &Input{Batch: batch, Width: info.Width, Height: info.Height}
	s.Classes, s.Threshold, s.Tile, s.Overlap = info.Cattle, info.Threshold, info.Tile, info.Overlap
	return s
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func short(d footage.Digest) string {
	if d.IsZero() {
		return "-"
	}
	return d.String()[:12]
}

func megabytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f MB", float64(n)/1e6)
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
