package review

import (
	"errors"
	"testing"

	"cattlecounter/shared/footage"
)

func TestTally(t *testing.T) {
	counted, not := []int{1, 2, 3, 4}, []int{10, 11}
	box, at := &[4]float64{10, 10, 50, 40}, 1.5
	for name, c := range map[string]struct {
		f    Footage
		want Tally
	}{
		"nothing judged": {Footage{}, Tally{Animals: 4, Counted: 4}},
		"all signed":     {Footage{Rest: Accepted}, Tally{Animals: 4, Counted: 4, Judged: 4}},
		"one of each kind": {Footage{Rest: Accepted, Animals: []Animal{
			{Verdict: Rejected, ID: 1}, {Verdict: Accepted, ID: 2, Class: Other}, {Verdict: Accepted, ID: 3, SameAs: 4},
			{Verdict: Accepted, ID: 10}, {Verdict: Rejected, ID: 11}, {Verdict: Added, Seconds: &at, Box: box}}},
			Tally{Animals: 3, Counted: 4, Judged: 4, Rejected: 2, Merged: 1, Found: 2}},
		"a part of it": {Footage{Animals: []Animal{{Verdict: Rejected, ID: 1}, {Verdict: Accepted, ID: 2}}},
			Tally{Animals: 3, Counted: 4, Judged: 2, Rejected: 1}},
		"what adds nothing": {Footage{Animals: []Animal{{Verdict: Accepted, ID: 10, SameAs: 1},
			{Verdict: Rejected, Seconds: &at, Box: box}, {Verdict: Added, Class: Other, Seconds: &at, Box: box}}},
			Tally{Animals: 4, Counted: 4}},
		"two that are each other": {Footage{Animals: []Animal{{Verdict: Accepted, ID: 1, SameAs: 2}, {Verdict: Accepted, ID: 2, SameAs: 1}}},
			Tally{Animals: 3, Counted: 4, Judged: 2, Merged: 1}},
		"a chain": {Footage{Animals: []Animal{{Verdict: Accepted, ID: 3, SameAs: 2}, {Verdict: Accepted, ID: 2, SameAs: 1},
			{Verdict: Accepted, ID: 4, SameAs: 10}, {Verdict: Accepted, ID: 10, SameAs: 3}}},
			Tally{Animals: 1, Counted: 4, Judged: 3, Merged: 3}},
		"a piece of a track that was not counted": {Footage{Animals: []Animal{{Verdict: Accepted, ID: 1, SameAs: 10}}},
			Tally{Animals: 4, Counted: 4, Judged: 1}},
		"two that were not counted": {Footage{Animals: []Animal{{Verdict: Accepted, ID: 10, SameAs: 11}}},
			Tally{Animals: 5, Counted: 4, Found: 1}},
		"the same as no animal": {Footage{Animals: []Animal{{Verdict: Rejected, ID: 1}, {Verdict: Accepted, ID: 2, SameAs: 1}}},
			Tally{Animals: 2, Counted: 4, Judged: 2, Rejected: 1, Merged: 1}},
	} {
		if got, err := c.f.Tally(counted, not); err != nil || got != c.want {
			t.Errorf("%s: %+v %v, want %+v", name, got, err, c.want)
		}
	}
	for _, a := range []Animal{{Verdict: Accepted, ID: 5}, {Verdict: Accepted, ID: 1, SameAs: 12}} {
		if _, err := (Footage{Animals: []Animal{a}}).Tally(counted, not); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", a, err)
		}
	}
}

func TestCheckOfOneFootage(t *testing.T) {
	sum := footage.Sum([]byte("x"))
	for _, a := range []Animal{{Verdict: "perhaps", ID: 1}, {Verdict: Rejected, ID: 1, SameAs: 2}, {Verdict: Accepted, ID: 1, SameAs: 1},
		{Verdict: Accepted, ID: 1, SameAs: -3}, {Verdict: Accepted, SameAs: 3}} {
		if err := (Footage{SHA256: sum, Animals: []Animal{a}}).Check(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", a, err)
		}
	}
	if err := (Footage{SHA256: sum, Rest: Accepted, Animals: []Animal{{Verdict: Accepted, ID: 1, SameAs: 2}}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestLongChain(t *testing.T) {
	var f Footage
	var counted []int
	for id := range 50_000 {
		counted = append(counted, id+1)
		if id > 0 {
			f.Animals = append(f.Animals, Animal{Verdict: Accepted, ID: id + 1, SameAs: id})
		}
	}
	if got, err := f.Tally(counted, nil); err != nil || got.Animals != 1 || got.Merged != len(counted)-1 {
		t.Errorf("%+v %v", got, err)
	}
}
