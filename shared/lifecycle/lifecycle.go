// Package lifecycle is the common form of state tables: the allowed moves, and the look-ups
// in them. The tables themselves are in their domains, for example shared/job and edge/spool.
package lifecycle

import (
	"fmt"
	"slices"
)

// Row is one allowed move: an event leads from one state to another. It has no name of its
// own, so that a table can list its rows without field names.
type Row[S, E ~string] = struct {
	From  S
	Event E
	To    S
}

// Table is every allowed move of one kind of thing. It is read only, so it is safe for
// concurrent use.
type Table[S, E ~string] struct {
	Subject string // what moves, for error texts: "job"
	Refused error  // the class of the error for a move that no row allows
	Rows    []Row[S, E]
}

// Next returns the state that follows from an event. Without a row for the pair it
// returns from and an error that wraps Refused.
func (t Table[S, E]) Next(from S, e E) (S, error) {
	for _, row := range t.Rows {
		if row.From == from && row.Event == e {
			return row.To, nil
		}
	}
	return from, fmt.Errorf("%s is %s, cannot %s: %w", t.Subject, from, e, t.Refused)
}

// From returns the states that allow an event, each once, in the order of the rows.
func (t Table[S, E]) From(e E) []S {
	var states []S
	for _, row := range t.Rows {
		if row.Event == e && !slices.Contains(states, row.From) {
			states = append(states, row.From)
		}
	}
	return states
}
