package paddock

import (
	"math"
	"slices"

	"github.com/tidwall/rtree"

	"cattlecounter/cloud/place"
)

// segment is a straight piece of a border in metres.
type segment struct{ s, t [2]float64 }

// area is a paddock in metres.
type area struct {
	frame     place.Frame
	polygons  [][][][2]float64
	borders   []segment
	low, high [2]float64 // corners in degrees
}

func newArea(p Paddock) *area {
	first := p.Polygons[0][0][0]
	a := &area{frame: place.NewFrame(first[1], first[0])}
	a.low, a.high = bounds(p.Polygons)
	a.polygons = a.flat(p.Polygons)
	all := edgesOf(a.polygons)
	if len(a.polygons) == 1 {
		for _, e := range all.list {
			a.borders = append(a.borders, e.segment)
		}
		return a
	}
	for _, e := range all.list {
		a.borders = append(a.borders, all.withoutSeam(e)...)
	}
	return a
}

// edge is an edge of a polygon.
type edge struct {
	segment
	polygon int
}

// edges are the edges of polygons with an index by place: a paddock may have tens of thousands of them.
type edges struct {
	list []edge
	tree rtree.RTreeG[edge]
	east float64 // of all
}

func edgesOf(polygons [][][][2]float64) *edges {
	all := &edges{east: math.Inf(-1)}
	for i, rings := range polygons {
		for _, r := range rings {
			for k := range r {
				e := edge{segment{r[k], r[(k+1)%len(r)]}, i}
				all.list = append(all.list, e)
				low, high := e.box(0)
				all.east = max(all.east, high[0])
				if len(polygons) > 1 {
					all.tree.Insert(low, high, e)
				}
			}
		}
	}
	return all
}

// box is the smallest box with everything that is so near to a segment.
func (s segment) box(margin float64) (low, high [2]float64) {
	for k := range low {
		low[k], high[k] = min(s.s[k], s.t[k])-margin, max(s.s[k], s.t[k])+margin
	}
	return low, high
}

// contains reports whether a point lies in one of the polygons, as the function of that name does.
func (all *edges) contains(p [2]float64) bool {
	odd := map[int]bool{}
	all.tree.Search(p, [2]float64{max(p[0], all.east), p[1]}, func(_, _ [2]float64, e edge) bool {
		if e.crosses(p) {
			odd[e.polygon] = !odd[e.polygon]
		}
		return true
	})
	for _, in := range odd {
		if in {
			return true
		}
	}
	return false
}

// crosses reports whether the line from a point to the east crosses a segment.
func (s segment) crosses(p [2]float64) bool {
	return (s.s[1] <= p[1]) != (s.t[1] <= p[1]) && p[0] < s.s[0]+(p[1]-s.s[1])/(s.t[1]-s.s[1])*(s.t[0]-s.s[0])
}

// seam is how wide a gap between two polygons of a paddock may be, in metres: no fence stands in it.
const seam = 0.25

// withoutSeam returns the pieces of an edge that have land of the paddock on one side only.
func (all *edges) withoutSeam(e edge) []segment {
	length := math.Hypot(e.t[0]-e.s[0], e.t[1]-e.s[1])
	if length == 0 {
		return []segment{e.segment}
	}
	cuts := []float64{0, 1}
	low, high := e.box(2 * seam)
	all.tree.Search(low, high, func(_, _ [2]float64, o edge) bool {
		if o.polygon != e.polygon {
			cuts = append(cuts, cutsOf(e.segment, o.segment, length)...)
		}
		return true
	})
	slices.Sort(cuts)
	at := func(u float64) [2]float64 {
		return [2]float64{e.s[0] + u*(e.t[0]-e.s[0]), e.s[1] + u*(e.t[1]-e.s[1])}
	}
	n := [2]float64{-(e.t[1] - e.s[1]) / length * seam, (e.t[0] - e.s[0]) / length * seam}
	var out []segment
	for k := range len(cuts) - 1 {
		if cuts[k+1]-cuts[k] < 1e-9 {
			continue
		}
		m := at((cuts[k] + cuts[k+1]) / 2)
		if !all.contains([2]float64{m[0] + n[0], m[1] + n[1]}) || !all.contains([2]float64{m[0] - n[0], m[1] - n[1]}) {
			out = append(out, segment{at(cuts[k]), at(cuts[k+1])})
		}
	}
	return out
}

// cutsOf returns where another edge crosses or ends beside an edge, as shares of its length.
func cutsOf(e, o segment, length float64) (cuts []float64) {
	d := [2]float64{e.t[0] - e.s[0], e.t[1] - e.s[1]}
	add := func(u float64) {
		if u > 0 && u < 1 {
			cuts = append(cuts, u)
		}
	}
	var side [2]float64
	for k, p := range [][2]float64{o.s, o.t} {
		v := [2]float64{p[0] - e.s[0], p[1] - e.s[1]}
		side[k] = (d[0]*v[1] - d[1]*v[0]) / length
		if math.Abs(side[k]) <= 2*seam {
			add((d[0]*v[0] + d[1]*v[1]) / length / length)
		}
	}
	if (side[0] > 0) != (side[1] > 0) {
		u := side[0] / (side[0] - side[1])
		p := [2]float64{o.s[0] + u*(o.t[0]-o.s[0]) - e.s[0], o.s[1] + u*(o.t[1]-o.s[1]) - e.s[1]}
		add((d[0]*p[0] + d[1]*p[1]) / length / length)
	}
	return cuts
}

