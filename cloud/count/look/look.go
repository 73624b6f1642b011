// Package look plans the work of the detector: which tiles of which frames it looks at, and how large the tiles are.
//
// The detector takes most of the time of a count, and neighbouring frames show the same ground. So the planner looks at
// each piece of ground a set number of times while it is in view, spread over the time in view. It looks more often
// where animals walk, so that the tracker does not confuse them, and where the looks so far leave doubt. Tiles are as
// large as the size of the animals allows: a near animal does not need the resolution of a far one.
//
// It is pure Go, does no I/O and is deterministic.
package look

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
)

// Options configure a Planner.
type Options struct {
	// Grid is how the model wants frames to be cut. Its tiles are the smallest ones. Tile 0 stands for whole frames.
	Grid detect.Grid
	// Input is the side of the model's input in pixels, 0 when it takes tiles in any size.
	Input int
	// Fixed keeps to the tiles of Grid.
	Fixed bool
	// Gap is the least time between two looks at one place, in seconds.
	Gap float64
	// All looks at every tile of every step, with the tiles of Grid.
	All bool
}

// Step is what is known about a frame before the detector looks at it.
type Step struct {
	Frame     *video.Frame
	Seconds   float64 // from the start of the clip
	Remaining float64 // seconds to the end of the clip; infinite when unknown
	Pose      motion.Pose
	InView    []track.Placed // from the newest known tracks
}

// Planner plans the looks at one clip. It is not safe for concurrent use.
type Planner struct {
	o       Options
	sizes   sizes // on the ground of segment
	segment int
	cover   coverage
	tiles   int
	plans   int // that are not empty
}

// New returns a planner.
func New(o Options) *Planner { return &Planner{o: o, cover: coverage{gap: o.Gap}} }

// Tiles is the number of tiles looked at, by the calls of Learn.
func (p *Planner) Tiles() int { return p.tiles }

// Plan returns the tiles to look at, a list for each size of tiles, the largest first. There are several sizes only while
// the size of the animals is unknown; Enough then tells when the smaller tiles are not needed, and Learn chooses among
// the answers. An empty plan means that the frame needs no look.
func (p *Planner) Plan(s Step) [][]detect.Region {
	if s.Pose.Segment != p.segment {
		p.segment, p.sizes = s.Pose.Segment, sizes{}
	}
	if p.sizes.stale(s.Seconds) {
		p.sizes = sizes{}
	}
	zoom := 1 / scaleOf(s)
	grids := p.grids(s.Frame, zoom)
	if p.o.All {
		return [][]detect.Region{grids[0].Regions(nil, s.Frame)}
	}
	p.cover.begin(s, p.sizes.typical()*zoom)
	finest := newZones(grids[0], s.Frame)
	due := p.cover.due(finest, s)
	if due == nil {
		return nil
	}
	plan := make([][]detect.Region, len(grids))
	for i, g := range grids {
		z := newZones(g, s.Frame)
		for k, r := range z.regions {
			if i == 0 && due[k] || i > 0 && z.touches(k, finest, due) {
				plan[i] = append(plan[i], r)
			}
		}
	}
	p.cover.looked(plan[0], s)
	p.plans++
	slices.Reverse(plan)
	return plan
}

// Enough reports whether the smaller tiles of a plan are not needed: the animals are large in the tiles looked at so
// far, and the last ones showed no more animals than the larger ones before. found has the boxes of the first lists of
// the plan. It may be called from another goroutine.
func (p *Planner) Enough(plan [][]detect.Region, found [][]detect.Box, threshold float64) bool {
	n := len(found)
	if n < 2 || len(plan[n-2]) == 0 {
		return false
	}
	sure := func(boxes []detect.Box) (list []detect.Box) {
		for _, b := range boxes {
			if float64(b.Score) >= threshold {
				list = append(list, b)
			}
		}
		return list
	}
	larger, smaller := sure(found[n-2]), sure(found[n-1])
	var s sizes
	for _, b := range larger {
		if !cut(b, plan[n-2]) {
			s.add(float64(max(b.Width(), b.Height())) * p.zoom(plan[n-2]))
		}
	}
	length, known := s.length()
	const more = 1.1
	return known && length >= leastView && float64(len(smaller)) <= more*float64(len(larger))
}

// zoom is the number of pixels of the model's input for a pixel of the frame.
func (p *Planner) zoom(tiles []detect.Region) float64 {
	return float64(p.input()) / float64(tiles[0].Width)
}

