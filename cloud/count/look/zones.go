package look

import (
	"math"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// zones divides a frame among the tiles of a grid: each tile answers for its zone, up to the middle of its overlaps.
type zones struct {
	regions []detect.Region
	xs, ys  []float64 // right edges of the columns, bottom edges of the rows
}

func newZones(g detect.Grid, f *video.Frame) zones {
	z := zones{regions: g.Regions(nil, f)}
	for i, r := range z.regions {
		if r.Y == z.regions[0].Y {
			z.xs = append(z.xs, float64(f.Width))
			if i > 0 {
				left := z.regions[i-1]
				z.xs[i-1] = float64(left.X+left.Width+r.X) / 2
			}
		}
		if r.X == z.regions[0].X {
			z.ys = append(z.ys, float64(f.Height))
			if n := len(z.ys); n > 1 {
				above := z.regions[i-len(z.xs)]
				z.ys[n-2] = float64(above.Y+above.Height+r.Y) / 2
			}
		}
	}
	return z
}

// at is the number of the tile whose zone has a place.
func (z zones) at(x, y float64) int {
	col, row := 0, 0
	for col < len(z.xs)-1 && x >= z.xs[col] {
		col++
	}
	for row < len(z.ys)-1 && y >= z.ys[row] {
		row++
	}
	return row*len(z.xs) + col
}

// rect is the zone of tile k.
func (z zones) rect(k int) motion.Rect {
	col, row := k%len(z.xs), k/len(z.xs)
	r := motion.Rect{X2: z.xs[col], Y2: z.ys[row]}
	if col > 0 {
		r.X1 = z.xs[col-1]
	}
	if row > 0 {
		r.Y1 = z.ys[row-1]
	}
	return r
}

// touches reports whether the zone of tile k shares ground with a zone of another grid that is due.
func (z zones) touches(k int, o zones, due []bool) bool {
	a := z.rect(k)
	for i, d := range due {
		if b := o.rect(i); d && math.Min(a.X2, b.X2) > math.Max(a.X1, b.X1) && math.Min(a.Y2, b.Y2) > math.Max(a.Y1, b.Y1) {
			return true
		}
	}
	return false
}
