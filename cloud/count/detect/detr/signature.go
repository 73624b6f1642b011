package detr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// ErrModel marks a model file that is missing, damaged, or not a detector of a known family.
var ErrModel = errors.New("model cannot be used")

// family is a set of inputs and outputs of networks.
type family string

const (
	// familyPost has the post-processing in the graph, as exported by D-FINE, DEIM and RT-DETR: images,
	// orig_target_sizes -> labels, boxes, scores.
	familyPost family = "images -> labels, boxes, scores"
	// familyRaw is the Hugging Face export of the DETR family: pixel_values [, pixel_mask] -> logits, pred_boxes.
	familyRaw family = "pixel_values -> logits, pred_boxes"
	// familyRF is the export of RF-DETR. Its tensors are those of familyRaw under other names. Without COCO's classes
	// the last one is "no object". Further outputs, such as masks, are not computed.
	familyRF family = "input -> labels, dets"
)

// signature describes the inputs and outputs of a network file.
type signature struct {
	family        family
	batch         int // pictures per run, 0 for any number
	height, width int // pixels of the input, 0 for any
	mask          bool
	maskH, maskW  int  // 0 for the size of the picture
	classes       int  // width of logits, 0 when unknown or familyPost
	half          bool // the picture has 16 bits a value
	// halfOut marks outputs with 16 bits a value, in the order of outputs. They are allocated before a run, because the
	// binding cannot do that for them, so the number of boxes must be known.
	halfOut [3]bool
	boxes   int // for each picture; 0 unless halfOut marks an output
}

// inputs returns the names of the inputs in the order of the session.
func (s signature) inputs() []string {
	switch {
	case s.family == familyPost:
		return []string{"images", "orig_target_sizes"}
	case s.family == familyRF:
		return []string{"input"}
	case s.mask:
		return []string{"pixel_values", "pixel_mask"}
	}
	return []string{"pixel_values"}
}

// outputs returns the names of the outputs: labels, boxes and scores of familyPost, else logits and boxes.
func (s signature) outputs() []string {
	switch s.family {
	case familyPost:
		return []string{"labels", "boxes", "scores"}
	case familyRF:
		return []string{"labels", "dets"}
	}
	return []string{"logits", "pred_boxes"}
}

// readSignature recognises the family. The error wraps ErrModel and lists the inputs and outputs.
func readSignature(in, out []ort.InputOutputInfo) (signature, error) {
	i, o := byName(in), byName(out)
	var s signature
	switch {
	case has(i, "images", "orig_target_sizes") && has(o, "labels", "boxes", "scores"):
		s.family = familyPost
	case has(i, "pixel_values") && has(o, "logits", "pred_boxes"):
		s.family = familyRaw
		s.mask = has(i, "pixel_mask")
	case has(i, "input") && has(o, "labels", "dets"):
		s.family = familyRF
	default:
		return s, fmt.Errorf("not a detector of a known family: inputs are %s, outputs are %s; want %q, %q or %q: %w",
			names(in), names(out), familyPost, familyRaw, familyRF, ErrModel)
	}
	if len(in) != len(s.inputs()) {
		return s, fmt.Errorf("inputs are %s; only %s can be filled: %w", names(in), strings.Join(s.inputs(), ", "),
			ErrModel)
	}
	picture := i[s.inputs()[0]]
	if err := s.readPicture(picture); err != nil {
		return s, err
	}
	if s.family == familyPost {
		return s, s.readPost(i, o)
	}
	return s, s.readRaw(i, o)
}

func (s *signature) readPicture(t ort.InputOutputInfo) error {
	d := t.Dimensions
	if !isFloat(t) || len(d) != 4 || d[1] != 3 && d[1] > 0 {
		return fmt.Errorf("input %s, want float32 or float16 [N,3,H,W]: %w", describeTensor(t), ErrModel)
	}
	s.half = t.DataType == ort.TensorElementDataTypeFloat16
	s.batch, s.height, s.width = anySize(d[0]), anySize(d[2]), anySize(d[3])
	if s.batch > 1024 || s.height > maxSide || s.width > maxSide {
		return fmt.Errorf("input %s is larger than this program takes: %w", describeTensor(t), ErrModel)
	}
	return nil
}

