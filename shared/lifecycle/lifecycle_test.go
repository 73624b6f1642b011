package lifecycle

import (
	"errors"
	"slices"
	"testing"
)

type (
	state string
	event string
)

var errRefused = errors.New("refused")

var door = Table[state, event]{Subject: "door", Refused: errRefused, Rows: []Row[state, event]{
	{"open", "close", "closed"},
	{"closed", "lock", "locked"},
	{"closed", "open", "open"},
	{"locked", "open", "open"},
	{"locked", "open", "closed"},
}}

func TestNext(t *testing.T) {
	if to, err := door.Next("closed", "lock"); to != "locked" || err != nil {
		t.Errorf("closed door after lock: got %q, %v, want locked", to, err)
	}
	if to, err := door.Next("locked", "open"); to != "open" || err != nil {
		t.Errorf("two rows for one pair: got %q, %v, want the first row's state", to, err)
	}
	to, err := door.Next("open", "lock")
	if to != "open" || !errors.Is(err, errRefused) {
		t.Errorf("move without a row: got %q, %v, want the old state and the table's error class", to, err)
	}
	if want := "door is open, cannot lock: refused"; err == nil || err.Error() != want {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestFrom(t *testing.T) {
	if got, want := door.From("open"), []state{"closed", "locked"}; !slices.Equal(got, want) {
		t.Errorf("states that allow open: got %q, want %q", got, want)
	}
	if got := door.From("burn"); len(got) != 0 {
		t.Errorf("states that allow an unknown event: got %q, want none", got)
	}
}
