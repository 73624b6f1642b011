package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/shared/wire"
)

// errDeclined says that a job was returned for another worker, because its model is not on this machine.
var errDeclined = errors.New("model not installed")

// wanted returns the model that the job of a lease is to be counted with. When this machine does not have it, the message
// goes back for another worker, without a delivery that counts, and the error is errDeclined. No other model replaces it.
func (w *Worker) wanted(ctx context.Context, lease queue.Lease, log *slog.Logger) (wire.ModelRef, error) {
	if w.o.Models == nil {
		return wire.ModelRef{}, nil
	}
	want, err := w.o.Models.For(ctx, lease.Job())
	if errors.Is(err, ledger.ErrNotFound) {
		return wire.ModelRef{}, nil // there is nothing to count, and Begin says so
	}
	if err != nil || want.IsZero() || w.o.Shelf.Has(want) {
		return want, err
	}
	delay := min(declineFor+declineMore*time.Duration(w.passed), maxBackoff)
	w.passed++
	log.Info("model not installed here; leaving the job to another worker", "model", want.String(), "retry_in", delay)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	if err := lease.Decline(ctx, delay); err != nil {
		log.Warn("cannot return the message; it will be delivered again after its lease", "err", err)
	}
	return want, errDeclined
}

// counter returns what counts with a model.
func (w *Worker) counter(m wire.ModelRef) (Counter, error) {
	if w.o.Shelf == nil {
		return w.o.Counter, nil
	}
	c, err := w.o.Shelf.Counter(m)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", m, err)
	}
	return c, nil
}
