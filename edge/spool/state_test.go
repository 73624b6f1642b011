package spool

import (
	"errors"
	"fmt"
	"testing"
)

func TestStateTable(t *testing.T) {
	reached, seen := map[State]bool{Captured: true}, map[string]bool{}
	for _, row := range table.Rows {
		key := fmt.Sprint(row.From, row.Event)
		if seen[key] {
			t.Errorf("two rows for %s", key)
		}
		seen[key], reached[row.To] = true, true
		if row.From.Ended() && row.Event != Reread {
			t.Errorf("%s has ended, but allows %s", row.From, row.Event)
		}
	}
	for _, s := range States() {
		if !reached[s] {
			t.Errorf("no row leads to %s", s)
		}
	}
	// Content is deleted only after the cloud has confirmed it.
	for _, row := range table.Rows {
		if row.To == Reclaimed && row.From != Confirmed {
			t.Errorf("%s footage can be reclaimed without a confirmation", row.From)
		}
	}
	if _, err := Next(Reclaimed, Upload); !errors.Is(err, ErrTransition) {
		t.Errorf("upload of reclaimed footage: got error %v, want ErrTransition", err)
	}
}
