package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/wire"
)

// Workers is what the workers say of themselves.
type Workers struct{ *tables }

// Worker is a worker and the models on its machine.
type Worker struct {
	Name    string
	Started time.Time
	Until   time.Time             // it promised to write again before
	Models  []wire.InstalledModel // none where its report cannot be read
}

// forgetWorkers is how long a worker that writes no more is remembered.
const forgetWorkers = 24 * time.Hour

// Report stores what a worker says of itself in place of what it said before. Until is by the clock of this process. It is
// stored by that of the database, so a worker with a wrong clock neither looks dead nor makes others forgotten.
func (l *Workers) Report(ctx context.Context, w Worker) error {
	document, err := json.Marshal(w.Models)
	if err != nil {
		return fmt.Errorf("report of worker %s: %w", w.Name, err)
	}
	now, err := l.common(ctx)
	if err != nil {
		return fmt.Errorf("report of worker %s: %w", w.Name, err)
	}
	until := now.Add(w.Until.Sub(l.now()))
	return l.write(ctx, "report of worker "+w.Name, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM worker WHERE until < $1`, micros(now.Add(-forgetWorkers))); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO worker (name, document, started, until) VALUES ($1, $2, $3, $4)
			ON CONFLICT (name) DO UPDATE SET document = excluded.document, started = excluded.started, until = excluded.until`,
			clean(w.Name), clean(string(document)), micros(w.Started), micros(until))
		return err
	})
}

// Remove forgets a worker that ends. An unknown one is no error.
func (l *Workers) Remove(ctx context.Context, name string) error {
	return l.write(ctx, "remove worker "+name, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM worker WHERE name = $1`, clean(name))
		return err
	})
}

// Alive returns the workers that have kept their promise to write again, by name. Until is by the clock of the database.
func (l *Workers) Alive(ctx context.Context) ([]Worker, error) {
	now, err := l.common(ctx)
	if err != nil {
		return nil, fmt.Errorf("living workers: %w", err)
	}
	all, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (w Worker, err error) {
		var document string
		var started, until sql.NullInt64
		if err = rows.Scan(&w.Name, &document, &started, &until); err != nil {
			return w, err
		}
		w.Started, w.Until = fromMicros(started), fromMicros(until)
		if json.Unmarshal([]byte(document), &w.Models) != nil {
			w.Models = nil // that of a newer program; the worker lives, and the others are to be seen
		}
		for i := range w.Models {
			w.Models[i].Caution, w.Models[i].Fault = faulttext.WithoutFolders(w.Models[i].Caution), faulttext.WithoutFolders(w.Models[i].Fault)
		}
		return w, nil
	}, `SELECT name, document, started, until FROM worker WHERE until >= $1 ORDER BY name`, micros(now))
	if err != nil {
		return nil, fmt.Errorf("living workers: %w", err)
	}
	return all, nil
}
