package ledger

import (
	"fmt"
	"math"
)

// Window is a part of the earth: degrees of WGS 84. One that reaches over the 180th meridian has West above East (RFC
// 7946 section 5.2).
type Window struct{ West, South, East, North float64 }

// Check returns an error that wraps ErrInvalid for a window that is none.
func (w Window) Check() error {
	for _, v := range []struct {
		name         string
		value, limit float64
	}{{"west", w.West, 180}, {"south", w.South, 90}, {"east", w.East, 180}, {"north", w.North, 90}} {
		if math.IsNaN(v.value) || math.Abs(v.value) > v.limit {
			return fmt.Errorf("%s %g is not from -%g to %g: %w", v.name, v.value, v.limit, v.limit, ErrInvalid)
		}
	}
	if w.South > w.North {
		return fmt.Errorf("south %g is above north %g; the order is west, south, east, north: %w", w.South, w.North, ErrInvalid)
	}
	return nil
}

// Contains reports whether a point is in the window or on its border.
func (w Window) Contains(lat, lon float64) bool {
	if lat < w.South || lat > w.North {
		return false
	}
	if w.West > w.East {
		return lon >= w.West || lon <= w.East
	}
	return lon >= w.West && lon <= w.East
}

// Levels of tiles: the circle of 360 degrees has 1 << level of them, so a tile has the same number of degrees both
// ways.
const (
	placeLevel  = 19 // about 76 m at the equator
	groundLevel = 15 // about 1.2 km
)

// tileOf returns the column and the row of the tile of a point.
func tileOf(lat, lon float64, level int) (x, y uint32) {
	at := func(degrees float64, tiles int64) uint32 {
		n := math.Floor(degrees / 360 * float64(int64(1)<<level))
		return uint32(min(max(n, 0), float64(tiles-1)))
	}
	return at(lon+180, 1<<level), at(lat+90, 1<<(level-1))
}

// cellOf is the number of a tile on a Z-order curve: the bits of column and row by turns.
func cellOf(x, y uint32) int64 { return spread32(x) | spread32(y)<<1 }

// spread32 puts a zero between the bits of a number with at most 31 bits.
func spread32(v uint32) int64 {
	n := uint64(v)
	for _, s := range []struct {
		by   int
		mask uint64
	}{{16, 0x0000ffff0000ffff}, {8, 0x00ff00ff00ff00ff}, {4, 0x0f0f0f0f0f0f0f0f}, {2, 0x3333333333333333}, {1, 0x5555555555555555}} {
		n = (n | n<<s.by) & s.mask
	}
	return int64(n & math.MaxInt64)
}

// cells is a range of numbers of tiles.
type cells struct{ first, last int64 }

// mostRanges is how many ranges of cells stand for a window. With fewer of them more tiles around it are read.
const mostRanges = 32

// ranges returns ranges of tiles that cover the window, in their order. Every tile of the window is in one; other tiles
// may be, too.
func (w Window) ranges(level int) []cells {
	quads := []quad{{0, 0, 1 << level}}
	for {
		finer, whole := quads[:0:0], true
		for _, q := range quads {
			if q.size == 1 || w.holds(q, level) {
				finer = append(finer, q)
				continue
			}
			whole = false
			half := q.size / 2
			for _, c := range []quad{{q.x, q.y, half}, {q.x + half, q.y, half}, {q.x, q.y + half, half},
				{q.x + half, q.y + half, half}} {
				if w.touches(c, level) {
					finer = append(finer, c)
				}
			}
		}
		r := rangesOf(finer)
		switch {
		case whole:
			return r
		case len(r) > mostRanges:
			return rangesOf(quads)
		}
		quads = finer
	}
}

// quad is a square of tiles that follow each other on the curve.
type quad struct{ x, y, size uint32 }

// parts are the columns of a window, in one or two runs, and its rows.
func (w Window) parts(level int) (columns [][2]uint32, rows [2]uint32) {
	west, south := tileOf(w.South, w.West, level)
	east, north := tileOf(w.North, w.East, level)
	if w.West > w.East {
		return [][2]uint32{{0, east}, {west, 1<<level - 1}}, [2]uint32{south, north}
	}
	return [][2]uint32{{west, east}}, [2]uint32{south, north}
}

func (w Window) touches(q quad, level int) bool {
	columns, rows := w.parts(level)
	for _, c := range columns {
		if q.x <= c[1] && q.x+q.size > c[0] && q.y <= rows[1] && q.y+q.size > rows[0] {
			return true
		}
	}
	return false
}

func (w Window) holds(q quad, level int) bool {
	columns, rows := w.parts(level)
	for _, c := range columns {
		if q.x >= c[0] && q.x+q.size-1 <= c[1] && q.y >= rows[0] && q.y+q.size-1 <= rows[1] {
			return true
		}
	}
	return false
}

// rangesOf joins squares that follow each other.
func rangesOf(quads []quad) (out []cells) {
	for _, q := range quads {
		first := cellOf(q.x, q.y)
		last := first + int64(q.size)*int64(q.size) - 1
		if n := len(out); n > 0 && out[n-1].last+1 == first {
			out[n-1].last = last
		} else {
			out = append(out, cells{first, last})
		}
	}
	return out
}

// extent is the box of what a count saw. East may be above 180, for a box over the 180th meridian.
type extent struct {
	west, south, east, north float64
	known                    bool
}

// extentOf is the box of the animals and the footprint of a ground.
func extentOf(g Ground) (e extent) {
	var lons []float64
	add := func(lon, lat float64) {
		if !e.known {
			e.south, e.north, e.known = lat, lat, true
		}
		e.south, e.north = min(e.south, lat), max(e.north, lat)
		lons = append(lons, lon)
	}
	for _, p := range g.Places {
		add(p.Lon, p.Lat)
	}
	for _, polygon := range g.Footprint {
		for _, ring := range polygon {
			for _, p := range ring {
				add(p[0], p[1])
			}
		}
	}
	for i, lon := range lons {
		if i == 0 {
			e.west, e.east = lon, lon
		}
		if lon < lons[0]-180 { // the shorter way round
			lon += 360
		} else if lon > lons[0]+180 {
			lon -= 360
		}
		e.west, e.east = min(e.west, lon), max(e.east, lon)
	}
	if e.west < -180 {
		e.west, e.east = e.west+360, e.east+360
	}
	return e
}

// Limits of the tiles of a box.
const (
	mostCells = 16
	anywhere  = int64(-1) // the cell of a box with more of them
)

// cells are the larger tiles of the box.
func (e extent) cells() (out []int64) {
	if !e.known {
		return nil
	}
	w := Window{West: e.west, South: e.south, East: e.east, North: e.north}
	if w.East > 180 {
		w.East -= 360
	}
	columns, rows := w.parts(groundLevel)
	for _, c := range columns {
		for x := c[0]; x <= c[1]; x++ {
			for y := rows[0]; y <= rows[1]; y++ {
				if len(out) == mostCells {
					return []int64{anywhere}
				}
				out = append(out, cellOf(x, y))
			}
		}
	}
	return out
}
