package detr

import "math"

// resampling is a filter by its number in the Python Imaging Library, as in the files of Hugging Face.
type resampling int

const (
	nearest  resampling = 0
	lanczos  resampling = 1
	bilinear resampling = 2
	bicubic  resampling = 3
)

func (r resampling) valid() bool { return r >= nearest && r <= bicubic }

// support is the radius of the filter in source pixels at scale 1.
func (r resampling) support() float64 {
	switch r {
	case lanczos:
		return 3
	case bicubic:
		return 2
	}
	return 1
}

func (r resampling) weight(x float64) float64 {
	x = math.Abs(x)
	switch r {
	case lanczos:
		if x >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	case bicubic: // Keys, a = -0.5
		switch {
		case x < 1:
			return (1.5*x-2.5)*x*x + 1
		case x < 2:
			return ((-0.5*x+2.5)*x-4)*x + 2
		}
		return 0
	}
	return max(0, 1-x)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// taps holds the source pixels and their weights for every target pixel of one axis.
type taps struct {
	first  []int     // first source pixel of each target pixel
	weight []float32 // width weights for each target pixel
	width  int
}

// newTaps computes the weights to resize src pixels to dst. A filter that shrinks is stretched over all source pixels,
// so that small animals do not fall between the samples.
func newTaps(src, dst int, r resampling) taps {
	scale := float64(src) / float64(dst)
	stretch := max(scale, 1)
	radius := r.support() * stretch
	t := taps{first: make([]int, dst), width: min(src, int(math.Ceil(radius))*2+1)}
	if r == nearest {
		t.width = 1
	}
	t.weight = make([]float32, dst*t.width)
	for i := range dst {
		centre := (float64(i) + 0.5) * scale
		w := t.weight[i*t.width : (i+1)*t.width]
		if r == nearest {
			t.first[i] = min(int(centre), src-1)
			w[0] = 1
			continue
		}
		lo := max(0, int(centre-radius+0.5))
		hi := min(src, int(centre+radius+0.5))
		t.first[i] = min(lo, src-t.width)
		sum := 0.0
		for s := lo; s < hi; s++ {
			sum += r.weight((float64(s) - centre + 0.5) / stretch)
		}
		for s := lo; s < hi; s++ {
			w[s-t.first[i]] = float32(r.weight((float64(s)-centre+0.5)/stretch) / sum)
		}
	}
	return t
}
