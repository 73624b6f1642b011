package solid

import "math"

// Camera is a pinhole camera. Pixels count from the top left corner of the picture.
type Camera struct {
	Width, Height        int
	pos                  Vec
	right, down, forward Vec
	focal, cx, cy        float64 // pixels
}

// NewCamera returns a camera that looks at the origin of the ground from a distance in metres, with the focal length in
// pixels. tilt is the angle from straight down and roll the angle around its axis, both in radians. Without roll +y is
// up in the picture.
func NewCamera(width, height int, focal, distance, tilt, roll float64) *Camera {
	st, ct := math.Sincos(tilt)
	sr, cr := math.Sincos(roll)
	c := &Camera{Width: width, Height: height, focal: focal, cx: float64(width) / 2, cy: float64(height) / 2}
	c.pos = Vec{0, -st * distance, ct * distance}
	c.forward = Vec{0, st, -ct}
	right, down := Vec{X: 1}, Vec{0, -ct, -st}
	c.right = right.Scale(cr).Add(down.Scale(sr))
	c.down = down.Scale(cr).Add(right.Scale(-sr))
	return c
}

const near = 0.5 // metres; nothing nearer to the camera is drawn

// Project returns the pixel of p and its depth, and false for a point that is not in front of the camera.
func (c *Camera) Project(p Vec) (x, y, depth float64, ok bool) {
	d := p.Sub(c.pos)
	z := d.Dot(c.forward)
	if z < near {
		return 0, 0, 0, false
	}
	return c.cx + c.focal*d.Dot(c.right)/z, c.cy + c.focal*d.Dot(c.down)/z, z, true
}

// Ray is the direction of the line of sight of a pixel, of length 1.
func (c *Camera) Ray(x, y float64) Vec {
	return c.forward.Scale(c.focal).Add(c.right.Scale(x - c.cx)).Add(c.down.Scale(y - c.cy)).Unit()
}

func (c *Camera) toEye(p Vec) Vec { return c.pos.Sub(p).Unit() }

// Pos is the place of the camera.
func (c *Camera) Pos() Vec { return c.pos }

// Ground is the place at height 0 at a pixel. It returns false above the horizon.
func (c *Camera) Ground(x, y float64) (Vec, bool) {
	r := c.Ray(x, y)
	if r.Z > -1e-3 {
		return Vec{}, false
	}
	g := c.pos.Add(r.Scale(-c.pos.Z / r.Z))
	g.Z = 0
	return g, true
}

// PerMetre is the number of pixels of a metre across the line of sight at p, 0 for a point that is not in front of the
// camera.
func (c *Camera) PerMetre(p Vec) float64 {
	z := p.Sub(c.pos).Dot(c.forward)
	if z < near {
		return 0
	}
	return c.focal / z
}
