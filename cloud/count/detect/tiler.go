package detect

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

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
	parts     int // of a look, in parallel
	least     int // regions of a part
}

// NewTiler returns a Tiler for scores of at least threshold, 0 to below 1.
func NewTiler(m Model, g Grid, threshold float64) (*Tiler, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if !(threshold >= 0 && threshold < 1) {
		return nil, fmt.Errorf("threshold of %v, want 0 to below 1", threshold)
	}
	return &Tiler{model: m, grid: g, threshold: float32(threshold), parts: 1, least: 1}, nil
}

// Parallel makes Look process its regions in up to parts parallel calls of the model, each with at least least regions.
// Without it there is one call. It must not be called during a look.
func (t *Tiler) Parallel(parts, least int) { t.parts, t.least = max(parts, 1), max(least, 1) }

// Look finds the animals in some tiles of one frame. It returns one box per animal, sorted by falling score. A box that
// the edge of a tile cuts, with no other of the tiles behind that edge, is left out: most of the animal may be where
// no tile looks. Look does not retain or change the frame. It is safe for concurrent use and ends early when ctx is
// done.
func (t *Tiler) Look(ctx context.Context, tiles []Region) ([]Box, error) {
	if len(tiles) == 0 {
		return nil, nil
	}
	if err := tiles[0].Frame.Validate(); err != nil {
		return nil, err
	}
	size := max(t.least, (len(tiles)+t.parts-1)/t.parts)
	found := make([][]Box, len(tiles))
	g, ctx := errgroup.WithContext(ctx)
	for from := 0; from < len(tiles); from += size {
		part := tiles[from:min(from+size, len(tiles))]
		g.Go(func() error {
			boxes, err := t.model.DetectRegions(ctx, make([][]Box, 0, len(part)), part, t.leastScore(len(tiles)))
			if err == nil && len(boxes) != len(part) {
				err = fmt.Errorf("the model returned %d results for %d regions", len(boxes), len(part))
			}
			if err != nil {
				return err
			}
			copy(found[from:], boxes)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return merge(gather(tiles, found), t.threshold), nil
}

// leastScore is the least score that the model returns: with several tiles two weak boxes may support each other.
func (t *Tiler) leastScore(tiles int) float32 {
	if tiles > 1 {
		return t.threshold * weak
	}
	return t.threshold
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
