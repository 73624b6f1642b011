package spool

import (
	"fmt"

	"cattlecounter/shared/footage"
)

// MaxPriority bounds a priority on either side of 0, which is what footage has
// by itself.
const MaxPriority = 1000

// SetPriority keeps the place of footage in the queue for the link: a higher one
// goes first. It fails with ErrTransition for footage with nothing left to send.
func (s *Spool) SetPriority(id footage.ID, priority int) error {
	if priority < -MaxPriority || priority > MaxPriority {
		return fmt.Errorf("footage %s: priority %d is not within -%d and %d", id, priority, MaxPriority, MaxPriority)
	}
	_, err := s.change(id, func(r *Record) error {
		if r.State.Ended() || r.State == Confirmed {
			return fmt.Errorf("it is %s, nothing is left to send: %w", r.State, ErrTransition)
		}
		r.Priority = priority
		return nil
	}, nil)
	return err
}
