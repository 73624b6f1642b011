// Package paddock counts the animals of a result within borders that the user gives: paddocks, as polygons with holes. It
// reads borders as GeoJSON, KML, KMZ and zipped shapefile, and writes GeoJSON and KML. It is pure Go and does no I/O
// besides the writers that it is given.
package paddock

import (
	"errors"
	"math"
	"sync"

	"github.com/tidwall/rtree"

	"cattlecounter/cloud/count/report"
)

// Paddock is a named piece of land.
type Paddock struct {
	Name string
	// Polygons are rings of longitude and latitude in degrees, the outer ring first; the others are holes. Polygons that
	// touch are one piece of land: the seam between them is no border.
	Polygons [][][][2]float64
}

// Limits of a file of paddocks.
const (
	MaxFile     = 16 << 20 // bytes, also of what a ZIP archive unpacks to
	maxPaddocks = 10_000
	maxDepth    = 8 // collections within collections
)

// ErrFile marks bytes that hold no paddocks. Compare with errors.Is.
var ErrFile = errors.New("not a file of paddocks")

// Set is paddocks with an index by place. Use NewSet. It is safe for concurrent use.
type Set struct {
	list []Paddock
	tree rtree.RTreeG[int]

	mu    sync.Mutex
	areas map[int]*area // those that were asked for
}

// NewSet indexes paddocks. It keeps the list.
func NewSet(list []Paddock) *Set {
	s := &Set{list: list, areas: map[int]*area{}}
	for i, p := range list {
		low, high := bounds(p.Polygons)
		s.tree.Insert(low, high, i)
	}
	return s
}

// List returns the paddocks in their order.
func (s *Set) List() []Paddock { return s.list }

