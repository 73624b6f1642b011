package examples

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// candidate is a tile that may become a picture.
type candidate struct {
	footage *Footage
	animals []*animal // of the footage
	focus   *animal
	frame   int
	seconds float64
	view    box // whole pixels
	worth   float64
	ground  bool
	x, y    float64 // of the focus on the ground
	segment int
}

// sideOf is the side of the tiles of a clip in pixels: eight lengths of an animal.
func sideOf(list []*animal) int {
	const lengths, least, most = 8, 640, 1600
	var sizes []float64
	for _, a := range list {
		if a.kind == cattle {
			sizes = append(sizes, a.sights[a.best].box.length())
		}
	}
	if len(sizes) == 0 {
		return least
	}
	slices.Sort(sizes)
	return min(max(int(lengths*sizes[len(sizes)/2]), least), most)
}

// candidates are the tiles around reviewed animals: at the best sight, and at an early and a late one.
func (f *Footage) candidates(side int, seed uint64) ([]candidate, error) {
	list, err := f.animals()
	if err != nil {
		return nil, err
	}
	if side <= 0 {
		side = sideOf(list)
	}
	w, h := f.Result.Video.Width, f.Result.Video.Height
	var out []candidate
	for _, a := range list {
		if a.kind == unknown {
			continue
		}
		for k, i := range a.looks() {
			s := a.sights[i]
			rng := f.rng(seed, a.id, s.frame)
			c := candidate{footage: f, animals: list, focus: a, frame: s.frame, seconds: s.seconds, worth: a.doubt,
				ground: s.ground, x: s.x, y: s.y, segment: a.segment,
				view: viewAround(s.box, min(side, w), min(side, h), w, h, rng)}
			if k > 0 {
				c.worth *= 0.8
			}
			c.worth += 0.02 * rng.Float64()
			out = append(out, c)
		}
	}
	return out, nil
}

// looks are the indices of the sights to show, the best one first.
func (a *animal) looks() []int {
	list := []int{a.best}
	const apart = 2 // seconds
	for _, i := range []int{len(a.sights) / 6, len(a.sights) * 5 / 6} {
		if !slices.ContainsFunc(list, func(k int) bool { return math.Abs(a.sights[k].seconds-a.sights[i].seconds) < apart }) {
			list = append(list, i)
		}
	}
	return list
}

// rng depends only on the seed and on what is looked at.
func (f *Footage) rng(seed uint64, id, frame int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write(f.Review.SHA256[:])                                                 // never fails
	return rand.New(rand.NewPCG(seed^h.Sum64(), uint64(id)<<32|uint64(uint32(frame)))) // not for secrets
}

// viewAround places a tile so that the box is in it, not always in the middle.
func viewAround(b box, w, h, width, height int, rng *rand.Rand) box {
	place := func(low, high float64, side, all int) int {
		const spread = 0.5 // of the side
		middle := (low+high)/2 + (rng.Float64()-0.5)*spread*float64(side)
		from := math.Round(middle - float64(side)/2)
		if high-low < float64(side) {
			from = min(max(from, math.Ceil(high)-float64(side)), math.Floor(low))
		}
		return min(max(int(from), 0), all-side)
	}
	x, y := place(b[0], b[2], w, width), place(b[1], b[3], h, height)
	return box{float64(x), float64(y), float64(x + w), float64(y + h)}
}

// near is 0 for tiles that have nothing to do with each other and 1 for equal ones.
func near(a, b candidate) float64 {
	if a.footage != b.footage {
		return 0
	}
	const seconds = 10
	side := a.view.width()
	time := math.Exp(-math.Abs(a.seconds-b.seconds) / seconds)
	if a.ground && b.ground && a.segment == b.segment {
		return math.Exp(-math.Hypot(a.x-b.x, a.y-b.y) / (2 * side))
	}
	return time
}

// alike reports whether two tiles certainly show nearly the same: one place of one moment.
func alike(a, b candidate) bool {
	const soon = 1 // second
	return a.footage == b.footage && math.Abs(a.seconds-b.seconds) < soon && overlap(a.view, b.view) > 0.25
}

// evenly is how often a tile is chosen for being far from all others, whatever it is worth: one in so many. Without
// them a model would see only hard cases.
const evenly = 4

// rank returns at most n candidates in the order in which they are to be used.
func rank(list []candidate, n int) []candidate {
	closest := make([]float64, len(list)) // to the chosen ones
	gone := make([]bool, len(list))
	var out []candidate
	for len(out) < n {
		pick, most := -1, math.Inf(-1)
		for i, c := range list {
			if gone[i] {
				continue
			}
			const spread = 0.6
			v := c.worth - spread*closest[i]
			if len(out)%evenly == evenly-1 {
				v = 0.05*c.worth - closest[i]
			}
			if v > most {
				pick, most = i, v
			}
		}
		if pick < 0 {
			break
		}
		gone[pick] = true
		out = append(out, list[pick])
		for i, c := range list {
			if !gone[i] {
				closest[i] = max(closest[i], near(list[pick], c))
				gone[i] = alike(list[pick], c)
			}
		}
	}
	return out
}
