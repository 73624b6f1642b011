package detect

import (
	"fmt"
	"math"

	"cattlecounter/cloud/count/video"
)

// Region is the part of a frame that a model processes in one piece. It may reach beyond the right and bottom edge of a
// frame that is smaller than a tile; the part outside is black.
type Region struct {
	Frame               *video.Frame
	X, Y, Width, Height int // pixels of the frame
}

// Grid describes how frames are cut into tiles. The zero value is whole frames.
type Grid struct {
	// Tile is the side of the square tiles in pixels, 0 for whole frames.
	Tile int
	// Overlap is the least share of a tile that its neighbour covers too, 0 to 0.9. It should be wider than an animal,
	// so that one of the two tiles has the whole animal.
	Overlap float64
}

// Validate checks the ranges.
func (g Grid) Validate() error {
	if g.Tile < 0 || g.Tile > 0 && g.Tile < 32 {
		return fmt.Errorf("tile of %d pixels, want 0 (whole frame) or at least 32", g.Tile)
	}
	if !(g.Overlap >= 0 && g.Overlap <= 0.9) {
		return fmt.Errorf("overlap of %v, want 0 to 0.9", g.Overlap)
	}
	return nil
}

// Regions appends the tiles of f to dst, row by row. They cover the whole frame and are spread evenly: every overlap is
// at least g.Overlap, and no narrow strip remains at the edge.
func (g Grid) Regions(dst []Region, f *video.Frame) []Region {
	if g.Tile == 0 {
		return append(dst, Region{Frame: f, Width: f.Width, Height: f.Height})
	}
	cols, rows := g.Count(f.Width), g.Count(f.Height)
	for r := range rows {
		for c := range cols {
			dst = append(dst, Region{Frame: f, X: g.start(c, cols, f.Width), Y: g.start(r, rows, f.Height),
				Width: g.Tile, Height: g.Tile})
		}
	}
	return dst
}

// Count is the number of tiles that cover a length in pixels.
func (g Grid) Count(length int) int {
	if length <= g.Tile {
		return 1
	}
	step := max(1, math.Floor(float64(g.Tile)*(1-g.Overlap)))
	return int(math.Ceil(float64(length-g.Tile)/step)) + 1
}

// start is the first pixel of tile i of n.
func (g Grid) start(i, n, length int) int {
	if n == 1 {
		return 0
	}
	return int(math.Round(float64(i) * float64(length-g.Tile) / float64(n-1)))
}
