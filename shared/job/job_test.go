package job

import (
	"errors"
	"slices"
	"testing"
)

func TestTable(t *testing.T) {
	reached := map[State]bool{Uploaded: true}
	seen := map[[2]string]bool{}
	for _, row := range table.Rows {
		key := [2]string{string(row.From), string(row.Event)}
		if seen[key] {
			t.Errorf("duplicate row %v", key)
		}
		seen[key] = true
		reached[row.To] = true
		if got, err := Next(row.From, row.Event); got != row.To || err != nil {
			t.Errorf("%v: %v %v", key, got, err)
		}
		if !slices.Contains(From(row.Event), row.From) {
			t.Errorf("From(%s) lacks %s", row.Event, row.From)
		}
		human := row.Event == Retry || row.Event == Replay || row.Event == Recount
		if row.From.Ended() != human {
			t.Errorf("%v: only a person may leave an ended state", key)
		}
	}
	for _, s := range States() {
		if !reached[s] {
			t.Errorf("%s is never reached", s)
		}
	}
	if _, err := Next(Done, Lease); !errors.Is(err, ErrTransition) {
		t.Errorf("a finished job was leased: %v", err)
	}
}
