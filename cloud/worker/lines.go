package worker

import (
	"context"
	"errors"
	"fmt"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// lines is the part of the ledger that has lines and zones. ledger.Lines implements it.
type lines interface {
	// For fails with ledger.ErrNotFound when neither the footage nor its device has any.
	For(ctx context.Context, id footage.ID) (ledger.LineSet, error)
}

// findLines returns what the footage is judged by: its own lines and zones, else those of its device, else those of the
// configuration.
func (a *attempt) findLines(ctx context.Context) (boundary.Set, error) {
	if a.w.o.Lines == nil {
		return a.w.o.DefaultLines, nil
	}
	s, err := a.w.o.Lines.For(ctx, a.footage.ID)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return a.w.o.DefaultLines, nil
	case err != nil:
		return boundary.Set{}, fmt.Errorf("find the lines of %s: %w", a.footage.ID, err)
	}
	return s.Set, nil
}
