package place

import (
	"math"
	"slices"
)

// footprint traces the ground that the views show. It draws the views into a grid and follows the borders of the drawn
// cells.
func (v *viewer) footprint(r *Result) {
	quads := v.quads()
	if len(quads) == 0 {
		return
	}
	lowE, lowN, highE, highN := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, q := range quads {
		for _, p := range q {
			lowE, highE = min(lowE, p[0]), max(highE, p[0])
			lowN, highN = min(lowN, p[1]), max(highN, p[1])
		}
	}
	const cells = 500
	size := max(1, math.Max(highE-lowE, highN-lowN)/cells)
	g := newGrid(int((highE-lowE)/size)+3, int((highN-lowN)/size)+3)
	for _, q := range quads {
		for i := range q {
			q[i] = [2]float64{(q[i][0]-lowE)/size + 1, (q[i][1]-lowN)/size + 1}
		}
		g.fill(q)
	}
	n := 0
	for _, c := range g.cells {
		if c {
			n++
		}
	}
	r.Area = float64(n) * size * size
	for _, polygon := range g.polygons() {
		var rings [][][2]float64
		for _, ring := range polygon {
			out := make([][2]float64, len(ring))
			for i, p := range ring {
				lat, lon := v.path.frame.Degrees(lowE+(float64(p[0])-1)*size, lowN+(float64(p[1])-1)*size)
				out[i] = [2]float64{lon, lat}
			}
			rings = append(rings, out)
		}
		r.Footprint = append(r.Footprint, rings)
	}
}

// quads are the corners of at most 2000 views on the ground, in metres. A view that shows almost the ground of the one
// before is left out.
func (v *viewer) quads() [][][2]float64 {
	const most = 2000
	var out [][][2]float64
	stride := max(1, len(v.views)/most)
	for i := 0; i < len(v.views); i += stride {
		w := &v.views[i]
		var q [][2]float64
		for _, c := range [...][2]float64{{0, 0}, {2 * w.mx, 0}, {2 * w.mx, 2 * w.my}, {0, 2 * w.my}} {
			e, n, ok := v.ground(w, &v.u, c[0], c[1])
			if !ok || math.Hypot(e-w.at.e, n-w.at.n) > 10*max(w.up, lowest) {
				break // the horizon: this far nothing is counted
			}
			q = append(q, [2]float64{e, n})
		}
		if len(q) == 4 && (len(out) == 0 || far(out[len(out)-1], q)) {
			out = append(out, q)
		}
	}
	return out
}

// far reports whether a corner moved by more than a part of the picture.
func far(a, b [][2]float64) bool {
	const part = 0.06
	most := part * math.Hypot(a[0][0]-a[2][0], a[0][1]-a[2][1])
	for i := range a {
		if math.Hypot(a[i][0]-b[i][0], a[i][1]-b[i][1]) > most {
			return true
		}
	}
	return false
}

// grid has cells that are seen or not. Its outer cells are never seen.
type grid struct {
	w, h  int
	cells []bool
}

func newGrid(w, h int) *grid { return &grid{w: w, h: h, cells: make([]bool, w*h)} }

func (g *grid) at(x, y int) bool { return x >= 0 && y >= 0 && x < g.w && y < g.h && g.cells[y*g.w+x] }

// fill sets the cells whose middles lie in a convex polygon.
func (g *grid) fill(q [][2]float64) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, p := range q {
		low, high = min(low, p[1]), max(high, p[1])
	}
	for y := max(1, int(low-1)); y <= min(g.h-2, int(high+1)); y++ {
		mid := float64(y) + 0.5
		var xs []float64
		for i := range q {
			a, b := q[i], q[(i+1)%len(q)]
			if (a[1] <= mid) != (b[1] <= mid) {
				xs = append(xs, a[0]+(mid-a[1])/(b[1]-a[1])*(b[0]-a[0]))
			}
		}
		slices.Sort(xs)
		for k := 0; k+1 < len(xs); k += 2 {
			for x := max(1, int(math.Ceil(xs[k]-0.5))); x <= min(g.w-2, int(math.Floor(xs[k+1]-0.5))); x++ {
				g.cells[y*g.w+x] = true
			}
		}
	}
}

// polygons follows the borders. Outer rings go counterclockwise, holes clockwise; every ring ends where it begins.
func (g *grid) polygons() [][][][2]int {
	type corner = [2]int
	next := map[corner][]corner{}
	for y := range g.h {
		for x := range g.w {
			if !g.at(x, y) {
				continue
			}
			// The seen cell is on the left of each edge.
			edges := [...]struct {
				open bool
				a, b corner
			}{
				{!g.at(x, y-1), corner{x, y}, corner{x + 1, y}}, {!g.at(x+1, y), corner{x + 1, y}, corner{x + 1, y + 1}},
				{!g.at(x, y+1), corner{x + 1, y + 1}, corner{x, y + 1}}, {!g.at(x-1, y), corner{x, y + 1}, corner{x, y}},
			}
			for _, e := range edges {
				if e.open {
					next[e.a] = append(next[e.a], e.b)
				}
			}
		}
	}
	var outer [][][]corner
	var holes [][]corner
	for y := range g.h + 1 {
		for x := range g.w + 1 {
			for len(next[corner{x, y}]) > 0 {
				ring := follow(next, corner{x, y})
				if area(ring) > 0 {
					outer = append(outer, [][]corner{ring})
				} else {
					holes = append(holes, ring)
				}
			}
		}
	}
	for _, h := range holes {
		for i := range outer {
			if inside(outer[i][0], h[0]) {
				outer[i] = append(outer[i], h)
				break
			}
		}
	}
	return outer
}

// follow takes one ring out of the edges, and leaves out corners on straight lines. Where two cells touch at a corner
// only, it turns left, so that rings do not cross themselves.
func follow(next map[[2]int][][2]int, from [2]int) [][2]int {
	ring := [][2]int{from}
	at, dir := from, [2]int{}
	for {
		list := next[at]
		pick := 0
		for i, to := range list {
			d := [2]int{to[0] - at[0], to[1] - at[1]}
			if len(list) > 1 && dir != [2]int{} && dir[0]*d[1]-dir[1]*d[0] > 0 {
				pick = i
			}
		}
		to := list[pick]
		next[at] = slices.Delete(list, pick, pick+1)
		d := [2]int{to[0] - at[0], to[1] - at[1]}
		if d == dir {
			ring[len(ring)-1] = to
		} else {
			ring = append(ring, to)
		}
		at, dir = to, d
		if at == from {
			return ring
		}
	}
}

// area is twice the size of a ring, above 0 when it goes counterclockwise.
func area(ring [][2]int) int {
	sum := 0
	for i := range len(ring) - 1 {
		sum += ring[i][0]*ring[i+1][1] - ring[i+1][0]*ring[i][1]
	}
	return sum
}

// inside reports whether a corner lies in a ring or on its lower or left border.
func inside(ring [][2]int, p [2]int) bool {
	in := false
	x, y := float64(p[0])+0.25, float64(p[1])+0.25
	for i := range len(ring) - 1 {
		a, b := ring[i], ring[i+1]
		if (float64(a[1]) <= y) != (float64(b[1]) <= y) && x < float64(a[0]) {
			in = !in
		}
	}
	return in
}
