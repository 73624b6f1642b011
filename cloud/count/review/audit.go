package review

import (
	"errors"
	"fmt"
)

// Tally is what a review makes of a count.
type Tally struct {
	Animals  int // cattle: the counted tracks without the rejected and doubled ones, with what was found besides
	Judged   int // counted tracks with a verdict, also by "rest"
	Counted  int // tracks that the count counted
	Rejected int // counted tracks that are no cattle
	Merged   int // counted tracks that are the same animal as another one
	Found    int // added animals, and accepted tracks that were not counted
}

// Complete reports whether every counted track has a verdict. Without one for each, Animals takes the others as counted.
func (t Tally) Complete() bool { return t.Judged == t.Counted }

// Tally applies the review to a count, whose tracks were counted or not. Tracks that are the same animal by same_as, also by
// way of others or in a circle, count once, and not at all when one of them is no cattle. A verdict on a track that the count
// does not have is an error that wraps ErrInvalid: the review is of another count.
func (f Footage) Tally(counted, notCounted []int) (Tally, error) {
	isCounted := map[int]bool{}
	for _, id := range notCounted {
		isCounted[id] = false
	}
	for _, id := range counted {
		isCounted[id] = true
	}
	if err := f.checkTracks(isCounted); err != nil {
		return Tally{}, err
	}
	t := Tally{Counted: len(counted)}
	same := f.Same()
	animals := map[int]bool{} // by the first track of an animal: whether it was counted
	for _, id := range counted {
		animals[same.First(id)] = true
	}
	t.Merged = len(counted) - len(animals)
	var none []int
	for _, a := range f.Animals {
		was, first := isCounted[a.ID], same.First(a.ID)
		switch {
		case a.ID == 0 && a.Verdict == Added && a.IsCattle():
			t.Found++
		case a.ID == 0:
		case !a.IsCattle():
			none = append(none, first)
		case !animals[first]:
			animals[first] = false
		}
		if was {
			t.Judged++
		}
	}
	for _, first := range none {
		if animals[first] {
			t.Rejected++
		}
		delete(animals, first)
	}
	for _, was := range animals {
		if !was {
			t.Found++
		}
	}
	if f.Rest == Accepted {
		t.Judged = t.Counted
	}
	t.Animals = t.Counted + t.Found - t.Rejected - t.Merged
	return t, nil
}

// checkTracks fails with ErrInvalid when a verdict is on a track that the count does not have.
func (f Footage) checkTracks(known map[int]bool) error {
	var faults []error
	for _, a := range f.Animals {
		_, has := known[a.ID]
		_, hasSame := known[a.SameAs]
		switch {
		case a.ID != 0 && !has:
			faults = append(faults, fmt.Errorf("%s: the count has no track %d", a, a.ID))
		case a.SameAs != 0 && !hasSame:
			faults = append(faults, fmt.Errorf("%s: the count has no track %d, which it is the same as", a, a.SameAs))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", errors.Join(faults[:min(len(faults), mostFaults)]...), ErrInvalid)
}

// Same says which tracks are the same animal: each leads to a smaller number of that animal, or is its first track.
type Same map[int]int

// Same returns which tracks are the same animal by the verdicts.
func (f Footage) Same() Same {
	s := Same{}
	for _, a := range f.Animals {
		if a.ID == 0 || a.SameAs == 0 || !a.IsCattle() {
			continue
		}
		if x, y := s.First(a.ID), s.First(a.SameAs); x != y {
			s[max(x, y)] = min(x, y)
		}
	}
	return s
}

// First returns the track with the smallest number of the animal of a track. It shortens the way for the next call, so it is
// not safe for concurrent use.
func (s Same) First(id int) int {
	for {
		smaller, ok := s[id]
		if !ok {
			return id
		}
		if next, ok := s[smaller]; ok {
			s[id] = next
		}
		id = smaller
	}
}

// Check validates the verdicts of one piece of footage. The error lists the faults and wraps ErrInvalid.
func (f Footage) Check() error {
	r := Review{Schema: Schema, Footage: []Footage{f}}
	if err := r.check(); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	return nil
}