func (a *area) metres(p [2]float64) [2]float64 {
	e, n := a.frame.Metres(p[1], p[0])
	return [2]float64{e, n}
}

func (a *area) flat(polygons [][][][2]float64) [][][][2]float64 {
	out := make([][][][2]float64, len(polygons))
	for i, polygon := range polygons {
		for _, ring := range polygon {
			r := make([][2]float64, len(ring))
			for k, p := range ring {
				r[k] = a.metres(p)
			}
			out[i] = append(out[i], r)
		}
	}
	return out
}

func (a *area) contains(p [2]float64) bool { return contains(a.polygons, p) }

// Contains reports whether a point of longitude and latitude lies in one of the polygons.
func Contains(polygons [][][][2]float64, p [2]float64) bool { return contains(polygons, p) }

// contains reports whether a point lies in an odd number of the rings of one of the polygons.
func contains(polygons [][][][2]float64, p [2]float64) bool {
	for _, rings := range polygons {
		in := false
		for _, r := range rings {
			for i := range r {
				if (segment{r[i], r[(i+1)%len(r)]}).crosses(p) {
					in = !in
				}
			}
		}
		if in {
			return true
		}
	}
	return false
}

// toBorder is how many metres the nearest border is to the east and north.
func (a *area) toBorder(p [2]float64) [2]float64 {
	best, to := math.Inf(1), [2]float64{math.Inf(1), 0}
	for _, e := range a.borders {
		dx, dy := e.t[0]-e.s[0], e.t[1]-e.s[1]
		part := 0.0
		if l := dx*dx + dy*dy; l > 0 {
			part = min(1, max(0, ((p[0]-e.s[0])*dx+(p[1]-e.s[1])*dy)/l))
		}
		x, y := e.s[0]+part*dx-p[0], e.s[1]+part*dy-p[1]
		if d := math.Hypot(x, y); d < best {
			best, to = d, [2]float64{x, y}
		}
	}
	return to
}

// size is that of the outer rings without the holes, in square metres.
func (a *area) size() float64 {
	sum := 0.0
	for _, rings := range a.polygons {
		for k, r := range rings {
			if one := math.Abs(signedArea(r)); k == 0 {
				sum += one
			} else {
				sum -= one
			}
		}
	}
	return sum
}

// span is a piece of a line from west to east, in metres.
type span struct{ from, to float64 }

// spans returns the pieces of the line at north that lie in one of the polygons, in order and apart from each other.
func spans(polygons [][][][2]float64, north float64) []span {
	var all []span
	var xs []float64
	for _, rings := range polygons {
		xs = xs[:0]
		for _, r := range rings {
			for i := range r {
				s, t := r[i], r[(i+1)%len(r)]
				if (s[1] <= north) != (t[1] <= north) {
					xs = append(xs, s[0]+(north-s[1])/(t[1]-s[1])*(t[0]-s[0]))
				}
			}
		}
		slices.Sort(xs)
		for k := 0; k+1 < len(xs); k += 2 {
			all = append(all, span{xs[k], xs[k+1]})
		}
	}
	slices.SortFunc(all, func(a, b span) int {
		switch {
		case a.from < b.from:
			return -1
		case a.from > b.from:
			return 1
		}
		return 0
	})
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// lines is how many lines from west to east measure a share of a paddock.
const lines = 256

// seen is the share of the paddock within a footprint.
func (a *area) seen(footprint [][][][2]float64) float64 {
	var near [][][][2]float64
	for _, rings := range footprint {
		low, high := bounds([][][][2]float64{rings})
		if low[0] <= a.high[0] && high[0] >= a.low[0] && low[1] <= a.high[1] && high[1] >= a.low[1] {
			near = append(near, rings)
		}
	}
	if len(near) == 0 {
		return 0
	}
	ground := a.flat(near)
	_, south := a.frame.Metres(a.low[1], a.low[0])
	_, north := a.frame.Metres(a.high[1], a.low[0])
	all, seen := 0.0, 0.0
	for k := range lines {
		at := south + (float64(k)+0.5)/lines*(north-south)
		land, view := spans(a.polygons, at), spans(ground, at)
		i := 0
		for _, l := range land {
			all += l.to - l.from
			for i < len(view) && view[i].to <= l.from {
				i++
			}
			for j := i; j < len(view) && view[j].from < l.to; j++ {
				seen += min(l.to, view[j].to) - max(l.from, view[j].from)
			}
		}
	}
	if all <= 0 {
		return 0
	}
	return min(1, seen/all)
}
