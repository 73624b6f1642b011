package detr

import (
	"errors"
	"fmt"
	"math"

	"cattlecounter/cloud/count/detect"
)

// tensorView is an output of the network: its shape and its values. The values of labels are in ints.
type tensorView struct {
	name   string
	shape  []int64
	floats []float32
	ints   []int64
}

// checkShape compares the shape, where -1 is any size, and the number of values. The error wraps ErrModel.
func (t tensorView) checkShape(shape ...int64) error {
	ok := len(t.shape) == len(shape)
	total := int64(1)
	for i := range shape {
		ok = ok && t.shape[i] >= 0 && t.shape[i] <= math.MaxInt32 && (shape[i] < 0 || shape[i] == t.shape[i])
		if ok {
			total *= t.shape[i]
		}
		ok = ok && total <= math.MaxInt32
	}
	if !ok || int64(max(len(t.floats), len(t.ints))) != total {
		return fmt.Errorf("output %s has shape %v with %d values, want %v (-1 is any): %w",
			t.name, t.shape, max(len(t.floats), len(t.ints)), shape, ErrModel)
	}
	return nil
}

// checkNumbers fails when all values from..to-1 are NaN. Such a network computes nothing; without this check the count
// would be 0. The error wraps ErrModel.
func (t tensorView) checkNumbers(from, to int) error {
	for _, v := range t.floats[from:to] {
		if v == v {
			return nil
		}
	}
	if from == to {
		return nil
	}
	return fmt.Errorf("output %s has no number among its %d values for a picture, only NaN: %w", t.name, to-from,
		ErrModel)
}

// checkLogits fails when no query from..to-1 has a number for a class that is wanted. The error wraps ErrModel.
func (r *recipe) checkLogits(t tensorView, from, to, classes int) error {
	if err := t.checkNumbers(from*classes, to*classes); err != nil {
		return err
	}
	wanted := false
	for q := from; q < to; q++ {
		for c, v := range t.floats[q*classes : (q+1)*classes] {
			if !r.kept(c) {
				continue
			}
			if v == v {
				return nil
			}
			wanted = true
		}
	}
	if !wanted {
		return nil
	}
	return fmt.Errorf("output %s has no number for the classes that count in a picture, only NaN: %w", t.name, ErrModel)
}

// lost counts the boxes of wanted animals in a picture, and those of them that are NaN.
type lost struct{ wanted, nan int }

func (l *lost) add(b []float32) {
	l.wanted++
	for _, v := range b {
		if v != v {
			l.nan++
			return
		}
	}
}

// check fails when animals were found and none has a box. Without this check the count would be 0.
func (l *lost) check(name string) error {
	if l.wanted == 0 || l.nan < l.wanted {
		return nil
	}
	return fmt.Errorf("output %s has only NaN for all %d animals in a picture: %w", name, l.wanted, ErrModel)
}

// decodePost reads the outputs of a network with built-in post-processing: boxes are in pixels of their region. It
// appends one list per region to dst.
func (r *recipe) decodePost(dst [][]detect.Box, regions []detect.Region, batch int, threshold float32, labels, boxes,
	scores tensorView) ([][]detect.Box, error) {
	if err := scores.checkShape(int64(batch), -1); err != nil {
		return dst, err
	}
	k := scores.shape[1]
	if err := labels.checkShape(int64(batch), k); err != nil {
		return dst, err
	}
	if err := boxes.checkShape(int64(batch), k, 4); err != nil {
		return dst, err
	}
	n := int(k)
	for i, region := range regions {
		if err := errors.Join(scores.checkNumbers(i*n, (i+1)*n), boxes.checkNumbers(i*n*4, (i+1)*n*4)); err != nil {
			return dst, err
		}
		var list []detect.Box
		var l lost
		for q := i * n; q < (i+1)*n; q++ {
			class := int(labels.ints[q])
			score := scores.floats[q]
			if !(score >= threshold && score <= maxScore) || !r.kept(class) {
				continue
			}
			b := boxes.floats[q*4 : q*4+4]
			l.add(b)
			if box, ok := place(region, b[0], b[1], b[2], b[3]); ok {
				box.Score, box.Class, box.Label, box.Other = min(score, 1), class, r.label(class), r.other(class)
				list = append(list, box)
			}
		}
		if err := l.check(boxes.name); err != nil {
			return dst, err
		}
		dst = append(dst, list)
	}
	return dst, nil
}

