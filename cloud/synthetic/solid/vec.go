// Package solid draws triangle meshes from above: vectors, meshes of tubes, balls and boxes, a pinhole camera, and a
// depth-buffered canvas with the mesh of each sample. It is pure Go and deterministic.
package solid

import "math"

// Vec is a place or direction in metres: x and y on the ground, z up.
type Vec struct{ X, Y, Z float64 }

func (a Vec) Add(b Vec) Vec            { return Vec{a.X + b.X, a.Y + b.Y, a.Z + b.Z} }
func (a Vec) Sub(b Vec) Vec            { return Vec{a.X - b.X, a.Y - b.Y, a.Z - b.Z} }
func (a Vec) Scale(f float64) Vec      { return Vec{a.X * f, a.Y * f, a.Z * f} }
func (a Vec) Dot(b Vec) float64        { return a.X*b.X + a.Y*b.Y + a.Z*b.Z }
func (a Vec) Len() float64             { return math.Sqrt(a.Dot(a)) }
func (a Vec) Mix(b Vec, t float64) Vec { return a.Add(b.Sub(a).Scale(t)) }

// Cross is the right-handed product.
func (a Vec) Cross(b Vec) Vec {
	return Vec{a.Y*b.Z - a.Z*b.Y, a.Z*b.X - a.X*b.Z, a.X*b.Y - a.Y*b.X}
}

// Unit is a at length 1, and up for the zero vector.
func (a Vec) Unit() Vec {
	l := a.Len()
	if l == 0 {
		return Vec{Z: 1}
	}
	return a.Scale(1 / l)
}

// RGB is linear light or reflectance, 0..1 without direct light.
type RGB struct{ R, G, B float64 }

// SRGB converts a colour of a picture file, 0..255 per channel.
func SRGB(r, g, b float64) RGB { return RGB{linear(r), linear(g), linear(b)} }

func linear(v float64) float64 {
	v /= 255
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func (c RGB) Add(o RGB) RGB       { return RGB{c.R + o.R, c.G + o.G, c.B + o.B} }
func (c RGB) Mul(o RGB) RGB       { return RGB{c.R * o.R, c.G * o.G, c.B * o.B} }
func (c RGB) Scale(f float64) RGB { return RGB{c.R * f, c.G * f, c.B * f} }
func (c RGB) Mix(o RGB, t float64) RGB {
	return RGB{c.R + (o.R-c.R)*t, c.G + (o.G-c.G)*t, c.B + (o.B-c.B)*t}
}
