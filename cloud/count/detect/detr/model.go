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
// (stopsignal.Again) after Open has returned.
package detr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/shared/footage"
)

// Options say what to load and how to run it.
type Options struct {
	Path     string   // model folder, or the network file in it
	Name     string   // what Info calls the model; empty: as its card says, or its folder
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
	Data      []string       // names of the files beside it that hold its weights
	Digest    footage.Digest // SHA-256 of the network, see findNetwork
	Size      int64          // bytes of the network with its weights
	Provider  Provider
	Family    string
	Width     int // pixels of the input, 0 when the network takes any
	Height    int
	Tile      int     // recommended side of tiles in pixels of the frame
	Overlap   float64 // recommended overlap of tiles
	Threshold float64 // recommended least score
	Cattle    []string
	Batch     int  // regions per run
	Fixed     bool // the network takes exactly Batch regions a run
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
	o = o.withDefaults()
	m, err := prepare(o)
	if err != nil {
		return nil, err
	}
	so, err := sessionOptions(o, FindLibrary(o.Library))
	if err != nil {
		return nil, err
	}
	defer so.Destroy()
	m.session, err = ort.NewDynamicAdvancedSession(m.info.File, m.recipe.inputs(), m.recipe.outputs(), so)
	if err != nil {
		return nil, fmt.Errorf("model %s: start a session on %s: %w: %w", m.info.File, o.Provider, err, ErrModel)
	}
	m.free = make(chan *batch, o.Parallel)
	for range o.Parallel {
		m.free <- newBatch(m)
	}
	return m, nil
}

// Describe reads what Open would load, without loading it: Info is complete,
// but whether the network runs is not known. Errors are those of Open; with
// ErrRuntime the Info holds what the files alone say, which is File, Data,
// Digest and Size.
func Describe(o Options) (Info, error) {
	m, err := prepare(o.withDefaults())
	return m.info, err
}

func (o Options) withDefaults() Options {
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
	return o
}

// prepare reads a model up to the session. The Model is not nil, also with an
// error.
func prepare(o Options) (*Model, error) {
	m := &Model{}
	n, err := findNetwork(o.Path)
	if err != nil {
		return m, err
	}
	m.info = Info{File: n.path, Data: n.data, Digest: n.digest, Size: n.size, Provider: o.Provider, Batch: o.Batch}
	d, err := readDescription(filepath.Dir(n.path))
	if err != nil {
		return m, err
	}
	if err := LoadRuntime(o.Library); err != nil {
		return m, err
	}
	sig, err := inspect(n.path)
	if err == nil {
		m.recipe, err = newRecipe(sig, d)
	}
	if err != nil {
		return m, fmt.Errorf("model %s: %w", n.path, err)
	}
	m.describe(o.Name, d)
	return m, nil
}

// describe fills in what the recipe says.
func (m *Model) describe(name string, d description) {
	i, r := &m.info, &m.recipe
	i.Name, i.Family, i.Width, i.Height = cmp.Or(name, d.card.Name), string(r.family), r.width, r.height
	i.Tile, i.Overlap, i.Threshold, i.Cattle = r.tile, r.overlap, r.threshold, r.cattleLabels()
	if r.batch > 0 {
		m.fixed, i.Fixed, i.Batch = true, true, r.batch
	}
	if i.Name == "" {
		abs, err := filepath.Abs(i.File)
		if err != nil {
			abs = i.File
		}
		i.Name = filepath.Base(filepath.Dir(abs))
	}
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
		return signature{}, fmt.Errorf("not a network that ONNX Runtime %s can read; is the file whole, and are its weights beside it? %w: %w", ort.GetVersion(), err, ErrModel)
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