// scaleOf is the number of ground pixels for a pixel in the middle of the frame.
func scaleOf(s Step) float64 {
	k := s.Pose.ToGround.ScaleAt(motion.Point{X: float64(s.Frame.Width) / 2, Y: float64(s.Frame.Height) / 2})
	if !(k > 0) || math.IsInf(k, 0) {
		return 1
	}
	return k
}

// grids are the sizes of tiles to use now. zoom is the number of pixels of the frame for a pixel of the ground.
func (p *Planner) grids(f *video.Frame, zoom float64) []detect.Grid {
	if p.o.Grid.Tile == 0 || p.o.Fixed || p.o.All {
		return []detect.Grid{p.o.Grid}
	}
	longer := max(f.Width, f.Height)
	if length, known := p.sizes.length(); known {
		return []detect.Grid{fitted(p.o.Grid, p.mostTile(length*zoom, longer), f)}
	}
	var list []detect.Grid
	for tile := p.o.Grid.Tile; ; tile *= 2 {
		list = append(list, detect.Grid{Tile: min(tile, max(longer, p.o.Grid.Tile)), Overlap: p.o.Grid.Overlap})
		if tile >= longer {
			break
		}
	}
	if p.plans > 0 && p.sizes.none() { // empty ground so far: one size after the other is enough to find the first animal
		k := p.plans % len(list)
		return list[k : k+1]
	}
	return list
}

// leastView is the length in the model's input, in pixels, that a small animal of the herd should have.
const leastView = 32

// mostTile is the largest side of a tile for animals of a length in pixels of the frame.
func (p *Planner) mostTile(length float64, longer int) int {
	tile := length * float64(p.input()) / leastView
	return max(p.o.Grid.Tile, min(int(tile), longer))
}

func (p *Planner) input() int {
	if p.o.Input > 0 {
		return p.o.Input
	}
	return p.o.Grid.Tile
}

// fitted returns the grid with the smallest tiles among those with as few tiles as tiles of side most.
func fitted(g detect.Grid, most int, f *video.Frame) detect.Grid {
	g.Tile = most
	share := func(length int) float64 {
		return float64(length) / (1 + float64(g.Count(length)-1)*(1-g.Overlap))
	}
	least := int(math.Ceil(max(share(f.Width), share(f.Height)))) + 2
	g.Tile = min(most, least)
	return g
}

// Learn tells the planner what the detector found: the boxes of the first lists of the plan, as many as were looked at. It
// returns the index of the list whose boxes are to be used. threshold is the least score of a sure detection. s is the
// step of the plan.
func (p *Planner) Learn(s Step, plan [][]detect.Region, found [][]detect.Box, threshold float64) int {
	for i := range found {
		p.tiles += len(plan[i])
	}
	best := 0
	if len(found) > 1 {
		best = p.choose(plan, found, threshold)
	}
	if s.Pose.Segment != p.segment || len(plan[best]) == 0 {
		return best
	}
	p.sizes.looked()
	for _, b := range found[best] {
		if float64(b.Score) >= threshold && !cut(b, plan[best]) {
			p.sizes.add(float64(max(b.Width(), b.Height())) * scaleOf(s))
			p.sizes.seen(s.Seconds)
		}
	}
	return best
}

// cut reports whether a box touches the edge of the frame.
func cut(b detect.Box, regions []detect.Region) bool {
	const slack = 4
	f := regions[0].Frame
	return b.X1 < slack || b.Y1 < slack || b.X2 > float32(f.Width)-slack || b.Y2 > float32(f.Height)-slack
}

// choose returns the size of tiles with the most evidence of animals whose size suits the model. Tiles that are too
// small show parts of animals, and tiles that are too large miss them.
func (p *Planner) choose(plan [][]detect.Region, found [][]detect.Box, threshold float64) int {
	const smallest, largest = 20, 180 // pixels of the model's input
	best, most := len(found)-1, 0.0
	for i, boxes := range found {
		if len(plan[i]) == 0 {
			continue
		}
		zoom := p.zoom(plan[i])
		sum := 0.0
		for _, b := range boxes {
			length := float64(max(b.Width(), b.Height())) * zoom
			if s := float64(b.Score); s >= threshold && length >= smallest && length <= largest {
				sum += s * s
			}
		}
		if sum > most {
			best, most = i, sum
		}
	}
	return best
}
