package track

import "math"

const (
	// gate is the largest distance, in sizes of the animal, between an exactly known place and a detection of the same
	// animal.
	gate = 0.7
	// sizeRatio is the largest ratio of the sizes of box and track.
	sizeRatio = 2.5
	// sizeWeight is the cost of a size that differs by a factor of e.
	sizeWeight = 0.25
	// colorWeight is the cost of a clearly different color.
	colorWeight = 0.3
)

// cost returns the cost of joining a track and a sighting, and whether they can be joined.
func cost(t *Track, s *sighting) (float64, bool) {
	e := t.expected
	bx, by := float64(s.box.X1+s.box.X2)/2, float64(s.box.Y1+s.box.Y2)/2
	size := math.Sqrt(float64(s.box.Area()))
	unit := (e.size + size) / 2
	d := math.Hypot(bx-e.x, by-e.y) / unit
	if d > gate+e.doubt/unit || t.otherWalker(s) {
		return 0, false
	}
	ratio := math.Abs(math.Log(size / e.size))
	if !s.cut && ratio > math.Log(sizeRatio) {
		return 0, false
	}
	if s.cut {
		ratio = 0
	}
	return d + sizeWeight*ratio + colorWeight*t.color.difference(s.color), true
}

type edge struct {
	track, sighting int
	cost            float64
}

// match joins tracks without a sighting and sightings without a track, of one strength, at the smallest sum of costs.
func match(tracks []*Track, sightings []sighting, strong bool) {
	var edges []edge
	for i, t := range tracks {
		if strong {
			t.matched = -1
		}
		if !t.expected.inView || t.matched >= 0 {
			continue
		}
		for j := range sightings {
			if s := &sightings[j]; s.strong == strong && !s.matched {
				if c, ok := cost(t, s); ok {
					edges = append(edges, edge{i, j, c})
				}
			}
		}
	}
	for _, group := range groups(edges) {
		for _, e := range assign(group) {
			tracks[e.track].matched = e.sighting
			sightings[e.sighting].matched = true
		}
	}
}

// groups splits edges into sets that share no track and no sighting. The assignment takes cubic time, so small sets are
// much faster.
func groups(edges []edge) [][]edge {
	parent := map[int]int{}
	var find func(int) int
	find = func(x int) int {
		p, ok := parent[x]
		if !ok || p == x {
			return x
		}
		r := find(p)
		parent[x] = r
		return r
	}
	node := func(sighting int) int { return -1 - sighting }
	for _, e := range edges {
		parent[find(e.track)] = find(node(e.sighting))
	}
	byRoot := map[int]int{}
	var out [][]edge
	for _, e := range edges {
		r := find(e.track)
		i, ok := byRoot[r]
		if !ok {
			i = len(out)
			byRoot[r] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], e)
	}
	return out
}

// assign returns as many edges as possible without using a track or a sighting twice, at the lowest cost (Kuhn 1955,
// Munkres 1957, in the shortest-path form of Jonker and Volgenant, 1987).
func assign(edges []edge) []edge {
	if len(edges) == 1 {
		return edges
	}
	rows, cols := number(edges, func(e edge) int { return e.track }), number(edges,
		func(e edge) int { return e.sighting })
	n := max(len(rows), len(cols))
	const none = 1e3 // the cost of leaving both free; larger than every sum of real costs
	c := make([][]float64, n)
	at := make([][]int, n)
	for i := range c {
		c[i], at[i] = make([]float64, n), make([]int, n)
		for j := range c[i] {
			c[i][j], at[i][j] = none, -1
		}
	}
	for k, e := range edges {
		i, j := rows[e.track], cols[e.sighting]
		c[i][j], at[i][j] = e.cost, k
	}
	var picked []edge
	for i, j := range solve(c) {
		if k := at[i][j]; k >= 0 {
			picked = append(picked, edges[k])
		}
	}
	return picked
}

func number(edges []edge, key func(edge) int) map[int]int {
	m := map[int]int{}
	for _, e := range edges {
		if _, ok := m[key(e)]; !ok {
			m[key(e)] = len(m)
		}
	}
	return m
}

// solve returns the column of each row in the cheapest complete assignment of a square matrix.
func solve(c [][]float64) []int {
	n := len(c)
	u, v := make([]float64, n+1), make([]float64, n+1)
	rowOf, way := make([]int, n+1), make([]int, n+1) // per column, 1-based; 0 is free
	for i := 1; i <= n; i++ {
		rowOf[0] = i
		dist := make([]float64, n+1)
		done := make([]bool, n+1)
		for j := range dist {
			dist[j] = math.Inf(1)
		}
		at := 0
		for rowOf[at] != 0 {
			done[at] = true
			row, next, least := rowOf[at], 0, math.Inf(1)
			for j := 1; j <= n; j++ {
				if done[j] {
					continue
				}
				if d := c[row-1][j-1] - u[row] - v[j]; d < dist[j] {
					dist[j], way[j] = d, at
				}
				if dist[j] < least {
					least, next = dist[j], j
				}
			}
			for j := range done {
				if done[j] {
					u[rowOf[j]] += least
					v[j] -= least
				} else {
					dist[j] -= least
				}
			}
			at = next
		}
		for at != 0 {
			rowOf[at] = rowOf[way[at]]
			at = way[at]
		}
	}
	cols := make([]int, n)
	for j := 1; j <= n; j++ {
		cols[rowOf[j]-1] = j - 1
	}
	return cols
}
