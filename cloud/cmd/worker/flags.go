package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/settings"
)

// storeFlags say where the store of models is, in the same way for every command.
type storeFlags struct {
	Models string `env:"CATTLE_MODELS" type:"path" placeholder:"DIR" help:"Folder of the pulled models. Default: models in the data folder."`
}

// store returns the store of models. data is the data folder; empty stands for the data folder of a worker without
// a configuration file.
func (f storeFlags) store(data string) model.Store {
	if f.Models != "" {
		return model.Store{Dir: f.Models}
	}
	if data == "" {
		data = cmp.Or(os.Getenv(config.EnvPrefix+"_DATA"), config.Default().Data)
	}
	return model.Store{Dir: filepath.Join(data, model.StoreFolder)}
}

// runtimeFlag says which ONNX Runtime to load.
type runtimeFlag struct {
	Runtime string `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

// deviceFlags say on what the model runs.
type deviceFlags struct {
	Provider detr.Provider `default:"cpu" placeholder:"NAME" help:"Where the model runs: cpu, cuda or tensorrt."`
	Device   int           `default:"0" placeholder:"N" help:"Number of the GPU."`
}

// tileFlag is the side of the tiles as engine.Settings has it: pixels, 0 for the model's own, or engine.WholeFrame.
type tileFlag int

const wholeFrame = "whole"

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *tileFlag) UnmarshalText(b []byte) error {
	if string(b) == wholeFrame {
		*f = engine.WholeFrame
		return nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 0 {
		return fmt.Errorf("%q is not a tile; want a number of pixels, 0 for the model's own, or %q for whole frames",
			b, wholeFrame)
	}
	*f = tileFlag(n)
	return nil
}

// detectFlags are the settings of detection as command-line options. As in the configuration of worker run, 0 takes
// what the model recommends.
type detectFlags struct {
	Model string `env:"CATTLE_MODEL" placeholder:"NAME|PATH" help:"Name of a pulled model, or a model folder, or the model.onnx in it. Default: the model that worker model use chose, else the project's own."`
	storeFlags
	deviceFlags
	runtimeFlag
	Tile      tileFlag `default:"0" placeholder:"PX" help:"Side of the tiles in pixels. 0: what the model recommends; whole: no tiles, whole frames."`
	Overlap   float64  `default:"0" placeholder:"PART" help:"Least overlap of neighboring tiles, up to 0.9. 0: what the model recommends."`
	Threshold float64  `default:"0" placeholder:"SCORE" help:"Least score of an animal, below 1. 0: what the model recommends."`
	Batch     int      `default:"0" placeholder:"N" help:"Tiles per run of the model. 0: automatic."`
	Threads   int      `default:"0" placeholder:"N" help:"Cores to use. 0: all."`
}

// Validate implements kong's check of a command's options, by the rules of the configuration.
func (f *detectFlags) Validate() error {
	return errors.Join(
		failWhen(f.Tile > 0 && f.Tile < minTile, "--tile: %d pixels are too few, use %d or more", f.Tile, minTile),
		failWhen(!(f.Overlap >= 0 && f.Overlap <= 0.9), "--overlap: %g is outside 0 to 0.9", f.Overlap),
		failWhen(!(f.Threshold >= 0 && f.Threshold < 1), "--threshold: %g is outside 0 to 1", f.Threshold),
		failWhen(f.Device < 0, "--device: %d is negative", f.Device),
		failWhen(f.Batch < 0, "--batch: %d is negative; 0 means automatic", f.Batch),
		failWhen(f.Threads < 0, "--threads: %d is negative; 0 means all cores", f.Threads),
	)
}

const minTile = 32 // pixels

func failWhen(bad bool, format string, v ...any) error {
	if bad {
		return fmt.Errorf(format, v...)
	}
	return nil
}

// settings turns the options into settings of the engine.
func (f *detectFlags) settings() engine.Settings {
	return engine.Settings{
		Model: f.Model, Store: f.store(""), Library: f.Runtime,
		Provider: f.Provider, GPU: detr.GPU{Device: f.Device},
		Tile: int(f.Tile), Overlap: f.Overlap, Threshold: f.Threshold,
		Batch: f.Batch, Threads: f.Threads,
	}
}

// countFlags are the settings of counting as command-line options.
type countFlags struct {
	detectFlags
	Every int `default:"0" placeholder:"N" help:"Look at the whole of one frame in N. 0: where a look pays, see --sample-fps."`
	decoderFlags
	Young     bool    `help:"Tell adults and young animals apart, by their length relative to the herd. Only for a camera that looks straight down."`
	SampleFPS float64 `name:"sample-fps" default:"3" placeholder:"X" help:"Looks at one place per second of footage at most."`
}

// decoderFlags say how footage is decoded. The defaults are those of the configuration.
type decoderFlags struct {
	Hardware  string            `enum:",cuda,vaapi" default:"" placeholder:"NAME" help:"Decode by a GPU: cuda or vaapi. Default: by the processor."`
	GPUPath   string            `name:"hardware-device" placeholder:"DEVICE" help:"Number (cuda) or path (vaapi) of the decoding GPU. Default: the first one."`
	Isolation string            `enum:"strict,relaxed" default:"strict" placeholder:"HOW" help:"strict: a kernel that cannot isolate the decoder is an error; relaxed: decode anyway."`
	MaxPixels int64             `default:"0" placeholder:"N" help:"Refuse clips with larger pictures. 0: 50 million."`
	MaxMemory settings.ByteSize `default:"0" placeholder:"SIZE" help:"Memory of the decoder. 0: 4GiB."`
}

func (f *decoderFlags) config() libav.Config {
	c := libav.Config{Limits: libav.DefaultLimits(), Hardware: f.Hardware, Device: f.GPUPath, Relaxed: f.Isolation == config.IsolationRelaxed}
	c.Limits.Pixels = cmp.Or(f.MaxPixels, c.Limits.Pixels)
	c.Limits.Memory = cmp.Or(f.MaxMemory, c.Limits.Memory)
	return c
}

// Validate implements kong's check of a command's options.
func (f *countFlags) Validate() error {
	return errors.Join(f.detectFlags.Validate(),
		failWhen(f.MaxPixels < 0, "--max-pixels: %d is negative", f.MaxPixels),
		failWhen(f.MaxMemory != 0 && f.MaxMemory < 64<<20, "--max-memory: %s is less than 64MiB", f.MaxMemory),
		failWhen(f.Every < 0, "--every: %d is negative", f.Every),
		failWhen(!(f.SampleFPS > 0 && f.SampleFPS <= 120), "--sample-fps: %g is outside 0 to 120", f.SampleFPS))
}

// settings turns the options into settings of the engine.
func (f *countFlags) settings() engine.Settings {
	s := f.detectFlags.settings()
	s.Every, s.SampleFPS, s.Young, s.Decoder = f.Every, f.SampleFPS, f.Young, f.decoderFlags.config()
	return s
}
