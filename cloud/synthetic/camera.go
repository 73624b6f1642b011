package synthetic

import "math"

// Direction in which shadows fall, in metres on the ground per metre of height.
const (
	sunX = 0.45
	sunY = 0.35
)

// camera is the view of a drone at one moment: a parallel projection, tilted from straight down and turned by heading.
// At the height and focal length of a survey the perspective within an animal is less than a pixel.
type camera struct {
	at            point   // on the ground in the middle of the picture
	heading       float64 // radians
	scale         float64 // pixels per metre
	tilt          float64 // radians from straight down
	width, height int

	cosH, sinH, cosT, sinT float64
}

func (c *camera) prepare() {
	c.sinH, c.cosH = math.Sincos(c.heading)
	c.sinT, c.cosT = math.Sincos(c.tilt)
}

// project returns the pixel of a point z metres above the ground.
func (c *camera) project(p point, z float64) (x, y float64) {
	dx, dy := p.x-c.at.x, p.y-c.at.y
	rx, ry := dx*c.cosH+dy*c.sinH, dy*c.cosH-dx*c.sinH
	return float64(c.width)/2 + c.scale*rx, float64(c.height)/2 + c.scale*(ry*c.cosT-z*c.sinT)
}

// ground returns the point at height z that is visible at a pixel.
func (c *camera) ground(x, y, z float64) point {
	rx := (x - float64(c.width)/2) / c.scale
	ry := ((y-float64(c.height)/2)/c.scale + z*c.sinT) / c.cosT
	return point{c.at.x + rx*c.cosH - ry*c.sinH, c.at.y + rx*c.sinH + ry*c.cosH}
}

// depth orders animals from far to near.
func (c *camera) depth(p point) float64 {
	return (p.y-c.at.y)*c.cosH - (p.x-c.at.x)*c.sinH
}

// flight is the path of the drone: along x at a steady speed, with slow changes of place, heading and height by wind
// and operator, and the small remaining shake of a gimbal.
type flight struct {
	speed  float64 // metres a second
	scale  float64
	tilt   float64
	width  int
	height int
	phase  [5]float64
}

func (f *flight) at(t float64) camera {
	wave := func(i int, period float64) float64 { return math.Sin(2*math.Pi*t/period + f.phase[i]) }
	c := camera{
		at:      point{f.speed*t + 0.4*wave(0, 7), 1.5*wave(1, 11) + 0.02*wave(2, 0.31)},
		heading: 0.05 * wave(3, 13),
		scale:   f.scale * (1 + 0.03*wave(4, 9)),
		tilt:    f.tilt, width: f.width, height: f.height,
	}
	c.prepare()
	return c
}
