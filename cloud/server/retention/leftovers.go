package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"strings"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

const (
	// grace is how long a result stays after another one has replaced it: a direct link to the storage lives for 15
	// minutes, and a download that it began may take longer.
	grace = time.Hour
	// reach is how far back the first sweep of a process looks for replaced results.
	reach = 30 * 24 * time.Hour
)

// Jobs reads the ledger's jobs; *ledger.Jobs implements it.
type Jobs interface {
	ListRepeated(ctx context.Context, from, to time.Time, limit int) ([]ledger.Job, error)
}

// Documents knows the results of flights; *ledger.Flights implements it.
type Documents interface {
	UnnamedResults(ctx context.Context, keys []string) ([]string, error)
}

// Leftovers deletes results that newer ones have replaced, and documents of flights that the ledger does not name: those
// of former joinings, and what a crash or a fault has left. All fields but the unexported ones are required. It is not safe
// for concurrent use; several processes may have one each.
type Leftovers struct {
	Jobs      Jobs
	Documents Documents
	Blobs     Blobs
	Now       func() time.Time
	Log       *slog.Logger

	swept   time.Time            // jobs that ended until then are done with
	unnamed map[string]time.Time // by key of a document: since when the ledger does not name it
}

// Run sweeps at once and then every hour, until ctx ends, and returns nil. It logs faults and sweeps again in the next hour.
func (l *Leftovers) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n, err := l.Sweep(ctx)
		if n > 0 {
			l.Log.Info("replaced results deleted", "blobs", n)
		}
		if err != nil && ctx.Err() == nil {
			l.Log.Error("cannot delete replaced results; trying again", "err", err, "retry_in", every)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep deletes what was replaced for longer than the grace, and returns how many blobs. A document of a flight goes in the
// second sweep that finds it without a name: the ledger may be about to name it.
func (l *Leftovers) Sweep(ctx context.Context) (int, error) {
	n, err := l.sweepResults(ctx)
	k, e := l.sweepFlights(ctx)
	return n + k, errors.Join(err, e)
}

// sweepResults deletes the results of attempts before the one that counts.
func (l *Leftovers) sweepResults(ctx context.Context) (n int, err error) {
	to := l.Now().Add(-grace)
	if l.swept.IsZero() {
		l.swept = to.Add(-reach)
	}
	for {
		jobs, err := l.Jobs.ListRepeated(ctx, l.swept, to, batch)
		if err != nil {
			return n, err
		}
		for _, j := range jobs {
			counts := wire.ResultFence(j.ResultKey)
			k, err := l.remove(ctx, wire.ResultPrefix(j.Footage), func(key string) bool { return wire.ResultFence(key) < counts })
			if n += k; err != nil {
				return n, fmt.Errorf("delete replaced results of footage %s: %w", j.Footage, err)
			}
			l.swept = j.Updated
		}
		if len(jobs) < batch {
			l.swept = to
			return n, nil
		}
	}
}

// sweepFlights deletes documents of flights, with what belongs to them.
func (l *Leftovers) sweepFlights(ctx context.Context) (n int, err error) {
	files := map[string][]string{} // by key of the document
	for info, err := range l.Blobs.List(ctx, wire.FlightPrefix) {
		if err != nil {
			return 0, err
		}
		name, _, _ := strings.Cut(path.Base(info.Key), ".")
		document := wire.FlightPrefix + name + ".json"
		files[document] = append(files[document], info.Key)
	}
	documents := make([]string, 0, len(files))
	for key := range files {
		documents = append(documents, key)
	}
	list, err := l.Documents.UnnamedResults(ctx, documents)
	if err != nil {
		return 0, err
	}
	now, since := l.Now(), map[string]time.Time{}
	for _, document := range list {
		first, known := l.unnamed[document]
		if !known {
			first = now
		}
		if now.Sub(first) < grace {
			since[document] = first
			continue
		}
		for _, key := range files[document] {
			if err := l.Blobs.Delete(ctx, key); err != nil {
				return n, fmt.Errorf("delete a former result of a flight: %w", err)
			}
			n++
		}
	}
	l.unnamed = since
	return n, nil
}

// remove deletes those of the blobs with a prefix that match.
func (l *Leftovers) remove(ctx context.Context, prefix string, match func(key string) bool) (n int, err error) {
	var keys []string
	for info, err := range l.Blobs.List(ctx, prefix) {
		if err != nil {
			return 0, err
		}
		if match(info.Key) {
			keys = append(keys, info.Key)
		}
	}
	for _, key := range keys {
		if err := l.Blobs.Delete(ctx, key); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
