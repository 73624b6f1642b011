package detr

import (
	"fmt"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"cattlecounter/cloud/count/detect"
)

// batch is the input memory of one run, reused from run to run. It belongs to one goroutine at a time.
type batch struct {
	model   *Model
	prepare *preparer
	pixels  []float32
	halves  []byte // the pixels with 16 bits each
	sizes   []int64
	mask    []int64
}

func newBatch(m *Model) *batch {
	return &batch{model: m, prepare: newPreparer(m.recipe.norm, m.recipe.filter)}
}

// run detects animals in at most info.Batch regions of one size.
func (b *batch) run(dst [][]detect.Box, regions []detect.Region, threshold float32) ([][]detect.Box, error) {
	m := b.model
	n := len(regions)
	if m.fixed {
		n = m.info.Batch
	}
	inputs, err := b.fill(regions, n)
	defer destroy(inputs)
	if err != nil {
		return dst, err
	}
	outputs, err := m.infer(inputs, len(regions))
	defer destroy(outputs)
	if err != nil {
		return dst, err
	}
	return b.decode(dst, regions, n, threshold, outputs)
}

// infer runs the network and updates the statistics. The caller destroys the outputs, even after an error.
func (m *Model) infer(inputs []ort.Value, regions int) ([]ort.Value, error) {
	outputs := make([]ort.Value, len(m.recipe.outputs()))
	for i := range outputs {
		if !m.recipe.halfOut[i] {
			continue // the session allocates it
		}
		shape := m.recipe.shape(i, int(inputs[0].GetShape()[0]))
		t, err := ort.NewCustomDataTensor(shape, make([]byte, 2*shape.FlattenedSize()), ort.TensorElementDataTypeFloat16)
		if err != nil {
			return outputs, fmt.Errorf("output %s: %w: %w", m.recipe.outputs()[i], err, ErrModel)
		}
		outputs[i] = t
	}
	start := time.Now()
	err := m.session.Run(inputs, outputs)
	m.running.Add(int64(time.Since(start)))
	m.runs.Add(1)
	m.regions.Add(int64(regions))
	if err != nil {
		return outputs, fmt.Errorf("run on %d regions: %w: %w", regions, err, ErrModel)
	}
	return outputs, nil
}

// fill prepares the input tensors for n regions. With fewer regions the rest keeps its old content; its results are
// ignored.
func (b *batch) fill(regions []detect.Region, n int) ([]ort.Value, error) {
	r := &b.model.recipe
	w, h := r.inputSize(regions[0].Width, regions[0].Height)
	picture := 3 * w * h
	b.pixels = grow(b.pixels, n*picture)
	for i, region := range regions {
		if err := region.Frame.Validate(); err != nil {
			return nil, err
		}
		b.prepare.fill(b.pixels[i*picture:(i+1)*picture], region, w, h)
	}
	var inputs []ort.Value
	t, err := b.pictures(ort.NewShape(int64(n), 3, int64(h), int64(w)))
	if err != nil {
		return inputs, fmt.Errorf("input: %w", err)
	}
	inputs = append(inputs, t)
	var extra *ort.Tensor[int64]
	switch {
	case r.family == familyPost:
		b.sizes = grow(b.sizes, 2*n)
		for i := range n {
			b.sizes[2*i], b.sizes[2*i+1] = int64(regions[0].Width), int64(regions[0].Height)
		}
		extra, err = ort.NewTensor(ort.NewShape(int64(n), 2), b.sizes)
	case r.mask:
		extra, err = b.fillMask(n, w, h)
	default:
		return inputs, nil
	}
	if err != nil {
		return inputs, fmt.Errorf("input: %w", err)
	}
	return append(inputs, extra), nil
}

// pictures is the tensor of the pixels.
func (b *batch) pictures(shape ort.Shape) (ort.Value, error) {
	if !b.model.recipe.half {
		return ort.NewTensor(shape, b.pixels)
	}
	b.halves = grow(b.halves, 2*len(b.pixels))
	packHalf(b.halves, b.pixels)
	return ort.NewCustomDataTensor(shape, b.halves, ort.TensorElementDataTypeFloat16)
}

// fillMask marks every pixel as part of the picture: a region fills its whole input.
func (b *batch) fillMask(n, w, h int) (*ort.Tensor[int64], error) {
	r := &b.model.recipe
	if r.maskW > 0 {
		w = r.maskW
	}
	if r.maskH > 0 {
		h = r.maskH
	}
	b.mask = grow(b.mask, n*w*h)
	for i := range b.mask {
		b.mask[i] = 1
	}
	return ort.NewTensor(ort.NewShape(int64(n), int64(h), int64(w)), b.mask)
}

func (b *batch) decode(dst [][]detect.Box, regions []detect.Region, n int, threshold float32,
	outputs []ort.Value) ([][]detect.Box, error) {
	r := &b.model.recipe
	names := r.outputs()
	views := make([]tensorView, len(outputs))
	for i, v := range outputs {
		view, err := viewOf(names[i], v)
		if err != nil {
			return dst, err
		}
		views[i] = view
	}
	if r.family == familyPost {
		return r.decodePost(dst, regions, n, threshold, views[0], views[1], views[2])
	}
	return r.decodeRaw(dst, regions, n, threshold, views[0], views[1])
}

// viewOf returns a view of the memory of an output. It is valid until the output is destroyed.
func viewOf(name string, v ort.Value) (tensorView, error) {
	view := tensorView{name: name}
	if v == nil {
		return view, fmt.Errorf("output %s is missing: %w", name, ErrModel)
	}
	view.shape = v.GetShape()
	switch t := v.(type) {
	case *ort.Tensor[float32]:
		view.floats = t.GetData()
	case *ort.Tensor[int64]:
		view.ints = t.GetData()
	case *ort.Tensor[int32]:
		for _, x := range t.GetData() {
			view.ints = append(view.ints, int64(x))
		}
	case *ort.CustomDataTensor:
		if ort.TensorElementDataType(t.DataType()) != ort.TensorElementDataTypeFloat16 {
			return view, fmt.Errorf("output %s is neither of floats nor of labels: %w", name, ErrModel)
		}
		view.floats = unpackHalf(t.GetData())
	default:
		return view, fmt.Errorf("output %s is a %T: %w", name, v, ErrModel)
	}
	return view, nil
}

// destroy frees tensors. Errors have no remedy and are ignored.
func destroy(values []ort.Value) {
	for _, v := range values {
		if v != nil {
			_ = v.Destroy()
		}
	}
}

// grow returns s with length n. It reuses the memory of s when that is large enough.
func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
