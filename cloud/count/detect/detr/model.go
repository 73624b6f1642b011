// Package detr runs detectors of the DETR family through ONNX Runtime.
//
// A model is a folder with model.onnx and three optional files: the project's own card (cattlecounter.yaml, see Card)
// and the Hugging Face files config.json and preprocessor_config.json. The inputs and outputs are read from the network
// file; see signature.go for the families.
//
// A folder with model.onnx alone is treated as trained on COCO: values 0..1 in the order red, green, blue, stretched to
// the input size, and every animal class counts.
//
// The CUDA provider replaces the signal handlers of the process when it loads. A program that handles SIGTERM must
// install its handlers again after Open (process.RestoreHandlers).
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

// Options are the model to load and how to run it.
type Options struct {
	Path     string   // model folder, or the network file in it
	Name     string   // name in Info; empty: the name on the card, else that of the folder
	Library  string   // ONNX Runtime's shared library; empty: see FindLibrary
	Provider Provider // empty is CPU
	GPU      GPU
	// Threads is the number of threads of one run, 0 for one. One is best with parallel runs, as in detect.Pipeline.
	Threads int
	// Batch is the largest number of regions in one run, 0 for CPUBatch or GPUBatch. A network with a fixed batch size
	// overrides it.
	Batch int
	// Parallel is the largest number of parallel runs, 0 for one. Further calls of DetectRegions wait. Each run has its
	// own input memory.
	Parallel int
}

// Default numbers of regions per run. On a CPU larger batches only take more memory (measured with tiles of 416 pixels:
// 1 to 4 are equally fast, 9 is slower). A GPU needs enough work for all its units.
const (
	CPUBatch = 2
	GPUBatch = 8
)

// Info describes a loaded model, for results and logs.
type Info struct {
	Name      string
	File      string         // path of the network
	Data      []string       // names of the files with its weights
	Digest    footage.Digest // SHA-256 of the network, see findNetwork
	Size      int64          // bytes of the network with its weights
	Provider  Provider
	Family    string
	Width     int // pixels of the input, 0 for any
	Height    int
	Tile      int     // recommended side of tiles in pixels of the frame
	Overlap   float64 // recommended overlap of tiles
	Threshold float64 // recommended least score
	Cattle    []string
	// FinetunedFrom is the model that this one continues, by its card; empty for a model that was trained otherwise.
	FinetunedFrom string
	Batch         int  // regions per run
	Fixed         bool // the network takes exactly Batch regions per run
}

// Stats is the work of a model since it was opened.
type Stats struct {
	Runs    int64         // of the network
	Regions int64         // processed
	Running time.Duration // inside ONNX Runtime, summed over parallel runs
}

// Model is a loaded network. It is safe for concurrent use.
type Model struct {
	info    Info
	recipe  recipe
	session *ort.DynamicAdvancedSession
	fixed   bool        // the network takes exactly info.Batch regions
	free    chan *batch // bounds the parallel runs and holds their memory

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

// Describe reads the files of a model without loading it. Info is complete, but the network may still fail to run.
// Errors are those of Open. With ErrRuntime the Info has only File, Data, Digest and Size.
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

// prepare reads a model but starts no session. The Model is not nil, even with an error.
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

// describe fills in the values of the recipe.
func (m *Model) describe(name string, d description) {
	i, r := &m.info, &m.recipe
	i.Name, i.Family, i.Width, i.Height = cmp.Or(name, d.card.Name), string(r.family), r.width, r.height
	i.Tile, i.Overlap, i.Threshold, i.Cattle = r.tile, r.overlap, r.threshold, r.cattleLabels()
	i.FinetunedFrom = d.card.FinetunedFrom
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

// inspect reads names and shapes with a separate session without the optimiser. The binding does not return them for a
// session that can run.
func inspect(file string) (signature, error) {
	so, err := ort.NewSessionOptions()
	if err != nil {
		return signature{}, fmt.Errorf("session options: %w: %w", err, ErrRuntime)
	}
	defer so.Destroy()
	if err := errors.Join(so.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll),
		so.SetIntraOpNumThreads(1)); err != nil {
		return signature{}, fmt.Errorf("session options: %w: %w", err, ErrRuntime)
	}
	in, out, err := ort.GetInputOutputInfoWithOptions(file, so)
	if err != nil {
		return signature{}, fmt.Errorf("ONNX Runtime %s cannot read the file as a network; check that the file is whole and that its weights are beside it: %w: %w", ort.GetVersion(), err, ErrModel)
	}
	return readSignature(in, out)
}

// Info describes the model.
func (m *Model) Info() Info { return m.info }

// Stats counts the work so far.
func (m *Model) Stats() Stats {
	return Stats{Runs: m.runs.Load(), Regions: m.regions.Load(), Running: time.Duration(m.running.Load())}
}

// Close waits for the current runs and frees the network. The model must not be used afterwards.
func (m *Model) Close() error {
	for range cap(m.free) {
		<-m.free
	}
	return m.session.Destroy()
}

// DetectRegions implements detect.Model: it appends to dst the boxes of each region, in pixels of the region's frame
// and cut at the region's edges. It returns only classes that count as cattle, with scores of at least threshold. One
// animal may have several boxes with different labels.
func (m *Model) DetectRegions(ctx context.Context, dst [][]detect.Box, regions []detect.Region,
	threshold float32) ([][]detect.Box, error) {
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

// TimeNetwork prepares the regions once and then runs the network on them rounds times, without any other work. This is
// the best speed that a program can reach with the network. It returns the time of the rounds alone.
func (m *Model) TimeNetwork(ctx context.Context, regions []detect.Region, rounds int) (time.Duration, error) {
	var spent time.Duration
	for run := range m.split(regions) {
		t, err := m.timeRun(ctx, run, rounds)
		if err != nil {
			return 0, err
		}
		spent += t
	}
	return spent, nil
}

func (m *Model) timeRun(ctx context.Context, run []detect.Region, rounds int) (time.Duration, error) {
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

// split cuts regions into runs. Each run has regions of one size, because a run has one input size. No run is larger
// than the batch, and the runs are filled evenly.
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
