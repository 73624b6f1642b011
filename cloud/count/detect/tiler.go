package detect

import (
	"context"
	"fmt"

	"cattlecounter/cloud/count/video"
)

// Model finds animals in regions of frames. detr.Model implements it.
type Model interface {
	// DetectRegions appends to dst one list of boxes per region, in the order of regions. Boxes are in pixels of the
	// region's frame, lie within the region and have scores of at least threshold. A list may have several boxes of one
	// animal. It is safe for concurrent use.
	DetectRegions(ctx context.Context, dst [][]Box, regions []Region, threshold float32) ([][]Box, error)
}

// Tiler is a Detector that cuts frames into tiles, runs a model on them, and merges the boxes of the tiles into one box
// per animal.
type Tiler struct {
	model     Model
	grid      Grid
	threshold float32
}

// NewTiler returns a Tiler for scores of at least threshold, 0 to below 1.
func NewTiler(m Model, g Grid, threshold float64) (*Tiler, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if !(threshold >= 0 && threshold < 1) {
		return nil, fmt.Errorf("threshold of %v, want 0 to below 1", threshold)
	}
	return &Tiler{model: m, grid: g, threshold: float32(threshold)}, nil
}

// Detect implements Detector.
func (t *Tiler) Detect(ctx context.Context, frames []*video.Frame) ([][]Box, error) {
	var regions []Region
	ends := make([]int, len(frames))
	for i, f := range frames {
		if err := f.Validate(); err != nil {
			return nil, err
		}
		regions = t.grid.Regions(regions, f)
		ends[i] = len(regions)
	}
	least := t.threshold
	if t.grid.Tile > 0 {
		least *= weak
	}
	found, err := t.model.DetectRegions(ctx, make([][]Box, 0, len(regions)), regions, least)
	if err != nil {
		return nil, err
	}
	if len(found) != len(regions) {
		return nil, fmt.Errorf("the model returned %d results for %d regions", len(found), len(regions))
	}
	out := make([][]Box, len(frames))
	start := 0
	for i, end := range ends {
		out[i] = merge(gather(regions[start:end], found[start:end]), t.threshold)
		start = end
	}
	return out, nil
}
