package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/worker"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/cloud/worker/heartbeat"
	"cattlecounter/cloud/worker/process"
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/version"
	"cattlecounter/shared/wire"
)

// runCommand is `worker run`: it counts the jobs of the queue until it is stopped.
type runCommand struct {
	Config string `type:"path" placeholder:"FILE" help:"Configuration, the same file as cloud-api's. Default: no file; defaults and CATTLE_CLOUD_… variables apply."`
	storeFlags
}

// run counts jobs until ctx ends. The current job is then finished within worker.drain, or returned to the queue.
// When the memory is above worker.max_memory between two jobs, the process restarts itself and run does not return.
func (c *runCommand) run(ctx context.Context, stderr io.Writer) error {
	conf, err := config.Load(c.Config, os.Environ())
	if err != nil {
		return err
	}
	log, stop, err := tracing.Start(ctx, tracing.Options{Service: "worker", Version: version.String(), Environ: os.Environ(),
		Log: conf.Log.Logger(stderr)})
	if err != nil {
		return err
	}
	defer stop()
	err = c.work(ctx, conf, log)
	if !errors.Is(err, worker.ErrRestart) {
		return err
	}
	log.Debug("worker closed before its restart", "err", err) // errors of closing end with the process image
	// From here on a signal ends the process at once: it has no job.
	stop() // the restart does not come back
	if process.Release() || ctx.Err() != nil {
		return nil
	}
	return process.Restart()
}

// work opens model and stores, counts jobs, and closes what it opened.
func (c *runCommand) work(ctx context.Context, conf config.Config, log *slog.Logger) (err error) {
	if conf.Worker.ONNXRuntimeLib == "" {
		conf.Worker.ONNXRuntimeLib = os.Getenv("ONNXRUNTIME_LIB")
	}
	defaultLines, err := readLines(conf.Worker.Lines)
	if err != nil {
		return fmt.Errorf("worker.lines: %w", err)
	}
	set := engineSettings(conf)
	set.Store = c.store(conf.Data)
	if err := checkDecoder(ctx, set.Decoder, log); err != nil {
		return err
	}
	shelf, err := engine.OpenShelf(ctx, set, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shelf.Close()) }()
	m := shelf.Engine().Model
	log.Info("model loaded", "model", m.Name, "digest", m.Digest, "provider", m.Provider, "tile", m.Tile, "threshold", m.Threshold)
	if err := os.MkdirAll(conf.CacheDir(), 0o750); err != nil {
		return fmt.Errorf("create the cache folder: %w", err)
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
	beat := heartbeat.New(conf.Worker.Heartbeat, log)
	defer beat.Remove()
	name := workerName()
	presence := worker.NewPresence(name, l.Workers, shelf.Installed, log)
	defer presence.End()
	looking, stopLooking := context.WithCancel(ctx)
	var looks sync.WaitGroup
	looks.Go(func() { shelf.Run(looking) })
	defer looks.Wait()
	defer stopLooking()
	w := worker.New(worker.Options{
		Name: name, Jobs: l.Jobs, Attempts: l.Attempts, Flights: l.Flights, Queue: st.Queue, Blobs: st.Blobs,
		Models: l.Models, Shelf: models{shelf},
		Lines: l.Lines, DefaultLines: defaultLines,
		Sheets: conf.Worker.Evidence.Sheets, Video: videoWriter(conf),
		CacheDir: conf.CacheDir(), CacheLimit: int64(conf.Worker.Cache), CacheSpare: int64(conf.Intake.MinFree),
		Lease: conf.Worker.Lease, MaxDeliveries: conf.Worker.MaxDeliveries,
		Drain: conf.Worker.Drain, StopNow: process.SecondSignal(),
		RestartDue: process.NewMemoryGuard(conf.Worker.MaxMemory, log).RestartDue,
		Beat: func(next time.Duration) {
			beat.Beat(next)
			presence.Beat(next)
		},
		Log: log,
	})
	return w.Run(ctx)
}

// models is the shelf of the engine for the worker.
type models struct{ *engine.Shelf }

// Counter implements worker.Shelf.
func (m models) Counter(ref wire.ModelRef) (worker.Counter, error) {
	c, err := m.Shelf.Counter(ref)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// engineSettings maps the configuration.
func engineSettings(conf config.Config) engine.Settings {
	c := conf.Worker
	return engine.Settings{
		Model: c.Model, Library: c.ONNXRuntimeLib, Provider: detr.Provider(c.Provider), GPU: gpuSettings(conf),
		Tile: c.Tile, Overlap: c.Overlap, Threshold: c.Threshold, Batch: c.Batch, Threads: c.Threads, SampleFPS: c.SampleFPS,
		Young:   c.Young,
		Decoder: decoderSettings(c.Decoder),
	}
}

// videoWriter writes annotated videos, nil when the configuration wants none.
func videoWriter(conf config.Config) func(path string) worker.VideoFunc {
	if !conf.Worker.Evidence.Video {
		return nil
	}
	return func(path string) worker.VideoFunc { return engine.VideoFile(path) }
}

// decoderSettings maps the decoder's options.
func decoderSettings(c config.Decoder) libav.Config {
	return libav.Config{
		Limits: libav.Limits{
			Pixels: c.MaxPixels, Frames: c.MaxFrames, Duration: c.MaxDuration, Memory: c.MaxMemory, CPU: c.MaxCPU, Stall: c.Stall,
		},
		Hardware: c.Hardware, Device: c.Device, Relaxed: c.Isolation == config.IsolationRelaxed,
	}
}

// checkDecoder logs how footage is isolated. A machine that cannot decode as configured is an error.
func checkDecoder(ctx context.Context, c libav.Config, log *slog.Logger) error {
	i, err := libav.Check(ctx, c)
	if err != nil {
		return fmt.Errorf("%w; see worker.decoder in the configuration", err)
	}
	if !i.Seccomp {
		log.Warn("the kernel cannot isolate the decoder; crafted footage can do what this worker may do",
			"seccomp", i.Seccomp, "landlock", i.Landlock)
		return nil
	}
	log.Info("decoder ready", "seccomp", i.Seccomp, "landlock", i.Landlock, "hardware", c.Hardware)
	return nil
}

// gpuSettings maps the GPU's options. Building TensorRT's engines takes minutes, so they are stored.
func gpuSettings(conf config.Config) detr.GPU {
	c := conf.Worker
	g := detr.GPU{Device: c.Device, MemoryLimit: int64(c.GPUMemory), FP16: c.HalfPrecision}
	if c.Provider == string(detr.TensorRT) {
		g.EngineCache = cmp.Or(c.EngineCache, filepath.Join(conf.Data, "engines"))
	}
	return g
}

// workerName is unique among the workers of one queue.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}
