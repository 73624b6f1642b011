// Package runcmd is the worker's `run` command: taking jobs from the queue
// until it is told to stop.
package runcmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/worker"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/cloud/worker/process"
)

// Command is the command line of `worker run`.
type Command struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration, the same file as cloud-api's. Without it defaults and CATTLE_CLOUD_… variables count."`
	engine.StoreFlags
}

// Run works until ctx ends; the job at hand is then finished within worker.drain, or
// given back. When the memory is above worker.max_memory between two jobs, the process
// starts itself anew and Run does not return.
func (c *Command) Run(ctx context.Context, stderr io.Writer) error {
	conf, err := config.Load(c.Config, os.Environ())
	if err != nil {
		return err
	}
	log := conf.Log.Logger(stderr)
	err = c.work(ctx, conf, log)
	if !errors.Is(err, worker.ErrAnew) {
		return err
	}
	log.Debug("everything is closed", "end", err) // with the faults of closing, which the exec mends
	// From here on a signal ends the process, which has no job.
	if process.Release() || ctx.Err() != nil {
		return nil
	}
	return process.Exec()
}

// work opens everything, works, and closes everything.
func (c *Command) work(ctx context.Context, conf config.Config, log *slog.Logger) (err error) {
	if conf.Worker.ONNXRuntimeLib == "" {
		conf.Worker.ONNXRuntimeLib = os.Getenv("ONNXRUNTIME_LIB")
	}
	set := settings(conf)
	set.Store = c.Store(conf.Data)
	e, err := engine.Open(set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	log.Info("model loaded", "model", e.Model.Name, "digest", e.Model.Digest, "provider", e.Model.Provider,
		"tile", e.Model.Tile, "threshold", e.Model.Threshold)
	if err := os.MkdirAll(conf.CacheDir(), 0o750); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	l, err := store.OpenLedger(ctx, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	st, err := store.Open(ctx, conf, l, log)
	if err != nil {
		return err
	}
	log.Info("stores open", "ledger", l.DB().Name(), "store", conf.Store)
	w := worker.New(worker.Options{
		Name: name(), Ledger: l, Queue: st.Queue, Blobs: st.Blobs, Counter: e.Counter,
		CacheDir: conf.CacheDir(), CacheLimit: int64(conf.Worker.Cache), CacheSpare: int64(conf.Intake.MinFree),
		Lease: conf.Worker.Lease, MaxDeliveries: conf.Worker.MaxDeliveries,
		Drain: conf.Worker.Drain, Hurry: process.Second(),
		Anew: process.NewGuard(conf.Worker.MaxMemory, log).Due, Log: log,
	})
	return w.Run(ctx)
}

// settings maps the configuration, where 0 is "the model's own" for tile and overlap.
func settings(conf config.Config) engine.Settings {
	c := conf.Worker
	tile, overlap := c.Tile, c.Overlap
	if tile == 0 {
		tile = -1
	}
	if overlap == 0 {
		overlap = -1
	}
	return engine.Settings{
		Model: c.Model, Library: c.ONNXRuntimeLib, Provider: detr.Provider(c.Provider), GPU: gpu(conf),
		Tile: tile, Overlap: overlap, Threshold: c.Threshold, Batch: c.Batch, Threads: c.Threads, SampleFPS: c.SampleFPS,
	}
}

// gpu maps the GPU's options. Building engines takes minutes, so they are kept.
func gpu(conf config.Config) detr.GPU {
	c := conf.Worker
	g := detr.GPU{Device: c.Device, MemoryLimit: int64(c.GPUMemory), FP16: c.HalfPrecision}
	if c.Provider == string(detr.TensorRT) {
		g.EngineCache = cmp.Or(c.EngineCache, filepath.Join(conf.Data, "engines"))
	}
	return g
}

func name() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}
