package tally

import (
	"cmp"
	"math"
	"slices"
)

// tree finds the nearest of many animals without a look at all of them, however unevenly they stand. It is a k-d tree in a
// slice (Bentley 1975): the middle of a part divides the rest of that part, by x and by y in turn.
type tree []sized

// newTree orders the animals. It keeps and reorders the slice.
func newTree(all []sized) tree {
	tree(all).build(0)
	return all
}

func (t tree) build(axis int) {
	if len(t) < 2 {
		return
	}
	slices.SortFunc(t, func(a, b sized) int {
		return cmp.Or(cmp.Compare(a.at[axis], b.at[axis]), a.track.ID-b.track.ID)
	})
	m := len(t) / 2
	t[:m].build(1 - axis)
	t[m+1:].build(1 - axis)
}

// nearby are animals near a place, the nearest first, at most so many as its capacity.
type nearby []struct {
	far float64 // squared
	sized
}

// search adds the animals of a part of the tree that are nearer than those found so far. It leaves out one track.
func (t tree) search(at [2]float64, axis int, except int, found *nearby) {
	if len(t) == 0 {
		return
	}
	m := len(t) / 2
	if a := t[m]; a.track.ID != except {
		found.offer((a.at[0]-at[0])*(a.at[0]-at[0])+(a.at[1]-at[1])*(a.at[1]-at[1]), a)
	}
	d := at[axis] - t[m].at[axis]
	near, other := t[:m], t[m+1:]
	if d > 0 {
		near, other = other, near
	}
	near.search(at, 1-axis, except, found)
	if d*d <= found.reach() {
		other.search(at, 1-axis, except, found)
	}
}

// reach is the squared distance beyond which nothing is added.
func (n nearby) reach() float64 {
	if len(n) < cap(n) {
		return math.Inf(1)
	}
	return n[len(n)-1].far
}

// offer adds an animal at a squared distance when it is among the nearest. Of two at one distance the older track is.
func (n *nearby) offer(far float64, a sized) {
	list := *n
	i := len(list)
	for i > 0 && cmp.Or(cmp.Compare(far, list[i-1].far), a.track.ID-list[i-1].track.ID) < 0 {
		i--
	}
	if i == cap(list) {
		return
	}
	if len(list) < cap(list) {
		list = list[:len(list)+1]
	}
	copy(list[i+1:], list[i:])
	list[i].far, list[i].sized = far, a
	*n = list
}
