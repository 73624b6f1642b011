package condition

import (
	"math"

	"cattlecounter/cloud/count/video"
)

// directions in which the brightness of neighbors is compared: across, down, and both diagonals.
var directions = [4][2]int{{1, 0}, {0, 1}, {1, 1}, {1, -1}}

// Distances in pixels of a picture of 1920 pixels; in larger pictures they grow with it. The brightness is the mean of
// a square, so that the noise of a sensor and the blocks of an encoder count little.
const (
	square       = 4
	nearDistance = 4
	farDistance  = 32
	fullWidth    = 1920
)

// sharpness compares the differences of brightness over a short and a long distance (structure functions). In a sharp
// picture neighbors differ nearly half as much as distant places do.
type sharpness struct {
	near, far [4]float64 // root mean square of the differences, by direction
}

// measureSharpness compares squares at a part of the points. It returns zeros for a frame that is too small.
func measureSharpness(f *video.Frame) sharpness {
	scale := max(1, (max(f.Width, f.Height)+fullWidth/2)/fullWidth)
	margin := farDistance * scale
	if min(f.Width, f.Height) < 3*margin {
		return sharpness{}
	}
	var near, far [4]float64
	n := 0
	eachPoint(f, columns/2, rows/2, func(x, y int) {
		x, y = min(max(x, margin), f.Width-square-margin), min(max(y, margin), f.Height-square-margin)
		here := meanGreen(f, x, y)
		n++
		for k, d := range directions {
			short, long := nearDistance*scale, farDistance*scale
			if k >= 2 { // a step along a diagonal is longer by the root of two
				short, long = (short*7+5)/10, (long*7+5)/10
			}
			a := here - meanGreen(f, x+d[0]*short, y+d[1]*short)
			b := here - meanGreen(f, x+d[0]*long, y+d[1]*long)
			near[k] += a * a
			far[k] += b * b
		}
	})
	var s sharpness
	for k := range directions {
		s.near[k] = math.Sqrt(near[k] / float64(n))
		s.far[k] = math.Sqrt(far[k] / float64(n))
	}
	return s
}

// contrast is the difference of distant places.
func (s sharpness) contrast() float64 { return max(s.far[0], s.far[1]) }

// detail is the difference of neighbors as a share of the contrast, along the direction in which it is least.
func (s sharpness) detail() float64 {
	least := math.Inf(1)
	for k := 0; k < 4; k += 2 {
		least = min(least, min(s.near[k], s.near[k+1])*2/(s.far[k]+s.far[k+1]))
	}
	return least
}

// meanGreen is the mean of the green channel in a square, which is most of the brightness.
func meanGreen(f *video.Frame, x, y int) float64 {
	sum := 0
	for j := range square {
		row := f.Pix[((y+j)*f.Width+x)*3:][:square*3]
		for i := 1; i < len(row); i += 3 {
			sum += int(row[i])
		}
	}
	return float64(sum) / (square * square)
}
