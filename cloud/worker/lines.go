package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
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

// storeCrossings writes the crossings of a result.
func (a *attempt) storeCrossings(ctx context.Context, out *count.Outcome) error {
	if !out.Result.HasBoundaries() {
		return nil
	}
	var table bytes.Buffer
	if err := out.Result.WriteCrossingsCSV(&table); err != nil {
		return err
	}
	err := a.persist(ctx, func() error {
		_, err := a.w.o.Blobs.Put(ctx, a.resultKey(out, wire.CrossingsExt), bytes.NewReader(table.Bytes()))
		return err
	})
	if err != nil {
		return fmt.Errorf("write crossings of %s: %w", a.footage.ID, err)
	}
	return nil
}
