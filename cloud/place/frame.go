package place

import "math"

// Frame is a flat piece of the earth around an origin. Use NewFrame.
type Frame struct {
	lat, lon     float64 // degrees
	north, east  float64 // metres per degree
	OriginHeight float64 // of the terrain, 0 without one
}

// NewFrame returns the frame around a point. Within 10 km its metres are right to 0.1 %.
func NewFrame(lat, lon float64) Frame {
	const a, e2 = 6378137.0, 6.69437999014e-3 // WGS 84
	s, c := math.Sincos(lat * math.Pi / 180)
	w := 1 - e2*s*s
	return Frame{lat: lat, lon: lon, north: a * (1 - e2) / (w * math.Sqrt(w)) * math.Pi / 180,
		east: max(a/math.Sqrt(w)*c, 1) * math.Pi / 180}
}

// Metres returns how far a point is east and north of the origin. It takes the short way over the date line.
func (f Frame) Metres(lat, lon float64) (east, north float64) {
	return math.Remainder(lon-f.lon, 360) * f.east, (lat - f.lat) * f.north
}

// Degrees is the inverse of Metres.
func (f Frame) Degrees(east, north float64) (lat, lon float64) {
	return f.lat + north/f.north, math.Remainder(f.lon+east/f.east, 360)
}
