package detect

import (
	"cmp"
	"slices"
)

// Limits above which two boxes are the same animal.
const (
	sameIoU    = 0.5 // intersection over union
	sameInside = 0.7 // intersection over the smaller box: a head, or another label of the same animal
	// cutInside is the limit for a box that the edge of a tile has cut. Such a box is a part of an animal by
	// construction, so less overlap is enough.
	cutInside = 0.5
	// edgeSlack is the distance to an inner tile edge, in pixels, within which a box counts as cut. Networks place the
	// sides of boxes with about this precision.
	edgeSlack = 3
	// cutGrowth is how far a cut animal probably reaches beyond the edge, as a share of the longer side of its box.
	cutGrowth = 0.3
	// weak is the share of the threshold above which a box may count together with the box of another tile at the same
	// place.
	weak = 0.5
)

// tileBox is a box that a model found in one tile.
type tileBox struct {
	Box
	tile int  // number of the tile within its frame
	cut  bool // an edge of the tile inside the frame cuts the animal
}

// edges reports which edges of the tile may have cut the box. Edges of the frame do not count: no other tile shows more
// there.
func edges(b Box, r Region) (left, top, right, bottom bool) {
	return r.X > 0 && b.X1 < float32(r.X)+edgeSlack,
		r.Y > 0 && b.Y1 < float32(r.Y)+edgeSlack,
		r.X+r.Width < r.Frame.Width && b.X2 > float32(r.X+r.Width)-edgeSlack,
		r.Y+r.Height < r.Frame.Height && b.Y2 > float32(r.Y+r.Height)-edgeSlack
}

// gather collects the boxes of all tiles of one frame. It drops a cut box when another tile shows the whole animal:
// that tile decides, even when it has no box there. It also drops a box that is cut where no other tile continues.
func gather(regions []Region, found [][]Box) []tileBox {
	var list []tileBox
	for t, boxes := range found {
		for _, b := range boxes {
			left, top, right, bottom := edges(b, regions[t])
			cut := left || top || right || bottom
			if cut && (inOther(regions, t, grow(b, left, top, right, bottom)) ||
				!followed(regions, t, b, left, top, right, bottom)) {
				continue
			}
			list = append(list, tileBox{Box: b, tile: t, cut: cut})
		}
	}
	return list
}

// grow extends a cut box beyond the edges that cut it.
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

// followed reports whether another tile shows the frame beyond every edge that cuts the box.
func followed(regions []Region, own int, b Box, left, top, right, bottom bool) bool {
	r := regions[own]
	x, y := int(b.X1+b.X2)/2, int(b.Y1+b.Y2)/2
	shown := func(x, y int) bool {
		for t, o := range regions {
			if t != own && x >= o.X && y >= o.Y && x < o.X+o.Width && y < o.Y+o.Height {
				return true
			}
		}
		return false
	}
	return (!left || shown(r.X-1, y)) && (!top || shown(x, r.Y-1)) &&
		(!right || shown(r.X+r.Width, y)) && (!bottom || shown(x, r.Y+r.Height))
}

// inOther reports whether a tile other than own contains the part of the box inside the frame.
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

// animal is the box of one animal and the evidence for it.
type animal struct {
	tileBox
	doubt      float32 // product of 1-score over the tiles with the whole animal
	supporters []int   // the further tiles among them
}

// merge returns one box per animal, sorted by falling score. It is greedy: whole boxes before cut ones, then by falling
// score. A box is dropped when an earlier one shows the same animal, whatever the labels are. Tiles are independent
// evidence: with scores a and b in two tiles that show the whole animal its score is 1-(1-a)(1-b), so two weak boxes
// can pass the threshold together. It reorders list.
func merge(list []tileBox, threshold float32) []Box {
	slices.SortStableFunc(list, func(a, b tileBox) int {
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
			kept = append(kept, animal{tileBox: s, doubt: 1 - s.Score})
			continue
		}
		kept[i].support(s)
	}
	out := make([]Box, 0, len(kept))
	for _, k := range kept {
		if len(k.supporters) > 0 {
			k.Score = 1 - k.doubt
		}
		if k.Score >= threshold {
			out = append(out, k.Box)
		}
	}
	slices.SortStableFunc(out, func(a, b Box) int { return cmp.Compare(b.Score, a.Score) })
	return out
}

// support adds s as evidence for k when s is the box of another tile with the whole animal. Boxes come by falling
// score, so the first one of a tile is its best.
func (k *animal) support(s tileBox) {
	if s.cut || s.Other != k.Other || s.tile == k.tile || slices.Contains(k.supporters, s.tile) {
		return
	}
	if inter := intersection(k.Box, s.Box); inter <= sameIoU*(k.Area()+s.Area()-inter) {
		return
	}
	k.supporters = append(k.supporters, s.tile)
	k.doubt *= 1 - s.Score
}

// same reports whether s shows the same animal as k, an earlier box.
func same(k Box, s tileBox) bool {
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
