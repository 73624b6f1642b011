package doctor

import (
	"slices"
	"testing"

	"cattlecounter/edge/watch"
)

// The doctor says what to do about every reason behind which a recording may be lost, and about no other.
func TestRemediesAreComplete(t *testing.T) {
	for _, r := range watch.Reasons() {
		if (remedies[r] != "") != r.Suspicious() {
			t.Errorf("%s: remedy %q, suspicious %t", r, remedies[r], r.Suspicious())
		}
	}
	for r := range remedies {
		if !slices.Contains(watch.Reasons(), r) {
			t.Errorf("%s is no reason", r)
		}
	}
}
