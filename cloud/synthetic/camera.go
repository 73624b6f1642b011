package synthetic

import "math"

// point is a place on the ground in metres, +y down in a picture with heading 0.
type point struct{ x, y float64 }

func (p point) dist(q point) float64 { return math.Hypot(p.x-q.x, p.y-q.y) }

func (p point) along(heading, metres float64) point {
	s, c := math.Sincos(heading)
	return point{p.x + c*metres, p.y + s*metres}
}

// camera is the view of a drone at one moment: a parallel projection, tilted from straight down and turned by heading,
// or a central projection straight down.
type camera struct {
	at            point   // on the ground in the middle of the picture
	heading       float64 // radians
	scale         float64 // pixels per metre of ground
	tilt          float64 // radians from straight down
	height        float64 // above ground in metres, infinite for a parallel projection
	width, rows   int     // of the picture in pixels
	cosH, sinH    float64
	cosT, sinT    float64
	midX, midY    float64
	slantX, turnY float64 // shift of a point per metre of its height, in metres on the ground, of a parallel projection
}

// prepare computes the rest from at, heading, scale, tilt, height, width and rows.
func (c *camera) prepare() {
	c.sinH, c.cosH = math.Sincos(c.heading)
	c.sinT, c.cosT = math.Sincos(c.tilt)
	c.midX, c.midY = float64(c.width)/2, float64(c.rows)/2
	lean := c.sinT / c.cosT
	c.slantX, c.turnY = lean*c.sinH, -lean*c.cosH
}

// slant is how a point z metres above p appears on the ground: at p, enlarged around the point below the camera, and
// shifted by z times the slant.
func (c *camera) slant(p point) (x, y, enlarged float64) {
	if math.IsInf(c.height, 1) {
		return c.slantX, c.turnY, 1
	}
	const mean = 0.8 // height of an animal's middle
	d := max(c.height-mean, 1)
	return (p.x - c.at.x) / d, (p.y - c.at.y) / d, c.height / d
}

// project returns the pixel of a point z metres above the ground.
func (c *camera) project(p point, z float64) (x, y float64) {
	dx, dy := p.x-c.at.x, p.y-c.at.y
	if math.IsInf(c.height, 1) {
		dx, dy = dx+z*c.slantX, dy+z*c.turnY
	} else {
		k := c.height / max(c.height-z, 0.5)
		dx, dy = dx*k, dy*k
	}
	rx, ry := dx*c.cosH+dy*c.sinH, dy*c.cosH-dx*c.sinH
	return c.midX + c.scale*rx, c.midY + c.scale*ry*c.cosT
}

// ground returns the point on the ground at a pixel.
func (c *camera) ground(x, y float64) point {
	rx, ry := (x-c.midX)/c.scale, (y-c.midY)/(c.scale*c.cosT)
	return point{c.at.x + rx*c.cosH - ry*c.sinH, c.at.y + rx*c.sinH + ry*c.cosH}
}

// toGround is the affine map of ground for pixels: x = m[0]*px + m[1]*py + m[2], y = m[3]*px + m[4]*py + m[5].
func (c *camera) toGround() [6]float64 {
	k, kt := 1/c.scale, 1/(c.scale*c.cosT)
	m := [6]float64{c.cosH * k, -c.sinH * kt, 0, c.sinH * k, c.cosH * kt, 0}
	m[2] = c.at.x - m[0]*c.midX - m[1]*c.midY
	m[5] = c.at.y - m[3]*c.midX - m[4]*c.midY
	return m
}

// depth orders animals from far to near.
func (c *camera) depth(p point) float64 {
	return (p.y-c.at.y)*c.cosH - (p.x-c.at.x)*c.sinH
}

// view is the extent on the ground of the picture, grown by a margin in metres.
func (c *camera) view(margin float64) bounds {
	b := emptyBounds()
	for _, x := range []float64{0, float64(c.width)} {
		for _, y := range []float64{0, float64(c.rows)} {
			g := c.ground(x, y)
			b.add(g.x, g.y)
		}
	}
	b.grow(margin)
	return b
}

// bounds is a box. In pixels of the frame it may reach beyond the frame.
type bounds struct{ x0, y0, x1, y1 float64 }

func emptyBounds() bounds { return bounds{math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)} }

func (b *bounds) add(x, y float64) {
	b.x0, b.y0, b.x1, b.y1 = min(b.x0, x), min(b.y0, y), max(b.x1, x), max(b.y1, y)
}

func (b *bounds) join(o bounds) {
	b.add(o.x0, o.y0)
	b.add(o.x1, o.y1)
}

func (b *bounds) grow(by float64) { b.x0, b.y0, b.x1, b.y1 = b.x0-by, b.y0-by, b.x1+by, b.y1+by }

func (b bounds) holds(p point) bool { return p.x > b.x0 && p.x < b.x1 && p.y > b.y0 && p.y < b.y1 }
