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

// Tally applies the review to a count, whose tracks were counted or not. A verdict on a track that the count does not
// have is an error that wraps ErrInvalid: the review is of another count.
func (f Footage) Tally(counted, notCounted []int) (Tally, error) {
	isCounted := map[int]bool{}
	for _, id := range notCounted {
		isCounted[id] = false
	}
	for _, id := range counted {
		isCounted[id] = true
	}
	t := Tally{Counted: len(counted), Animals: len(counted)}
	var faults []error
	for _, a := range f.Animals {
		was, known := isCounted[a.ID]
		_, sameKnown := isCounted[a.SameAs]
		switch {
		case a.ID != 0 && !known:
			faults = append(faults, fmt.Errorf("%s: the count has no track %d", a, a.ID))
		case a.SameAs != 0 && !sameKnown:
			faults = append(faults, fmt.Errorf("%s: the count has no track %d, which it is the same as", a, a.SameAs))
		case a.ID == 0 && a.Verdict == Added && a.IsCattle():
			t.Found++
		case a.ID == 0:
		case was:
			t.Judged++
			if !a.IsCattle() {
				t.Rejected++
			} else if a.SameAs != 0 {
				t.Merged++
			}
		case a.IsCattle() && a.SameAs == 0:
			t.Found++
		}
	}
	if len(faults) > 0 {
		return Tally{}, fmt.Errorf("%w: %w", errors.Join(faults[:min(len(faults), mostFaults)]...), ErrInvalid)
	}
	if f.Rest == Accepted {
		t.Judged = t.Counted
	}
	t.Animals += t.Found - t.Rejected - t.Merged
	return t, nil
}

// Check validates the verdicts of one piece of footage. The error lists the faults and wraps ErrInvalid.
func (f Footage) Check() error {
	r := Review{Schema: Schema, Footage: []Footage{f}}
	if err := r.check(); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	return nil
}
