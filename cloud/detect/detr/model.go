// Package detr runs detectors of the DETR family through ONNX Runtime.
//
// A model is a folder with model.onnx and, as far as they are needed, a card
// of the project's own (cattlecounter.yaml, see Card) and the Hugging Face
// files config.json and preprocessor_config.json. What the network takes and
// gives is read from the network file; see signature.go for the families.
//
// A bare model.onnx is taken as trained on COCO: values 0..1 in the order red,
// green, blue, stretched to the input size, and every animal class counts.
//
// The CUDA provider replaces the signal handlers of the process when it loads.
// A program that drains on SIGTERM must therefore take up its signals again
// (signal.Notify) after Open has returned, and check with a test on a GPU
// machine that the signal still arrives.
package detr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"cattlecounter/cloud/detect"
	"cattlecounter/shared/footage"
)

// Options say what to load and how to run it.
type Options struct {
	Path     string   // model folder, or the network file in it
	Library  string   // ONNX Runtime's shared library; empty: see FindLibrary
	Provider Provider // empty is CPU
	GPU      GPU
	// Threads is how many threads one run uses, 0 for one. One is best when
	// several runs go on at the same time, as detect.Pipeline has them.
	Threads int
	// Batch is how many regions one run takes at most, 0 for CPUBatch or
	// GPUBatch. A network with a fixed batch size overrides it.
	Batch int
	// Parallel is how many runs may go on at the same time, 0 for one; further
	// calls of DetectRegions wait. Each has its own input memory.
	Parallel int
}

// Regions per run unless told otherwise. On a CPU larger batches only take more
// memory (measured with 416 pixel tiles: 1 to 4 are equally fast, 9 is slower);
// a GPU wants work enough for all its units.
const (
	CPUBatch = 2
	GPUBatch = 8
)

// Info describes a loaded model, for results and logs.
type Info struct {
	Name      string
	File      string         // path of the network
	Digest    footage.Digest // SHA-256 of the network file
	Provider  Provider
	Family    string
	Width     int // pixels of the input, 0 when the network takes any
	Height    int
	Tile      int     // recommended side of tiles in pixels of the frame
	Overlap   float64 // recommended overlap of tiles
	Threshold float64 // recommended least score
	Cattle    []string
	Batch     int // regions per run
}

// Stats says how much work the model has done since it was opened.
type Stats struct {
	Runs    int64         // of the network
	Regions int64         // looked at
	Running time.Duration // inside ONNX Runtime, summed over parallel runs
}

// Model is a loaded network. It is safe for use by several goroutines.
type Model struct {
	info    Info
	recipe  recipe
	session *ort.DynamicAdvancedSession
	fixed   bool        // the network takes exactly info.Batch regions
	free    chan *batch // bounds the runs in flight and keeps their memory

	runs, regions, running atomic.Int64
}

// Open loads a model. The error wraps ErrModel, ErrCard, ErrProvider or
// ErrRuntime and names the file. Close frees the model.
func Open(o Options) (*Model, error) {
	if o.Provider == "" {
		o.Provider = CPU
	}
	o.Threads, o.Batch, o.Parallel = max(o.Threads, 1), max(o.Batch, 0), max(o.Parallel, 1)
	if o.Batch == 0 {
		o.Batch = GPUBatch
		if o.Provider == CPU {
			o.Batch = CPUBatch
		}
	}
	file, digest, err := findNetwork(o.Path)
	if err != nil {
		return nil, err
	}
	d, err := readDescription(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	library := FindLibrary(o.Library)
	if err := loadRuntime(library); err != nil {
		return nil, err
	}
	sig, err := inspect(file)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", file, err)
	}
	r, err := newRecipe(sig, d)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", file, err)
	}
	so, err := sessionOptions(o, library)
	if err != nil {
		return nil, err
	}
	defer so.Destroy()
	session, err := ort.NewDynamicAdvancedSession(file, sig.inputs(), sig.outputs(), so)
	if err != nil {
		return nil, fmt.Errorf("model %s: start a session on %s: %w: %w", file, o.Provider, err, ErrModel)
	}
	m := &Model{recipe: r, session: session, fixed: sig.batch > 0, free: make(chan *batch, o.Parallel)}
	m.describe(o, file, digest, d)
	for range o.Parallel {
		m.free <- newBatch(m)
	}
	return m, nil
}

func (m *Model) describe(o Options, file string, digest footage.Digest, d description) {
	m.info = Info{Name: d.card.Name, File: file, Digest: digest, Provider: o.Provider, Family: string(m.recipe.family),
		Width: m.recipe.width, Height: m.recipe.height, Tile: m.recipe.tile, Overlap: m.recipe.overlap,
		Threshold: m.recipe.threshold, Cattle: m.recipe.cattleLabels(), Batch: o.Batch}
	if m.fixed {
		m.info.Batch = m.recipe.batch
	}
	if m.info.Name == "" {
		abs, err := filepath.Abs(file)
		if err != nil {
			abs = file
		}
		m.info.Name = filepath.Base(filepath.Dir(abs))
	}
}

