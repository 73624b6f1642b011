package condition

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/video"
)

// Most points of a frame that are looked at: enough for shares of a hundredth, and little work for a frame of any size.
const (
	columns = 72
	rows    = 48
)

// measures describe one frame by some thousand of its pixels. Brightness is luma of ITU-R BT.601, 0 to 255.
type measures struct {
	low, middle, high float64 // brightness that 5, 50 and 95 % of the points do not exceed
	white             float64 // share of points with a brightness of at least 244
	color             float64 // difference of the strongest and weakest channel that 95 % of the points do not exceed
	heatSensor        bool    // the frame has the size of a thermal sensor
	palette           palette
	sharpness         sharpness
}

// heatSensors are the sizes in pixels of thermal sensors of drones. Cameras of light have none of them.
var heatSensors = [][2]int{
	{1280, 1024}, {640, 512}, {640, 480}, {384, 288}, {336, 256}, {320, 256}, {320, 240}, {256, 192}, {160, 120},
}

// measure looks at a grid of points of a valid frame.
func measure(f *video.Frame) measures {
	var m measures
	var brightness, color [256]int
	var sums paletteSums
	points, white := 0, 0
	eachPoint(f, columns, rows, func(x, y int) {
		i := (y*f.Width + x) * 3
		b, g, r := int(f.Pix[i]), int(f.Pix[i+1]), int(f.Pix[i+2])
		l := luma(f.Pix[i:])
		points++
		brightness[l]++
		if l >= 244 {
			white++
		}
		color[max(b, g, r)-min(b, g, r)]++
		sums.add(l, b, g, r)
	})
	m.low, m.middle, m.high = quantile(&brightness, points, 0.05), quantile(&brightness, points, 0.5),
		quantile(&brightness, points, 0.95)
	m.color = quantile(&color, points, 0.95)
	m.white = float64(white) / float64(points)
	m.palette = sums.palette(points)
	m.heatSensor = slices.Contains(heatSensors, [2]int{f.Width, f.Height})
	m.sharpness = measureSharpness(f)
	return m
}

// eachPoint calls do with the middles of the cells of a grid.
func eachPoint(f *video.Frame, nx, ny int, do func(x, y int)) {
	nx, ny = min(nx, f.Width), min(ny, f.Height)
	for j := range ny {
		y := (2*j + 1) * f.Height / (2 * ny)
		for i := range nx {
			do((2*i+1)*f.Width/(2*nx), y)
		}
	}
}

// luma is the brightness of a pixel in the order blue, green, red.
func luma(p []byte) int { return (29*int(p[0]) + 150*int(p[1]) + 77*int(p[2])) >> 8 }

func quantile(histogram *[256]int, n int, share float64) float64 {
	want := int(math.Ceil(share * float64(n)))
	for v, k := range histogram {
		if want -= k; want <= 0 {
			return float64(v)
		}
	}
	return 255
}

// palette tells whether the colors lie on one line through the color space, as those of a thermal camera do: each heat
// has one color.
type palette struct {
	// byBrightness is the share of the variance of color that the brightness explains.
	byBrightness float64
	// straight is the share that a straight line explains: ground of one material is darker and brighter in one color.
	straight float64
	// spread is the standard deviation of the color, in levels of a channel.
	spread float64
	// byHue is the share of the variance of brightness that the hue explains, among points with a strong color.
	byHue float64
	// strong is the share of points with a strong color, and hues the number of twelfths of the circle that hold at
	// least a fiftieth of them each.
	strong float64
	hues   int
}

const (
	brightnessBins = 32
	hueBins        = 36
	strongColor    = 40 // levels between the strongest and the weakest channel
)

// bin sums values with their squares.
type bin struct {
	n      float64
	sum    [2]float64
	square float64
}

func (b *bin) add(u, v float64) {
	b.n++
	b.sum[0] += u
	b.sum[1] += v
	b.square += u*u + v*v
}

// scatter is the sum of squared distances from the mean.
func (b *bin) scatter() float64 {
	if b.n == 0 {
		return 0
	}
	return max(0, b.square-(b.sum[0]*b.sum[0]+b.sum[1]*b.sum[1])/b.n)
}

type paletteSums struct {
	luma       bin
	products   [2]float64 // of luma and color
	color      bin
	brightness bin // of points with a strong color
	byLuma     [brightnessBins]bin
	byHue      [hueBins]bin
}

func (s *paletteSums) add(l, b, g, r int) {
	u, v := float64(b-l), float64(r-l)
	s.color.add(u, v)
	s.luma.add(float64(l), 0)
	s.products[0] += u * float64(l)
	s.products[1] += v * float64(l)
	s.byLuma[l*brightnessBins/256].add(u, v)
	if max(b, g, r)-min(b, g, r) < strongColor {
		return
	}
	s.brightness.add(float64(l), 0)
	s.byHue[hueBin(b, g, r)].add(float64(l), 0)
}

// hueBin divides the circle of hues from red over green and blue.
func hueBin(b, g, r int) int {
	high, low := max(b, g, r), min(b, g, r)
	sixth := 0.0
	switch d := float64(high - low); high {
	case r:
		sixth = float64(g-b) / d
	case g:
		sixth = 2 + float64(b-r)/d
	default:
		sixth = 4 + float64(r-g)/d
	}
	if sixth < 0 {
		sixth += 6
	}
	return min(int(sixth*hueBins/6), hueBins-1)
}

func (s *paletteSums) palette(points int) palette {
	p := palette{
		byBrightness: explained(&s.color, s.byLuma[:]), straight: s.straight(), byHue: explained(&s.brightness, s.byHue[:]),
		spread: math.Sqrt(s.color.scatter() / float64(points)), strong: s.brightness.n / float64(points),
	}
	const twelfth = hueBins / 12
	for i := 0; i < hueBins; i += twelfth {
		n := 0.0
		for _, b := range s.byHue[i : i+twelfth] {
			n += b.n
		}
		if n > 0 && n >= s.brightness.n/50 {
			p.hues++
		}
	}
	return p
}

// straight is the share of the scatter of color that a linear function of the brightness explains.
func (s *paletteSums) straight() float64 {
	all := s.color.scatter() * s.luma.scatter()
	if all <= 0 {
		return 0
	}
	covariance := 0.0
	for k, p := range s.products {
		c := p - s.color.sum[k]*s.luma.sum[0]/s.luma.n
		covariance += c * c
	}
	return min(1, covariance/all)
}

// explained is the share of the scatter of all that lies between the bins, 0 without any scatter.
func explained(all *bin, bins []bin) float64 {
	total := all.scatter()
	if total <= 0 {
		return 0
	}
	within := 0.0
	for i := range bins {
		within += bins[i].scatter()
	}
	return max(0, 1-within/total)
}
