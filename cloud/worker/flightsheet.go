package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// storeFlightSheet draws the count sheet of a flight from the pictures of its parts and writes it beside the result
// document. Without pictures there is no sheet. A store without space, and pictures that cannot be read, cost the sheet, not
// the flight.
func (w *Worker) storeFlightSheet(ctx context.Context, f flight.Flight, parts []ledger.Part, result string) error {
	if !w.o.Sheets {
		return nil
	}
	var grounds []evidence.PartGround
	name := ""
	for k, i := range f.Parts {
		p := parts[i]
		if k == 0 {
			name = fmt.Sprintf("%s and %d more", p.Name, len(f.Parts)-1)
		}
		g := evidence.PartGround{Read: func() ([]byte, error) { return nil, nil }}
		if at, ok := f.Place(k); ok && p.TraceKey != "" {
			g = evidence.PartGround{Frames: at.Frames, Seconds: at.Seconds, Place: at.Segment,
				Read: func() ([]byte, error) { return w.readGround(ctx, p) }}
		}
		grounds = append(grounds, g)
	}
	sheet, err := evidence.FlightSheet(name, f.Tally(), grounds)
	if err == nil && sheet != nil {
		_, err = w.o.Blobs.Put(ctx, wire.FlightSheetKey(result), bytes.NewReader(sheet))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		w.o.Log.Warn("cannot write the count sheet of a flight; the flight has none", "first", name, "err", err)
	}
	return nil
}

// readGround reads the pictures of a part, nil when they are missing: it was counted without sheets, or by an earlier
// version, or retention has removed them.
func (w *Worker) readGround(ctx context.Context, p ledger.Part) ([]byte, error) {
	r, err := w.o.Blobs.Open(ctx, wire.GroundKey(p.TraceKey), 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the pictures of footage %s: %w", p.Footage, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, evidence.MaxGround+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read the pictures of footage %s: %w", p.Footage, err)
	}
	return b, nil
}
