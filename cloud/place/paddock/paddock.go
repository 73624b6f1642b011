// Package paddock counts the animals of a result within borders that the user gives: paddocks, as polygons with holes. It
// reads borders as GeoJSON, KML, KMZ, zipped shapefile and GeoPackage, and writes GeoJSON, KML and GeoPackage. It is pure Go and does no I/O
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
	maxPoints   = 50_000 // of one paddock
	maxDepth    = 8      // collections within collections
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
// two paddocks that overlap counts in both. A paddock of which nothing was seen, and every paddock of a result whose animals
// have no positions, has no number of animals: nil, not 0.
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
	Flight   int     // animals of one flight share most of the error of their places
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
	b := border{}
	for _, p := range points {
		at := a.metres([2]float64{p.Lon, p.Lat})
		to := a.toBorder(at)
		inside, d := a.contains(at), math.Hypot(to[0], to[1])
		b.add(p.Flight, inside, to, p.Radius)
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
	if w.Placed == 0 && w.Unique > 0 || o.Seen == 0 && n == 0 {
		return // the animals may be anywhere, or nothing was looked at
	}
	low, high := b.interval(n, w)
	o.Animals, o.Low, o.High = &n, &low, &high
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
