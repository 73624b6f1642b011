package ledger

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// Every point of a window is in one of its ranges, and the ranges follow each other.
func TestRangesCoverTheirWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	windows := []Window{{-180, -90, 180, 90}, {179.9, -20, -179.9, -19}, {24.3, -31.7, 24.3, -31.7}, {180, 90, 180, 90},
		{-180, -90, -180, -90}, {10, 50, -10, 60}, {0, 0, 1e-9, 90}}
	for range 300 {
		lon, lat, size := r.Float64()*360-180, r.Float64()*170-85, math.Pow(10, 1-5*r.Float64())
		windows = append(windows, Window{lon, lat, min(180, lon+size), min(90, lat+size*r.Float64())})
	}
	for _, w := range windows {
		must.Do(t, w.Check())
		for _, level := range []int{placeLevel, groundLevel} {
			all := w.ranges(level)
			if len(all) == 0 || len(all) > mostRanges {
				t.Fatalf("%+v has %d ranges", w, len(all))
			}
			for i, c := range all {
				if c.first > c.last || i > 0 && c.first <= all[i-1].last+1 {
					t.Fatalf("%+v: range %d is %+v after %+v", w, i, c, all[max(i-1, 0)])
				}
			}
			width := w.East - w.West
			if width < 0 {
				width += 360
			}
			for n := range 50 {
				lon, lat := w.West+width*r.Float64(), w.South+(w.North-w.South)*r.Float64()
				if n == 0 {
					lon, lat = w.East, w.North
				}
				if lon > 180 {
					lon -= 360
				}
				cell := cellOf(tileOf(lat, lon, level))
				if !slices.ContainsFunc(all, func(c cells) bool { return c.first <= cell && cell <= c.last }) {
					t.Fatalf("%+v: %g %g is in no range at level %d", w, lon, lat, level)
				}
			}
		}
	}
}

// A window of a paddock is covered by few tiles besides its own.
func TestRangesAreNarrow(t *testing.T) {
	w := Window{24.3, -31.71, 24.31, -31.7}
	columns, rows := w.parts(placeLevel)
	own := int64(columns[0][1]-columns[0][0]+1) * int64(rows[1]-rows[0]+1)
	read := int64(0)
	for _, c := range w.ranges(placeLevel) {
		read += c.last - c.first + 1
	}
	if read > 2*own {
		t.Errorf("%d tiles for a window of %d", read, own)
	}
}

func TestExtents(t *testing.T) {
	at := func(points ...[2]float64) (g Ground) {
		for _, p := range points {
			g.Places = append(g.Places, Place{Lon: p[0], Lat: p[1]})
		}
		return g
	}
	for name, c := range map[string]struct {
		ground Ground
		want   extent
		cells  int
	}{
		"nothing":    {Ground{}, extent{}, 0},
		"one animal": {at([2]float64{24, -31}), extent{24, -31, 24, -31, true}, 1},
		"a footprint": {Ground{Footprint: [][][][2]float64{{{{24, -31}, {24.001, -31}, {24.001, -30.999}, {24, -31}}}}},
			extent{24, -31, 24.001, -30.999, true}, 1},
		"over the meridian":          {at([2]float64{179.999, 5}, [2]float64{-179.999, 5}), extent{179.999, 5, 180.001, 5, true}, 2},
		"over the meridian, to west": {at([2]float64{-179.999, 5}, [2]float64{179.999, 5}), extent{179.999, 5, 180.001, 5, true}, 2},
		"a fix far away":             {at([2]float64{24, -31}, [2]float64{30, 3}), extent{24, -31, 30, 3, true}, 1},
	} {
		got := extentOf(c.ground)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
		if !near(got.west, c.want.west) || got.south != c.want.south || !near(got.east, c.want.east) || got.north != c.want.north ||
			got.known != c.want.known {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if n := len(got.cells()); n != c.cells {
			t.Errorf("%s: %d cells, want %d", name, n, c.cells)
		}
	}
}

func TestWindowsThatAreNone(t *testing.T) {
	for _, w := range []Window{{-181, 0, 0, 0}, {0, -91, 0, 0}, {0, 0, 181, 0}, {0, 0, 0, 91}, {0, 1, 1, 0}, {math.NaN(), 0, 1, 1},
		{0, 0, math.Inf(1), 1}} {
		must.FailWith(t, w.Check(), ErrInvalid)
	}
}
