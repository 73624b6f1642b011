// Package engine puts the real decoder and the real detector into a
// count.Counter, for the worker's commands and for its job loop.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video/opencv"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/worker/process"
)

// Settings say how to count. Zero values take what the model recommends.
type Settings struct {
	Model     string      // a path or a name in Store; empty: see model.Store.Find
	Store     model.Store // where pulled models are
	Library   string      // ONNX Runtime's shared library
	Provider  detr.Provider
	GPU       detr.GPU
	Tile      int     // pixels; below 0 is the model's own, 0 whole frames
	Overlap   float64 // below 0 is the model's own
	Threshold float64 // 0 or below is the model's own
	Batch     int     // tiles per run
	Threads   int     // cores to use, 0 for all
	SampleFPS float64
	Every     int // frames per looked-at frame, above 0 in place of SampleFPS
}

// StoreFlags say where the store of models is, in the same way for every
// command: --models, else models in the data folder.
type StoreFlags struct {
	Models string `env:"CATTLE_MODELS" type:"path" placeholder:"DIR" help:"Folder of the models that worker model pull fetched. Default: models in the data folder."`
}

// Store returns the store; data is the data folder, empty for the one that a
// worker without a configuration has.
func (f StoreFlags) Store(data string) model.Store {
	if f.Models != "" {
		return model.Store{Dir: f.Models}
	}
	if data == "" {
		data = cmp.Or(os.Getenv(config.EnvPrefix+"_DATA"), config.Default().Data)
	}
	return model.Store{Dir: filepath.Join(data, model.StoreFolder)}
}

// DetectFlags are the Settings of detection as command-line options.
type DetectFlags struct {
	Model string `env:"CATTLE_MODEL" placeholder:"NAME|PATH" help:"Name of a pulled model, or a model folder, or the model.onnx in it. Default: what worker model use chose, else the project's own."`
	StoreFlags
	Tile      int           `default:"-1" placeholder:"PX" help:"Side of the tiles in pixels; 0 looks at whole frames. By default what the model recommends."`
	Overlap   float64       `default:"-1" placeholder:"PART" help:"Least overlap of neighbouring tiles, 0 to 0.9. By default what the model recommends."`
	Threshold float64       `default:"-1" placeholder:"SCORE" help:"Least score of an animal, above 0 and below 1. By default what the model recommends."`
	Provider  detr.Provider `default:"cpu" placeholder:"NAME" help:"Where the model runs: cpu, cuda or tensorrt."`
	Device    int           `default:"0" placeholder:"N" help:"Number of the GPU."`
	Batch     int           `default:"0" placeholder:"N" help:"Tiles per run of the model; 0 is a good value."`
	Threads   int           `default:"0" placeholder:"N" help:"Cores to use; 0 is all."`
	Runtime   string        `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

// Settings turns the options into Settings.
func (f DetectFlags) Settings() Settings {
	return Settings{
		Model: f.Model, Store: f.Store(""), Library: f.Runtime, Provider: f.Provider, GPU: detr.GPU{Device: f.Device}, Tile: f.Tile, Overlap: f.Overlap,
		Threshold: f.Threshold, Batch: f.Batch, Threads: f.Threads,
	}
}

// Flags are the Settings of counting as command-line options.
type Flags struct {
	DetectFlags
	Every     int     `default:"0" placeholder:"N" help:"Look at one frame in N; 0 chooses by --sample-fps."`
	SampleFPS float64 `name:"sample-fps" default:"3" placeholder:"X" help:"Frames to look at per second of footage."`
}

// Settings turns the options into Settings.
func (f Flags) Settings() Settings {
	s := f.DetectFlags.Settings()
	s.Every, s.SampleFPS = f.Every, f.SampleFPS
	return s
}

// Engine is a loaded model with a Counter over it. Close it after use.
type Engine struct {
	Counter *count.Counter
	Model   report.Model
	net     *detr.Model
}

// Open loads the model for count. Errors are those of Detector.
func Open(s Settings) (*Engine, error) {
	net, m, err := s.load()
	if err != nil {
		return nil, err
	}
	tiler, err := tile(net, m, count.WeakScore(m.Threshold))
	if err != nil {
		return nil, err
	}
	c := count.New(count.Options{
		Open: func(p string) (count.Decoder, error) { return opencv.Open(p) },
		OpenStream: func(url string, r io.ReaderAt, size int64) (count.Decoder, error) {
			return opencv.OpenStream(url, r, size)
		},
		Detector: tiler, Model: m, SampleFPS: s.SampleFPS, Every: s.Every, Workers: s.Workers(),
	})
	return &Engine{Counter: c, Model: m, net: net}, nil
}

// Detector loads the model for detection alone. Close the model after use.
// Errors are those of model.Store.Find, model.CheckSums and detr.Open.
func Detector(s Settings) (*detr.Model, *detect.Tiler, error) {
	net, m, err := s.load()
	if err != nil {
		return nil, nil, err
	}
	tiler, err := tile(net, m, m.Threshold)
	return net, tiler, err
}

func (s Settings) load() (*detr.Model, report.Model, error) {
	found, err := s.Store.Find(s.Model)
	if err != nil {
		return nil, report.Model{}, err
	}
	if err := intact(found); err != nil {
		return nil, report.Model{}, err
	}
	name := ""
	if found.Origin == model.Stored { // people know it by its name in the store, whatever its card says
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
		process.Again() // also when the provider loaded and something else failed
	}
	if err != nil {
		return nil, report.Model{}, err
	}
	info := net.Info()
	m := report.Model{
		Name: info.Name, Digest: info.Digest, Provider: string(info.Provider),
		Threshold: info.Threshold, Tile: info.Tile, Overlap: info.Overlap,
	}
	if s.Tile >= 0 {
		m.Tile = s.Tile
	}
	if s.Overlap >= 0 {
		m.Overlap = s.Overlap
	}
	if s.Threshold > 0 {
		m.Threshold = s.Threshold
	}
	return net, m, nil
}

// intact refuses a model that the project or the store keeps and whose files are
// not those recorded: its results would bear the name of another.
func intact(e model.Entry) error {
	if e.Origin != model.Stored && e.Origin != model.BuiltIn {
		return nil
	}
	if _, err := model.CheckSums(context.Background(), e.Dir()); err != nil {
		return fmt.Errorf("model %s in %s: %w; put the recorded files back, or remove the folder and pull the model again", e.Name, e.Dir(), err)
	}
	return nil
}

// tile puts the tiler over the network, or frees it.
func tile(net *detr.Model, m report.Model, threshold float64) (*detect.Tiler, error) {
	t, err := detect.NewTiler(net, detect.Grid{Tile: m.Tile, Overlap: m.Overlap}, threshold)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tiling: %w", err), net.Close())
	}
	return t, nil
}

// Workers is how many frames are in detection at once: one per core, each with
// one thread, or two that keep a GPU busy.
func (s Settings) Workers() int {
	switch {
	case s.Provider != detr.CPU && s.Provider != "":
		return 2
	case s.Threads > 0:
		return s.Threads
	}
	return runtime.NumCPU()
}

// Close frees the model.
func (e *Engine) Close() error { return e.net.Close() }
