package main

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
	"cattlecounter/shared/footage"
)

// modelCommand is `worker model`: it lists, verifies and compares detectors, pulls others, and chooses one.
type modelCommand struct {
	List    modelList    `cmd:"" help:"List the models; * marks the one that a worker uses by default."`
	Verify  modelVerify  `cmd:"" help:"Check a model: digests, loading, shapes, and real runs on a stored picture."`
	Pull    modelPull    `cmd:"" help:"Fetch a model from the Hugging Face hub, a URL or a folder, check it, and store it by name."`
	Push    modelPush    `cmd:"" help:"Copy a model into a repository of the Hugging Face hub."`
	Compare modelCompare `cmd:"" help:"Compare two models on labeled pictures, and record which one is better."`
	Use     modelUse     `cmd:"" help:"Choose the model that workers use from their next start on."`
}

// modelFlags are the options that every subcommand has.
type modelFlags struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration of worker run; its data folder and worker.model apply here too."`
	storeFlags
	runtimeFlag
}

// modelContext is what modelFlags and the configuration name.
type modelContext struct {
	store      model.Store
	configured string // worker.model
	library    string // ONNX Runtime
}

func (f modelFlags) load() (modelContext, error) {
	c, err := config.Load(f.Config, os.Environ())
	if err != nil {
		return modelContext{}, err
	}
	return modelContext{
		store: f.store(c.Data), configured: c.Worker.Model, library: cmp.Or(f.Runtime, c.Worker.ONNXRuntimeLib),
	}, nil
}

// modelSummary is what list and verify print about a model.
type modelSummary struct {
	Name      string         `json:"name"`
	Origin    model.Origin   `json:"origin"`
	Path      string         `json:"path"`
	InUse     bool           `json:"in_use"`
	Digest    footage.Digest `json:"digest,omitzero"` // SHA-256 of the network, as in results
	Size      int64          `json:"size,omitempty"`  // bytes of the network with its weights
	Family    string         `json:"family,omitempty"`
	Input     *modelInput    `json:"input,omitempty"`
	Classes   []string       `json:"classes,omitempty"` // that count; absent: all
	Threshold float64        `json:"threshold,omitempty"`
	Tile      int            `json:"tile,omitempty"` // pixels of the frame
	Overlap   float64        `json:"overlap,omitempty"`
	Source    *model.Source  `json:"source,omitempty"`
	// FinetunedFrom is the model that this one continues, as NAME@SHA256, by its card.
	FinetunedFrom string `json:"finetuned_from,omitempty"`
	Error         string `json:"error,omitempty"` // why the model cannot be used
}

// modelInput is the shape of the network's input. 0 stands for any.
type modelInput struct {
	Batch  int `json:"batch"`
	Width  int `json:"width"`
	Height int `json:"height"`
}

// String returns the shape for people, such as "640x640, any batch".
func (i *modelInput) String() string {
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

// summarize describes an entry from its files alone, without a run. err is what reading them ended with.
func summarize(e model.Entry, info detr.Info, err error) modelSummary {
	s := modelSummary{Name: e.Name, Origin: e.Origin, Path: absolutePath(e.Path)}
	if err != nil {
		s.Error, s.Digest, s.Size = err.Error(), info.Digest, info.Size
		return s
	}
	if e.Origin == model.Path || e.Origin == model.Development {
		s.Name = info.Name // the name on its card
	}
	batch := 0
	if info.Fixed {
		batch = info.Batch
	}
	s.Digest, s.Size, s.Family = info.Digest, info.Size, info.Family
	s.Input = &modelInput{Batch: batch, Width: info.Width, Height: info.Height}
	s.Classes, s.Threshold, s.Tile, s.Overlap = info.Cattle, info.Threshold, info.Tile, info.Overlap
	s.FinetunedFrom = info.FinetunedFrom
	return s
}

// absolutePath returns path itself when the working folder is unknown.
func absolutePath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func shortDigest(d footage.Digest) string {
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
