package track

import (
	"math"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video"
)

// color is the mean color of the middle of an animal, blue, green and red, 0..255. known is false without a picture.
type color struct {
	bgr   [3]float64
	known bool
}

// colorOf samples the middle of a box.
func colorOf(f *video.Frame, b detect.Box) color {
	if f == nil {
		return color{}
	}
	const n = 6
	var c color
	for i := range n {
		for k := range n {
			x := int(float64(b.X1) + float64(b.Width())*(0.3+0.4*(float64(i)+0.5)/n))
			y := int(float64(b.Y1) + float64(b.Height())*(0.3+0.4*(float64(k)+0.5)/n))
			x, y = min(max(x, 0), f.Width-1), min(max(y, 0), f.Height-1)
			o := (y*f.Width + x) * 3
			for ch := range c.bgr {
				c.bgr[ch] += float64(f.Pix[o+ch])
			}
		}
	}
	for ch := range c.bgr {
		c.bgr[ch] /= n * n
	}
	c.known = true
	return c
}

// add brings the color of the n-th hit into the mean.
func (c *color) add(o color, n int) {
	if !o.known {
		return
	}
	share := 1.0
	if c.known {
		share = max(1/float64(n), 0.2) // the light changes slowly
	}
	for i := range c.bgr {
		c.bgr[i] += share * (o.bgr[i] - c.bgr[i])
	}
	c.known = true
}

// difference is 0 for equal colors and 1 for clearly different ones.
func (c color) difference(o color) float64 {
	if !c.known || !o.known {
		return 0
	}
	sum := 0.0
	for i := range c.bgr {
		d := c.bgr[i] - o.bgr[i]
		sum += d * d
	}
	const clear = 120
	return min(1, math.Sqrt(sum)/clear)
}
