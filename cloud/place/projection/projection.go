// Package projection turns the metres of maps into longitude and latitude of WGS 84, and back: universal transverse Mercator
// on WGS 84 and on systems within two metres of it, and the web's Mercator. Systems in degrees pass as they are. It is pure
// Go and does no I/O.
package projection

import "math"

// Projection maps degrees to the plane of a coordinate system. Get one from ByCode. It is safe for concurrent use.
type Projection struct {
	// Degrees maps x and y of the system, usually metres, to WGS 84 degrees. Metres is its inverse.
	Degrees func(x, y float64) (lon, lat float64)
	Metres  func(lon, lat float64) (x, y float64)
	// Geographic says that x and y are longitude and latitude themselves.
	Geographic bool
}

// geographic are systems in degrees on WGS 84, or within two metres of it, by their EPSG codes: NAD83, ETRS89, GDA94 and
// GDA2020, NZGD2000, SIRGAS 2000, POSGAR, MAGNA, Hartebeesthoek94, RGF93, JGD2000 and JGD2011, CGCS2000.
var geographic = map[int]bool{4326: true, 4979: true, 4269: true, 4152: true, 4759: true, 6318: true, 4617: true, 4258: true,
	4283: true, 7844: true, 4167: true, 4674: true, 4190: true, 5340: true, 4694: true, 4686: true, 4148: true, 4171: true,
	4612: true, 6668: true, 4490: true}

// zones are runs of UTM zones on such systems in the EPSG registry.
var zones = []struct {
	first, last int // codes
	zone        int // of the first
	south       bool
}{
	{32601, 32660, 1, false}, {32701, 32760, 1, true}, // WGS 84
	{31965, 31976, 11, false}, {31977, 31985, 17, true}, // SIRGAS 2000
	{25828, 25838, 28, false}, // ETRS89
	{26901, 26923, 1, false},  // NAD83
	{28348, 28358, 48, true},  // GDA94
	{7846, 7859, 46, true},    // GDA2020
}

// ByCode returns the projection with an EPSG code; false for one that is not known here.
func ByCode(code int) (Projection, bool) {
	switch {
	case geographic[code]:
		same := func(x, y float64) (float64, float64) { return x, y }
		return Projection{Degrees: same, Metres: same, Geographic: true}, true
	case code == 3857:
		return webMercator(), true
	}
	for _, z := range zones {
		if code >= z.first && code <= z.last {
			return utm(z.zone+code-z.first, z.south), true
		}
	}
	return Projection{}, false
}

// UTM returns the projection of a zone, 1 to 60; false for others.
func UTM(zone int, south bool) (Projection, bool) {
	if zone < 1 || zone > 60 {
		return Projection{}, false
	}
	return utm(zone, south), true
}

const (
	axis       = 6378137.0         // metres, WGS 84
	flattening = 1 / 298.257223563 // WGS 84
	degree     = math.Pi / 180     // radians
	third      = flattening / (2 - flattening)
	scale      = 0.9996 // at the middle of a zone
	eastZero   = 500e3  // metres
	southZero  = 10e6
)

func webMercator() Projection {
	return Projection{
		Degrees: func(x, y float64) (float64, float64) {
			return x / axis / degree, math.Atan(math.Sinh(y/axis)) / degree
		},
		Metres: func(lon, lat float64) (float64, float64) {
			return axis * lon * degree, axis * math.Asinh(math.Tan(lat*degree))
		},
	}
}

// utm is the transverse Mercator projection by the series of Krüger to the fourth order of the third flattening (Karney,
// "Transverse Mercator with an accuracy of a few nanometers", 2011): millimetres within the zone and its neighbors.
func utm(zone int, south bool) Projection {
	const n = third
	radius := scale * axis / (1 + n) * (1 + n*n/4 + n*n*n*n/64)
	forward := [4]float64{n/2 - n*n*2/3 + n*n*n*5/16 + n*n*n*n*41/180, n*n*13/48 - n*n*n*3/5 + n*n*n*n*557/1440,
		n*n*n*61/240 - n*n*n*n*103/140, n * n * n * n * 49561 / 161280}
	back := [4]float64{n/2 - n*n*2/3 + n*n*n*37/96 - n*n*n*n/360, n*n/48 + n*n*n/15 - n*n*n*n*437/1440,
		n*n*n*17/480 - n*n*n*n*37/840, n * n * n * n * 4397 / 161280}
	latitude := [4]float64{2*n - n*n*2/3 - 2*n*n*n + n*n*n*n*116/45, n*n*7/3 - n*n*n*8/5 - n*n*n*n*227/45,
		n*n*n*56/15 - n*n*n*n*136/35, n * n * n * n * 4279 / 630}
	middle := float64(6*zone - 183) // degrees
	north := 0.0
	if south {
		north = southZero
	}
	e := 2 * math.Sqrt(n) / (1 + n)
	return Projection{
		Metres: func(lon, lat float64) (x, y float64) {
			d := math.Remainder(lon-middle, 360) * degree
			s := math.Sin(lat * degree)
			t := math.Sinh(math.Atanh(s) - e*math.Atanh(e*s))
			xi, eta := math.Atan2(t, math.Cos(d)), math.Atanh(math.Sin(d)/math.Hypot(1, t))
			a, b := xi, eta
			for k, c := range forward {
				j := 2 * float64(k+1)
				a += c * math.Sin(j*xi) * math.Cosh(j*eta)
				b += c * math.Cos(j*xi) * math.Sinh(j*eta)
			}
			return eastZero + radius*b, north + radius*a
		},
		Degrees: func(x, y float64) (lon, lat float64) {
			xi, eta := (y-north)/radius, (x-eastZero)/radius
			a, b := xi, eta
			for k, c := range back {
				j := 2 * float64(k+1)
				a -= c * math.Sin(j*xi) * math.Cosh(j*eta)
				b -= c * math.Cos(j*xi) * math.Sinh(j*eta)
			}
			chi := math.Asin(math.Sin(a) / math.Cosh(b))
			phi := chi
			for k, c := range latitude {
				phi += c * math.Sin(2*float64(k+1)*chi)
			}
			return math.Remainder(middle+math.Atan2(math.Sinh(b), math.Cos(a))/degree, 360), phi / degree
		},
	}
}
