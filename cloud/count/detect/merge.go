package detect

import (
	"cmp"
	"slices"
)

// Limits above which two boxes are taken for the same animal.
const (
	sameIoU    = 0.5 // intersection over union
	sameInside = 0.7 // intersection over the smaller box: a head, or another label of the same animal
	// cutInside is the limit for a box that a tile edge has cut. Such a box is
	// part of an animal by construction, so less of it needs to be covered.
	cutInside = 0.5
	// edgeSlack is how near to an inner tile edge, in pixels, a box counts as
	// cut by it: networks place edges to about this precision.
	edgeSlack = 3
	// cutGrowth is how much further than its visible part, as a part of its
	// longer side, a cut animal is expected to reach.
	cutGrowth = 0.3
	// weak is the part of the threshold from which on a box may count together
	// with what another tile saw at the same place.
	weak = 0.5
)

// seen is a box as one tile saw it.
type seen struct {
	Box
	tile int  // number of the tile within its frame
	cut  bool // an edge of the tile, inside the frame, goes through the animal
}

// edges tells which edges of the tile may have cut the box. Edges of the frame
// do not count, since no other tile sees more there.
func edges(b Box, r Region) (left, top, right, bottom bool) {
	return r.X > 0 && b.X1 < float32(r.X)+edgeSlack,
		r.Y > 0 && b.Y1 < float32(r.Y)+edgeSlack,
		r.X+r.Width < r.Frame.Width && b.X2 > float32(r.X+r.Width)-edgeSlack,
		r.Y+r.Height < r.Frame.Height && b.Y2 > float32(r.Y+r.Height)-edgeSlack
}

// gather puts the boxes of all tiles of one frame together. Left out are boxes
// that an edge has cut where another tile has the whole animal in view: that
// tile is the better witness, also when it denies the animal.
func gather(regions []Region, found [][]Box) []seen {
	var list []seen
	for t, boxes := range found {
		for _, b := range boxes {
			left, top, right, bottom := edges(b, regions[t])
			cut := left || top || right || bottom
			if cut && inOther(regions, t, grow(b, left, top, right, bottom)) {
				continue
			}
			list = append(list, seen{Box: b, tile: t, cut: cut})
		}
	}
	return list
}

// grow extends a box beyond the edges that have cut it.
func grow(b Box, left, top, right, bottom bool) Box {
	by := cutGrowth * max(b.Width(), b.Height())
	if left {
		b.X1 -= by
	}
	if top {
		b.Y1 -= by
	}
	if right {
		b.X2 += by
	}
	if bottom {
		b.Y2 += by
	}
	return b
}

// inOther tells whether a tile other than own holds the whole box, as far as
// it lies in the frame.
func inOther(regions []Region, own int, b Box) bool {
	f := regions[own].Frame
	b.X1, b.Y1 = max(b.X1, 0), max(b.Y1, 0)
	b.X2, b.Y2 = min(b.X2, float32(f.Width)), min(b.Y2, float32(f.Height))
	for t, r := range regions {
		if t != own && float32(r.X) <= b.X1 && float32(r.Y) <= b.Y1 &&
			float32(r.X+r.Width) >= b.X2 && float32(r.Y+r.Height) >= b.Y2 {
			return true
		}
	}
	return false
}

// animal is a box that was kept and the evidence for it.
type animal struct {
	seen
	doubt float32 // product of 1-score over the tiles that saw it whole
	by    []int   // the further tiles among them
}

// merge leaves one box per animal, sorted by falling score. It goes through
// the boxes greedily, whole ones before cut ones and by falling score; a box
// is dropped when one kept before it shows the same animal, whatever the
// labels are. Tiles look independently: where two saw the animal whole, its
// score is 1-(1-a)(1-b), so that two weak looks can together pass the
// threshold. It reorders list.
func merge(list []seen, threshold float32) []Box {
	slices.SortStableFunc(list, func(a, b seen) int {
		if a.cut != b.cut {
			if a.cut {
				return 1
			}
			return -1
		}
		return cmp.Compare(b.Score, a.Score)
	})
	var kept []animal
	for _, s := range list {
		i := slices.IndexFunc(kept, func(k animal) bool { return same(k.Box, s) })
		if i < 0 {
			kept = append(kept, animal{seen: s, doubt: 1 - s.Score})
			continue
		}
		kept[i].support(s)
	}
	out := make([]Box, 0, len(kept))
	for _, k := range kept {
		if len(k.by) > 0 {
			k.Score = 1 - k.doubt
		}
		if k.Score >= threshold {
			out = append(out, k.Box)
		}
	}
	slices.SortStableFunc(out, func(a, b Box) int { return cmp.Compare(b.Score, a.Score) })
	return out
}

// support takes s as evidence for k when it is the look of another tile at the
// whole animal. Boxes come by falling score, so the first of a tile is its best.
func (k *animal) support(s seen) {
	if s.cut || s.tile == k.tile || slices.Contains(k.by, s.tile) {
		return
	}
	if inter := intersection(k.Box, s.Box); inter <= sameIoU*(k.Area()+s.Area()-inter) {
		return
	}
	k.by = append(k.by, s.tile)
	k.doubt *= 1 - s.Score
}

// same tells whether s shows the animal that k, which ranks before it, shows.
func same(k Box, s seen) bool {
	inter := intersection(k, s.Box)
	if inter <= 0 {
		return false
	}
	a, b := k.Area(), s.Area()
	return inter > sameIoU*(a+b-inter) || inter > sameInside*min(a, b) || s.cut && inter > cutInside*b
}

func intersection(a, b Box) float32 {
	w, h := min(a.X2, b.X2)-max(a.X1, b.X1), min(a.Y2, b.Y2)-max(a.Y1, b.Y1)
	return max(w, 0) * max(h, 0)
}
