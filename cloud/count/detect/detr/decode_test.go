package detr

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

func TestDecodeDropsInvalidBoxes(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	r := &recipe{signature: signature{family: familyPost}, labels: []string{"cow"}}
	region := detect.Region{Frame: &video.Frame{Width: 100, Height: 80}, X: 60, Y: 40, Width: 64, Height: 64}
	rows := []struct {
		label int64
		score float32
		box   [4]float32
		keep  bool
	}{
		{0, 0.9, [4]float32{1, 2, 11, 12}, true},
		{0, 0.9, [4]float32{-5, -5, 500, 500}, true}, // cut at region and frame
		{0, 0.1, [4]float32{1, 2, 11, 12}, false},
		{0, nan, [4]float32{1, 2, 11, 12}, false},
		{0, inf, [4]float32{1, 2, 11, 12}, false},
		{0, 0.9, [4]float32{nan, 2, 11, 12}, false},
		{0, 0.9, [4]float32{1, 2, inf, 12}, false},
		{0, 0.9, [4]float32{11, 12, 1, 2}, false},    // inverted
		{0, 0.9, [4]float32{50, 2, 60, 12}, false},   // beyond the frame
		{0, 0.9, [4]float32{1, 2, 1.5, 12}, false},   // too thin
		{-3, 0.9, [4]float32{1, 2, 11, 12}, false},   // not a class
		{7, 0.9, [4]float32{1, 2, 11, 12}, true},     // without a name; every class counts
		{0, 1.00001, [4]float32{1, 2, 11, 12}, true}, // rounding
	}
	k := int64(len(rows))
	labels := tensorView{name: "labels", shape: []int64{1, k}}
	scores, boxes := tensorView{name: "scores", shape: []int64{1, k}}, tensorView{name: "boxes", shape: []int64{1, k, 4}}
	want := 0
	for _, row := range rows {
		labels.ints, scores.floats, boxes.floats = append(labels.ints, row.label), append(scores.floats, row.score), append(boxes.floats, row.box[:]...)
		if row.keep {
			want++
		}
	}
	got, err := r.decodePost(nil, []detect.Region{region}, 1, 0.25, labels, boxes, scores)
	if err != nil || len(got) != 1 || len(got[0]) != want {
		t.Fatalf("%d boxes, want %d: %+v %v", len(got[0]), want, got, err)
	}
	if b := got[0][0]; b.X1 != 61 || b.Y1 != 42 || b.X2 != 71 || b.Y2 != 52 || b.Label != "cow" {
		t.Errorf("%+v", b)
	}
	if b := got[0][1]; b.X1 != 60 || b.Y1 != 40 || b.X2 != 100 || b.Y2 != 80 {
		t.Errorf("%+v", b)
	}
}

func TestOutputsOfNaN(t *testing.T) {
	nan := float32(math.NaN())
	region := []detect.Region{{Frame: &video.Frame{Width: 10, Height: 10}, Width: 10, Height: 10}}
	boxes := tensorView{name: "boxes", shape: []int64{1, 2, 4}, floats: make([]float32, 8)}
	labels := tensorView{name: "labels", shape: []int64{1, 2}, ints: make([]int64, 2)}
	for _, c := range []struct {
		scores []float32
		bad    bool
	}{{[]float32{nan, nan}, true}, {[]float32{nan, 0.1}, false}} {
		post := tensorView{name: "scores", shape: []int64{1, 2}, floats: c.scores}
		raw := tensorView{name: "logits", shape: []int64{1, 2, 1}, floats: c.scores}
		_, first := (&recipe{signature: signature{family: familyPost}}).decodePost(nil, region, 1, 0.25, labels, boxes, post)
		_, second := (&recipe{scores: scoresSigmoid}).decodeRaw(nil, region, 1, 0.25, raw, boxes)
		if errors.Is(first, ErrModel) != c.bad || errors.Is(second, ErrModel) != c.bad {
			t.Errorf("%v: %v, %v", c.scores, first, second)
		}
	}
}

