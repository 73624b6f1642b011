package detect

import (
	"context"
	"fmt"

	"cattlecounter/cloud/count/video"
)

// Model looks at regions of frames. detr.Model implements it.
type Model interface {
	// DetectRegions appends to dst one list of boxes per region, in their
	// order, in pixels of the region's frame and within the region, with
	// scores of at least threshold. One animal may be in the list more than
	// once. It is safe for use by several goroutines.
	DetectRegions(ctx context.Context, dst [][]Box, regions []Region, threshold float32) ([][]Box, error)
}

// Tiler is a Detector that cuts frames into tiles, has a model look at them,
// and merges what the tiles saw into one box per animal.
type Tiler struct {
	model     Model
	grid      Grid
	threshold float32
}

// NewTiler returns a Tiler that keeps scores of at least threshold, 0..1.
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
		return nil, fmt.Errorf("model gave %d answers to %d regions", len(found), len(regions))
	}
	out := make([][]Box, len(frames))
	start := 0
	for i, end := range ends {
		out[i] = merge(gather(regions[start:end], found[start:end]), t.threshold)
		start = end
	}
	return out, nil
}
