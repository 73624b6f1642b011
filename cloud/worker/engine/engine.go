// Package engine opens the decoder and the detector and puts them into a count.Counter, for the worker's commands and
// for its job loop.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/worker/process"
)

// WholeFrame as Settings.Tile looks at whole frames instead of tiles.
const WholeFrame = -1

// Settings say how to count. Zero values take what the model recommends, as in the configuration.
type Settings struct {
	Model     string      // a path or a name in Store; empty: see model.Store.Find
	Store     model.Store // where pulled models are
	Library   string      // ONNX Runtime's shared library; empty: see detr.FindLibrary
	Provider  detr.Provider
	GPU       detr.GPU
	Tile      int     // pixels, 0 for the model's own, or WholeFrame
	Overlap   float64 // 0 to 0.9, 0 for the model's own
	Threshold float64 // 0 to below 1, 0 for the model's own
	Batch     int     // tiles per run, 0 for a good value
	Threads   int     // cores to use, 0 for all
	SampleFPS float64 // frames to look at per second of footage
	Every     int     // frames per looked-at frame; above 0 it replaces SampleFPS
	Young     bool    // tell adults and young animals apart
	Decoder   libav.Config
}

// Engine is a loaded model with a Counter over it. Close it after use.
type Engine struct {
	Counter *count.Counter
	Model   report.Model
	net     *detr.Model
}

// Open loads the model for count. Errors are those of Detector.
func Open(s Settings) (*Engine, error) {
	found, err := s.Store.Find(s.Model)
	if err != nil {
		return nil, err
	}
	return s.open(found)
}

// open loads a model that was found, for count.
func (s Settings) open(found model.Entry) (*Engine, error) {
	net, m, err := s.load(found)
	if err != nil {
		return nil, err
	}
	tiler, err := newTiler(net, m, count.WeakScore(m.Threshold))
	if err != nil {
		return nil, err
	}
	tiler.Parallel(s.Workers(), s.leastTiles())
	c := count.New(count.Options{
		Open: func(ctx context.Context, src count.Source) (count.Decoder, error) {
			if src.Content != nil {
				return libav.OpenStream(ctx, s.Decoder, src.Content, src.Size)
			}
			return libav.Open(ctx, s.Decoder, src.Path)
		},
		Detector: tiler, Model: m, Input: net.Info().Width, Fixed: s.Tile != 0, SampleFPS: s.SampleFPS, Every: s.Every,
		Young: s.Young,
	})
	return &Engine{Counter: c, Model: m, net: net}, nil
}

// Detector loads the model for detection alone. Close the model after use.
// Errors are those of model.Store.Find, model.CheckSums and detr.Open.
func Detector(s Settings) (*detr.Model, *detect.Tiler, error) {
	found, err := s.Store.Find(s.Model)
	if err != nil {
		return nil, nil, err
	}
	net, m, err := s.load(found)
	if err != nil {
		return nil, nil, err
	}
	tiler, err := newTiler(net, m, m.Threshold)
	return net, tiler, err
}

func (s Settings) load(found model.Entry) (*detr.Model, report.Model, error) {
	if err := checkFiles(context.Background(), found); err != nil {
		return nil, report.Model{}, err
	}
	name := ""
	if found.Origin == model.Stored { // an operator knows the model by this name, not by the one on its card
		name = found.Name
	}
	if s.GPU.EngineCache != "" {
		if err := os.MkdirAll(s.GPU.EngineCache, 0o700); err != nil {
			return nil, report.Model{}, fmt.Errorf("folder for built engines: %w", err)
		}
	}
	net, err := detr.Open(detr.Options{
		Path: found.Path, Name: name, Library: s.Library, Provider: s.Provider, GPU: s.GPU,
		Batch: s.Batch, Parallel: s.Workers(),
	})
	if s.Provider != detr.CPU && s.Provider != "" {
		process.RestoreHandlers() // also after an error: the provider may have been loaded before it
	}
	if err != nil {
		return nil, report.Model{}, err
	}
	info := net.Info()
	m := report.Model{
		Name: info.Name, Digest: info.Digest, Provider: string(info.Provider),
		Threshold: info.Threshold, Tile: info.Tile, Overlap: info.Overlap,
	}
	return net, s.override(m), nil
}

// override puts the settings in the place of what the model recommends. In a report 0 stands for whole frames.
func (s Settings) override(m report.Model) report.Model {
	switch {
	case s.Tile == WholeFrame:
		m.Tile = 0
	case s.Tile != 0:
		m.Tile = s.Tile
	}
	m.Overlap = cmp.Or(s.Overlap, m.Overlap)
	m.Threshold = cmp.Or(s.Threshold, m.Threshold)
	return m
}

// checkFiles refuses a model of the project or the store whose files differ from the recorded ones: its results would
// have the name of another model.
func checkFiles(ctx context.Context, e model.Entry) error {
	if e.Origin != model.Stored && e.Origin != model.BuiltIn {
		return nil
	}
	if _, err := model.CheckSums(ctx, e.Dir()); err != nil {
		return fmt.Errorf("model %s in %s: %w; put the recorded files back, or remove the folder and pull the model again", e.Name, e.Dir(), err)
	}
	return nil
}

// newTiler puts a tiler over the network. After an error the network is closed.
func newTiler(net *detr.Model, m report.Model, threshold float64) (*detect.Tiler, error) {
	t, err := detect.NewTiler(net, detect.Grid{Tile: m.Tile, Overlap: m.Overlap}, threshold)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cut frames into tiles: %w", err), net.Close())
	}
	return t, nil
}

// Workers is how many frames are in detection at the same time: one per core, each with one thread, or two for a GPU.
func (s Settings) Workers() int {
	switch {
	case s.Provider != detr.CPU && s.Provider != "":
		return 2
	case s.Threads > 0:
		return s.Threads
	}
	return runtime.NumCPU()
}

// leastTiles is how many tiles are worth a run of their own.
func (s Settings) leastTiles() int {
	if s.Provider != detr.CPU && s.Provider != "" {
		return cmp.Or(s.Batch, detr.GPUBatch)
	}
	return 1
}

// Close frees the model.
func (e *Engine) Close() error { return e.net.Close() }