func (s *signature) readPost(i, o map[string]ort.InputOutputInfo) error {
	if t := i["orig_target_sizes"]; t.DataType != ort.TensorElementDataTypeInt64 || len(t.Dimensions) != 2 {
		return fmt.Errorf("input %s, want int64 [N,2]: %w", describeTensor(t), ErrModel)
	}
	if t := o["labels"]; t.DataType != ort.TensorElementDataTypeInt64 && t.DataType != ort.TensorElementDataTypeInt32 {
		return fmt.Errorf("output %s, want int64 or int32 [N,K]: %w", describeTensor(t), ErrModel)
	}
	return s.wantFloats(o, 2, "boxes", "scores")
}

func (s *signature) readRaw(i, o map[string]ort.InputOutputInfo) error {
	if s.mask {
		t := i["pixel_mask"]
		if t.DataType != ort.TensorElementDataTypeInt64 || len(t.Dimensions) != 3 {
			return fmt.Errorf("input %s, want int64 [N,H,W]: %w", describeTensor(t), ErrModel)
		}
		s.maskH, s.maskW = anySize(t.Dimensions[1]), anySize(t.Dimensions[2])
		if s.maskH > maxSide || s.maskW > maxSide {
			return fmt.Errorf("input %s is larger than this program takes: %w", describeTensor(t), ErrModel)
		}
	}
	names := s.outputs()
	if d := o[names[0]].Dimensions; len(d) == 3 {
		s.classes = anySize(d[2])
	}
	return s.wantFloats(o, 3, names...)
}

// wantFloats checks the outputs with these names. rank is the number of dimensions of scores or logits.
func (s *signature) wantFloats(o map[string]ort.InputOutputInfo, rank int, names ...string) error {
	for _, n := range names {
		t := o[n]
		if !isFloat(t) {
			return fmt.Errorf("output %s, want float32 or float16: %w", describeTensor(t), ErrModel)
		}
		if t.DataType == ort.TensorElementDataTypeFloat {
			continue
		}
		d := t.Dimensions
		if len(d) != 3 && len(d) != rank || d[1] <= 0 || d[1] > maxClasses || d[len(d)-1] <= 0 || d[len(d)-1] > maxClasses {
			return fmt.Errorf("output %s of 16 bits has no fixed number of boxes and classes; export it with 32 bits: %w",
				describeTensor(t), ErrModel)
		}
		s.halfOut[slices.Index(s.outputs(), n)], s.boxes = true, int(d[1])
	}
	return nil
}

// shape is the shape of output i for n pictures.
func (s signature) shape(i, n int) ort.Shape {
	switch name := s.outputs()[i]; {
	case name == "scores":
		return ort.NewShape(int64(n), int64(s.boxes))
	case s.family != familyPost && i == 0:
		return ort.NewShape(int64(n), int64(s.boxes), int64(s.classes))
	}
	return ort.NewShape(int64(n), int64(s.boxes), 4)
}

func isFloat(t ort.InputOutputInfo) bool {
	return t.DataType == ort.TensorElementDataTypeFloat || t.DataType == ort.TensorElementDataTypeFloat16
}

// anySize maps a named or unknown dimension, which is negative, to 0.
func anySize(d int64) int { return int(max(d, 0)) }

func byName(list []ort.InputOutputInfo) map[string]ort.InputOutputInfo {
	m := make(map[string]ort.InputOutputInfo, len(list))
	for _, t := range list {
		m[t.Name] = t
	}
	return m
}

func has(m map[string]ort.InputOutputInfo, names ...string) bool {
	for _, n := range names {
		if _, ok := m[n]; !ok {
			return false
		}
	}
	return true
}

// describeTensor formats a tensor, for example: images float [?,3,416,416].
func describeTensor(t ort.InputOutputInfo) string {
	kind := strings.ToLower(strings.TrimPrefix(t.DataType.String(), "ONNX_TENSOR_ELEMENT_DATA_TYPE_"))
	dims := make([]string, len(t.Dimensions))
	for i, d := range t.Dimensions {
		dims[i] = "?"
		if d >= 0 {
			dims[i] = fmt.Sprint(d)
		}
	}
	return fmt.Sprintf("%s %s [%s]", t.Name, kind, strings.Join(dims, ","))
}

func names(list []ort.InputOutputInfo) string {
	s := make([]string, len(list))
	for i, t := range list {
		s[i] = describeTensor(t)
	}
	return strings.Join(s, ", ")
}