// bounds are the corners of the smallest box around the outer rings.
func bounds(polygons [][][][2]float64) (low, high [2]float64) {
	low, high = [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, rings := range polygons {
		for _, p := range rings[0] {
			for k := range low {
				low[k], high[k] = min(low[k], p[k]), max(high[k], p[k])
			}
		}
	}
	return low, high
}

// area returns paddock i in metres.
func (s *Set) area(i int) *area {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.areas[i] == nil {
		s.areas[i] = newArea(s.list[i])
	}
	return s.areas[i]
}

// within returns the paddocks that have a part in a box of degrees, in their order.
func (s *Set) within(low, high [2]float64) map[int]bool {
	found := map[int]bool{}
	s.tree.Search(low, high, func(_, _ [2]float64, i int) bool {
		found[i] = true
		return true
	})
	return found
}

// Count counts the animals of a result in each paddock and sets the paddocks of its Place, which must be set. An animal in
// two paddocks that overlap counts in both. A paddock of which nothing was seen, and every paddock of a result without
// positions, has no number of animals: nil, not 0.
func Count(res *report.Result, paddocks []Paddock) { NewSet(paddocks).Count(res) }

// Count is the function of that name for an indexed set.
func (s *Set) Count(res *report.Result) {
	found := s.Animals(res.Tracks, res.Place.Footprint, Whole{Unique: res.Count.Unique, Low: res.Count.Low, High: res.Count.High,
		Placed: res.Place.Placed})
	res.Place.Paddocks, res.Place.Outside = []report.Paddock{}, 0
	in := map[int]bool{}
	for i := range s.list {
		p, ok := found[i]
		if !ok {
			p = report.Paddock{Name: s.list[i].Name, Tracks: []int{}, Area: math.Round(s.area(i).size())}
		}
		for _, id := range p.Tracks {
			in[id] = true
		}
		res.Place.Paddocks = append(res.Place.Paddocks, p)
	}
	for _, t := range res.Tracks {
		if t.Position != nil && !in[t.ID] {
			res.Place.Outside++
		}
	}
}

// Whole is the count that the animals are part of.
type Whole struct {
	Unique, Low, High int
	Placed            int // animals with a position
}

// Point is where an animal is.
type Point struct {
	ID       int
	Lat, Lon float64 // WGS 84, degrees
	Radius   float64 // metres, 95 %
}

// Animals counts animals in the paddocks that are near to one of them or to the seen ground, by the index of the paddock.
func (s *Set) Animals(tracks []report.Track, footprint [][][][2]float64, w Whole) map[int]report.Paddock {
	var points []Point
	for _, t := range tracks {
		if p := t.Position; p != nil {
			points = append(points, Point{ID: t.ID, Lat: p.Latitude, Lon: p.Longitude, Radius: p.Radius})
		}
	}
	return s.Points(points, footprint, w)
}

// Points is Animals for places.
func (s *Set) Points(points []Point, footprint [][][][2]float64, w Whole) map[int]report.Paddock {
	out := map[int]report.Paddock{}
	near := map[int]bool{}
	for _, p := range points {
		// A box around the radius; a degree of longitude has at least so many metres at this latitude.
		dLat := p.Radius / 110_000
		dLon := p.Radius / (111_000 * max(0.02, math.Cos(p.Lat*math.Pi/180)))
		for i := range s.within([2]float64{p.Lon - dLon, p.Lat - dLat}, [2]float64{p.Lon + dLon, p.Lat + dLat}) {
			near[i] = true
		}
	}
	for _, rings := range footprint {
		low, high := bounds([][][][2]float64{rings})
		for i := range s.within(low, high) {
			near[i] = true
		}
	}
	for i := range near {
		a := s.area(i)
		o := report.Paddock{Name: s.list[i].Name, Tracks: []int{}, Area: math.Round(a.size()),
			Seen: math.Round(1000*a.seen(footprint)) / 1000}
		a.count(&o, points, w)
		out[i] = o
	}
	return out
}

// Size is the area of paddock i in square metres.
func (s *Set) Size(i int) float64 { return s.area(i).size() }

// count sets the animals of a paddock with their interval.
func (a *area) count(o *report.Paddock, points []Point, w Whole) {
	n := 0
	var b border
	for _, p := range points {
		at := a.metres([2]float64{p.Lon, p.Lat})
		inside, d := a.contains(at), a.toBorder(at)
		b.add(inside, d, p.Radius)
		switch near := d <= p.Radius; {
		case inside:
			n++
			o.Tracks = append(o.Tracks, p.ID)
			if near {
				o.Border++
			}
		case near:
			o.Near++
		}
	}
	if w.Placed == 0 || o.Seen == 0 && n == 0 {
		return // nothing was looked at
	}
	low, high := b.interval(n, w)
	o.Animals, o.Low, o.High = &n, &low, &high
}

// border is what the nearness of the border does to a number of animals.
type border struct {
	out, in       float64 // animals that are expected to be on the other side, inside and outside of the border
	outVar, inVar float64 // variances of both
}

// add adds an animal that lies d metres from the border. Within its 95 % radius its place is taken to be normal in both
// directions, and the border to be straight.
func (b *border) add(inside bool, d, radius float64) {
	const radii = 2.4477 // standard deviations within the 95 % radius of two dimensions
	sigma := radius / radii
	if sigma <= 0 || d > 4*sigma {
		return
	}
	wrong := 0.5 * math.Erfc(d/sigma/math.Sqrt2)
	if inside {
		b.out, b.outVar = b.out+wrong, b.outVar+wrong*(1-wrong)
	} else {
		b.in, b.inVar = b.in+wrong, b.inVar+wrong*(1-wrong)
	}
}

// interval is the 95 % interval of n animals of a count. The interval of the count shrinks with the square root of the
// share of its animals, because animals are missed and doubled one by one. To it come the animals that lie at the border,
// and above those whose place is not known.
func (b *border) interval(n int, w Whole) (low, high int) {
	share := math.Sqrt(min(1, max(float64(n), 1)/max(float64(w.Unique), 1)))
	below := math.Hypot(float64(w.Unique-w.Low)*share, b.out+1.96*math.Sqrt(b.outVar))
	above := math.Hypot(float64(w.High-w.Unique)*share, b.in+1.96*math.Sqrt(b.inVar))
	low = max(0, int(math.Round(float64(n)-below)))
	high = int(math.Round(float64(n)+above)) + max(0, w.Unique-w.Placed)
	return min(low, n), max(high, n)
}

// farAway is how far the flights of a farm are from its paddocks at most, in degrees: some 100 km.
const farAway = 1.0

// Far reports that all paddocks are far from every point of longitude and latitude, and whether they would be near to one
// with both swapped. Without points nothing is far.
func Far(list []Paddock, points [][2]float64) (far, swapped bool) {
	near := func(swap bool) bool {
		for _, p := range list {
			low, high := bounds(p.Polygons)
			for _, q := range points {
				if swap {
					q[0], q[1] = q[1], q[0]
				}
				if q[0] > low[0]-farAway && q[0] < high[0]+farAway && q[1] > low[1]-farAway && q[1] < high[1]+farAway {
					return true
				}
			}
		}
		return false
	}
	if len(points) == 0 || near(false) {
		return false, false
	}
	return true, near(true)
}