// decodeRaw reads logits and boxes (centre and size, relative to the picture). Each query gives at most one box, of its
// best class that is wanted.
func (r *recipe) decodeRaw(dst [][]detect.Box, regions []detect.Region, batch int, threshold float32, logits,
	boxes tensorView) ([][]detect.Box, error) {
	if err := logits.checkShape(int64(batch), -1, -1); err != nil {
		return dst, err
	}
	queries, classes := int(logits.shape[1]), int(logits.shape[2])
	if err := boxes.checkShape(int64(batch), int64(queries), 4); err != nil {
		return dst, err
	}
	for i, region := range regions {
		if err := errors.Join(r.checkLogits(logits, i*queries, (i+1)*queries, classes),
			boxes.checkNumbers(i*queries*4, (i+1)*queries*4)); err != nil {
			return dst, err
		}
		var list []detect.Box
		var l lost
		for q := i * queries; q < (i+1)*queries; q++ {
			class, score := r.bestClass(logits.floats[q*classes : (q+1)*classes])
			if class < 0 || !(score >= threshold) {
				continue
			}
			b := boxes.floats[q*4 : q*4+4]
			l.add(b)
			w, h := float32(region.Width), float32(region.Height)
			if box, ok := place(region, (b[0]-b[2]/2)*w, (b[1]-b[3]/2)*h, (b[0]+b[2]/2)*w, (b[1]+b[3]/2)*h); ok {
				box.Score, box.Class, box.Label, box.Other = score, class, r.label(class), r.other(class)
				list = append(list, box)
			}
		}
		if err := l.check(boxes.name); err != nil {
			return dst, err
		}
		dst = append(dst, list)
	}
	return dst, nil
}

// bestClass returns the best class of a query and its score, or -1. With softmax the best of all classes must be
// wanted: the others are evidence against it. With sigmoid the classes are independent.
func (r *recipe) bestClass(logits []float32) (int, float32) {
	objects := len(logits)
	if r.noObject(objects) {
		objects--
	}
	class := -1
	for c := range max(objects, 0) {
		if r.scores == scoresSigmoid && !r.kept(c) {
			continue
		}
		if v := logits[c]; v == v && (class < 0 || v > logits[class]) {
			class = c
		}
	}
	if class < 0 || !r.kept(class) {
		return -1, 0
	}
	if r.scores == scoresSigmoid {
		return class, float32(1 / (1 + math.Exp(-float64(logits[class]))))
	}
	top := logits[class]
	for _, v := range logits[objects:] {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v - top))
	}
	return class, float32(math.Exp(float64(logits[class]-top)) / sum)
}

// place moves a box from its region into the frame and cuts it at the edges of both. It returns false for a box with
// NaN values, and for an inverted or empty one.
func place(r detect.Region, x1, y1, x2, y2 float32) (detect.Box, bool) {
	for _, v := range [4]float32{x1, y1, x2, y2} {
		if !(v > -maxCoordinate && v < maxCoordinate) {
			return detect.Box{}, false
		}
	}
	right, bottom := min(r.X+r.Width, r.Frame.Width), min(r.Y+r.Height, r.Frame.Height)
	b := detect.Box{
		X1: max(x1+float32(r.X), float32(r.X)),
		Y1: max(y1+float32(r.Y), float32(r.Y)),
		X2: min(x2+float32(r.X), float32(right)),
		Y2: min(y2+float32(r.Y), float32(bottom)),
	}
	return b, b.X2-b.X1 >= minSide && b.Y2-b.Y1 >= minSide
}

// Bounds of the values of a network.
const (
	minSide       = 1      // pixels; a smaller box is rounding noise
	maxCoordinate = 1e6    // pixels; larger than any picture
	maxScore      = 1.0001 // rounding may give a score just above 1
)