// findNetwork resolves a folder or file and hashes the network.
func findNetwork(path string) (string, footage.Digest, error) {
	if path == "" {
		return "", footage.Digest{}, fmt.Errorf("no model given: want a folder with %s: %w", networkFile, ErrModel)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		path = filepath.Join(path, networkFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", footage.Digest{}, fmt.Errorf("model %s: %w: %w", path, err, ErrModel)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return "", footage.Digest{}, fmt.Errorf("model %s: %w: %w", path, err, ErrModel)
	}
	if n == 0 {
		return "", footage.Digest{}, fmt.Errorf("model %s: file is empty: %w", path, ErrModel)
	}
	return path, footage.Digest(h.Sum(nil)), nil
}

// inspect reads names and shapes with a session of its own, without the
// optimiser: the binding does not tell them of a session that can run.
func inspect(file string) (signature, error) {
	so, err := ort.NewSessionOptions()
	if err != nil {
		return signature{}, fmt.Errorf("session options: %w: %w", err, ErrRuntime)
	}
	defer so.Destroy()
	if err := errors.Join(so.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll), so.SetIntraOpNumThreads(1)); err != nil {
		return signature{}, fmt.Errorf("session options: %w: %w", err, ErrRuntime)
	}
	in, out, err := ort.GetInputOutputInfoWithOptions(file, so)
	if err != nil {
		return signature{}, fmt.Errorf("not a network that ONNX Runtime %s can read: %w: %w", ort.GetVersion(), err, ErrModel)
	}
	return readSignature(in, out)
}

// Info describes the model.
func (m *Model) Info() Info { return m.info }

// Stats counts the work so far.
func (m *Model) Stats() Stats {
	return Stats{Runs: m.runs.Load(), Regions: m.regions.Load(), Running: time.Duration(m.running.Load())}
}

// Close waits for runs in flight and frees the network. The model must not be
// used after it.
func (m *Model) Close() error {
	for range cap(m.free) {
		<-m.free
	}
	return m.session.Destroy()
}

// DetectRegions implements detect.Model: it appends to dst the boxes of each
// region, in pixels of the region's frame and cut at the region's edges. Only
// classes that count as cattle and scores of at least threshold are returned;
// one animal may appear several times under several labels.
func (m *Model) DetectRegions(ctx context.Context, dst [][]detect.Box, regions []detect.Region, threshold float32) ([][]detect.Box, error) {
	var b *batch
	select {
	case b = <-m.free:
	case <-ctx.Done():
		return dst, context.Cause(ctx)
	}
	defer func() { m.free <- b }()
	for run := range m.split(regions) {
		if err := ctx.Err(); err != nil {
			return dst, context.Cause(ctx)
		}
		var err error
		if dst, err = b.run(dst, run, threshold); err != nil {
			return dst, fmt.Errorf("model %s: %w", m.info.File, err)
		}
	}
	return dst, nil
}

// Rehearse prepares the regions once and then has the network look at them
// rounds times, with nothing else around it: the speed that a program using
// the network could reach at best. It returns the time of the rounds alone.
func (m *Model) Rehearse(ctx context.Context, regions []detect.Region, rounds int) (time.Duration, error) {
	var spent time.Duration
	for run := range m.split(regions) {
		t, err := m.rehearse(ctx, run, rounds)
		if err != nil {
			return 0, err
		}
		spent += t
	}
	return spent, nil
}

func (m *Model) rehearse(ctx context.Context, run []detect.Region, rounds int) (time.Duration, error) {
	n := len(run)
	if m.fixed {
		n = m.info.Batch
	}
	inputs, err := newBatch(m).fill(run, n)
	defer destroy(inputs)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	for range rounds {
		outputs, err := m.infer(inputs, len(run))
		destroy(outputs)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// split cuts regions into runs: of one size each, since a run has one input
// size, none larger than the batch, and evenly filled.
func (m *Model) split(regions []detect.Region) func(yield func([]detect.Region) bool) {
	return func(yield func([]detect.Region) bool) {
		for len(regions) > 0 {
			same := slices.IndexFunc(regions, func(r detect.Region) bool {
				return r.Width != regions[0].Width || r.Height != regions[0].Height
			})
			if same < 0 {
				same = len(regions)
			}
			runs := (same + m.info.Batch - 1) / m.info.Batch
			n := (same + runs - 1) / runs
			if m.fixed {
				n = min(same, m.info.Batch)
			}
			if !yield(regions[:n]) {
				return
			}
			regions = regions[n:]
		}
	}
}