func TestWrongShapes(t *testing.T) {
	r := &recipe{scores: scoresSigmoid}
	regions := []detect.Region{{Frame: &video.Frame{Width: 10, Height: 10}, Width: 10, Height: 10}}
	floats := func(shape ...int64) tensorView {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		return tensorView{shape: shape, floats: make([]float32, n)}
	}
	for name, pair := range map[string][2]tensorView{
		"batch":   {floats(2, 3, 4), floats(1, 3, 4)},
		"queries": {floats(1, 3, 4), floats(1, 5, 4)},
		"corners": {floats(1, 3, 4), floats(1, 3, 5)},
		"rank":    {floats(3, 4), floats(1, 3, 4)},
		"short":   {{shape: []int64{1, 3, 4}}, floats(1, 3, 4)},
	} {
		if _, err := r.decodeRaw(nil, regions, 1, 0.2, pair[0], pair[1]); !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignatures(t *testing.T) {
	f := func(name string, kind ort.TensorElementDataType, dims ...int64) ort.InputOutputInfo {
		return ort.InputOutputInfo{Name: name, DataType: kind, Dimensions: dims}
	}
	const float, half, int64s, int32s = ort.TensorElementDataTypeFloat, ort.TensorElementDataTypeFloat16, ort.TensorElementDataTypeInt64, ort.TensorElementDataTypeInt32
	type list = []ort.InputOutputInfo
	post := list{f("labels", int64s, -1, 300), f("boxes", float, -1, 300, 4), f("scores", float, -1, 300)}
	raw := list{f("logits", float, -1, 100, 92), f("pred_boxes", float, -1, 100, 4)}
	for name, c := range map[string]struct {
		in, out list
		want    signature
		ok      bool
	}{
		"deim":         {list{f("images", float, -1, 3, 416, 416), f("orig_target_sizes", int64s, -1, 2)}, post, signature{family: familyPost, height: 416, width: 416}, true},
		"int32 labels": {list{f("images", float, 1, 3, -1, -1), f("orig_target_sizes", int64s, 1, 2)}, list{f("labels", int32s, -1, 300), post[1], post[2]}, signature{family: familyPost, batch: 1}, true},
		"detr":         {list{f("pixel_values", float, -1, 3, -1, -1), f("pixel_mask", int64s, -1, 64, 64)}, append(list{f("last_hidden_state", float, -1, 100, 256)}, raw...), signature{family: familyRaw, mask: true, maskH: 64, maskW: 64, classes: 92}, true},
		"rt-detr":      {list{f("pixel_values", float, -1, 3, 640, 640)}, raw, signature{family: familyRaw, height: 640, width: 640, classes: 92}, true},
		"rf-detr":      {list{f("input", float, 1, 3, 560, 560)}, list{f("dets", float, 1, 300, 4), f("labels", float, 1, 300, 91), f("masks", float, 1, 300, 140, 140)}, signature{family: familyRF, batch: 1, height: 560, width: 560, classes: 91}, true},
		"half":         {list{f("pixel_values", half, -1, 3, 640, 640)}, raw, signature{family: familyRaw, height: 640, width: 640, classes: 92, half: true}, true},
		"half outputs": {list{f("pixel_values", float, -1, 3, 640, 640)}, list{f("logits", half, -1, 100, 92), f("pred_boxes", half, -1, 100, 4)}, signature{family: familyRaw, height: 640, width: 640, classes: 92, halfOut: [3]bool{true, true}, boxes: 100}, true},
		"half scores":  {list{f("images", float, -1, 3, 416, 416), f("orig_target_sizes", int64s, -1, 2)}, list{post[0], post[1], f("scores", half, -1, 300)}, signature{family: familyPost, height: 416, width: 416, halfOut: [3]bool{false, false, true}, boxes: 300}, true},
		"half, any":    {list{f("pixel_values", half, -1, 3, 640, 640)}, list{f("logits", half, -1, -1, 92), f("pred_boxes", half, -1, -1, 4)}, signature{}, false},
		"labels in 16": {list{f("images", half, -1, 3, 640, 640), f("orig_target_sizes", int64s, -1, 2)}, list{f("labels", half, -1, 300), f("boxes", half, -1, 300, 4), f("scores", half, -1, 300)}, signature{}, false},
		"rows first":   {list{f("pixel_values", float, -1, 640, 640, 3)}, raw, signature{}, false},
		"more inputs":  {list{f("pixel_values", float, -1, 3, 640, 640), f("text", int64s, 1)}, raw, signature{}, false},
		"classifier":   {list{f("pixel_values", float, -1, 3, 640, 640)}, list{f("logits", float, -1, 1000)}, signature{}, false},
		"float labels": {list{f("images", float, -1, 3, 416, 416), f("orig_target_sizes", int64s, -1, 2)}, list{f("labels", float, -1, 300), post[1], post[2]}, signature{}, false},
		"huge":         {list{f("pixel_values", float, -1, 3, 1<<40, 640)}, raw, signature{}, false},
	} {
		got, err := readSignature(c.in, c.out)
		if c.ok && (err != nil || got != c.want) {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, c.want)
		}
		if !c.ok && !errors.Is(err, ErrModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecode feeds arbitrary outputs to both decoders.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x00\x00\x80\x3f\x00\x00\xc0\x7f\x00\x00\x80\x7f"), uint8(2), uint8(3), true)
	f.Add(make([]byte, 400), uint8(4), uint8(5), false)
	f.Fuzz(func(t *testing.T, b []byte, queries, classes uint8, softmax bool) {
		var floats []float32
		for ; len(b) >= 4; b = b[4:] {
			floats = append(floats, math.Float32frombits(binary.LittleEndian.Uint32(b)))
		}
		q, c := int64(queries), int64(classes)
		cutOff := func(n int64) []float32 {
			n = min(n, int64(len(floats)))
			defer func() { floats = floats[n:] }()
			return floats[:n]
		}
		r := &recipe{signature: signature{family: familyRaw}, scores: scoresSigmoid, counts: []bool{true, false, true}}
		if softmax {
			r.scores = scoresSoftmax
		}
		region := detect.Region{Frame: &video.Frame{Width: 100, Height: 80}, X: 60, Y: 40, Width: 64, Height: 64}
		boxes := tensorView{shape: []int64{1, q, 4}, floats: cutOff(q * 4)}
		raw, rawErr := r.decodeRaw(nil, []detect.Region{region}, 1, 0.25, tensorView{shape: []int64{1, q, c}, floats: cutOff(q * c)}, boxes)
		labels := tensorView{shape: []int64{1, q}, ints: make([]int64, q)}
		for i := range labels.ints {
			labels.ints[i] = int64(i) - 1
		}
		post, postErr := r.decodePost(nil, []detect.Region{region}, 1, 0.25, labels, boxes, tensorView{shape: []int64{1, q}, floats: cutOff(q)})
		for _, err := range []error{rawErr, postErr} {
			if err != nil && !errors.Is(err, ErrModel) {
				t.Fatal(err)
			}
		}
		for _, list := range append(raw, post...) {
			for _, b := range list {
				if !(b.X1 >= 60 && b.Y1 >= 40 && b.X2 <= 100 && b.Y2 <= 80 && b.X2 > b.X1 && b.Y2 > b.Y1 && b.Score >= 0.25 && b.Score <= 1) || !r.counted(b.Class) {
					t.Fatalf("%+v", b)
				}
			}
		}
	})
}

// TestNoCountWithoutNumbers has outputs that would be a count of 0 although the network computes nothing.
func TestNoCountWithoutNumbers(t *testing.T) {
	nan := float32(math.NaN())
	region := []detect.Region{{Frame: &video.Frame{Width: 10, Height: 10}, Width: 10, Height: 10}}
	labels := tensorView{name: "labels", shape: []int64{1, 2}, ints: make([]int64, 2)}
	good, bad := []float32{0.5, 0.5, 0.9, 0.9}, []float32{0.5, nan, 0.9, 0.9}
	for name, c := range map[string]struct {
		logits [4]float32 // two queries of two classes; the second class does not count
		boxes  [2][]float32
		bad    bool
	}{
		"numbers":                     {[4]float32{5, 5, 5, 5}, [2][]float32{good, good}, false},
		"one of two boxes":            {[4]float32{5, 5, 5, 5}, [2][]float32{bad, good}, false},
		"the boxes of all animals":    {[4]float32{5, 5, 5, 5}, [2][]float32{bad, bad}, true},
		"the box of the only animal":  {[4]float32{5, 5, -5, 5}, [2][]float32{bad, good}, true},
		"a box that is not an animal": {[4]float32{5, 5, -5, 5}, [2][]float32{good, bad}, false},
		"the class that counts":       {[4]float32{nan, 5, nan, 5}, [2][]float32{good, good}, true},
		"a class that does not count": {[4]float32{5, nan, 5, nan}, [2][]float32{good, good}, false},
		"every box without animals":   {[4]float32{-5, 5, -5, 5}, [2][]float32{{nan, nan, nan, nan}, {nan, nan, nan, nan}}, true},
	} {
		boxes := tensorView{name: "boxes", shape: []int64{1, 2, 4}, floats: append(append([]float32{}, c.boxes[0]...), c.boxes[1]...)}
		raw := tensorView{name: "logits", shape: []int64{1, 2, 2}, floats: c.logits[:]}
		r := &recipe{scores: scoresSigmoid, counts: []bool{true, false}}
		if _, err := r.decodeRaw(nil, region, 1, 0.25, raw, boxes); errors.Is(err, ErrModel) != c.bad || err != nil && !c.bad {
			t.Errorf("%s: %v", name, err)
		}
		if name == "the class that counts" || name == "a class that does not count" {
			continue // labels are numbers
		}
		post := tensorView{name: "scores", shape: []int64{1, 2}, floats: []float32{c.logits[0] / 6, c.logits[2] / 6}}
		r = &recipe{signature: signature{family: familyPost}}
		if _, err := r.decodePost(nil, region, 1, 0.25, labels, boxes, post); errors.Is(err, ErrModel) != c.bad || err != nil && !c.bad {
			t.Errorf("%s, with post-processing: %v", name, err)
		}
	}
}
