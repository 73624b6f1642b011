package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// lines is the part of the ledger that has lines and zones. ledger.Lines implements it.
type lines interface {
	// For fails with ledger.ErrNotFound when neither the footage nor its flight nor its device has any.
	For(ctx context.Context, id footage.ID) (ledger.LineSet, error)
	// ForFlight fails with ledger.ErrNotFound when neither the flights nor the device have any.
	ForFlight(ctx context.Context, device string, flights ...string) (ledger.LineSet, error)
}

// findLines returns what the footage is judged by: its own lines and zones, else those of its flight, else those of its
// device, else those of the configuration. What a flight has on the ground is drawn into a picture of its anchor, so other
// footage is judged by the rest.
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

// drawing returns what a flight of these parts is judged by, and since when its owner has it.
func (w *Worker) drawing(ctx context.Context, device string, parts []ledger.Part) (flight.Drawing, time.Time, error) {
	if w.o.Lines == nil {
		return flight.Drawing{Set: w.o.DefaultLines}, time.Time{}, nil
	}
	var flights []string
	for _, p := range parts {
		if p.Flight != "" && !slices.Contains(flights, p.Flight) {
			flights = append(flights, p.Flight)
		}
	}
	s, err := w.o.Lines.ForFlight(ctx, device, flights...)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return flight.Drawing{Set: w.o.DefaultLines}, time.Time{}, nil
	case err != nil:
		return flight.Drawing{}, time.Time{}, err
	}
	return flight.Drawing{Set: s.Set, Anchor: string(s.Anchor)}, s.Updated, nil
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
