package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// Stations is what cloud-api remembers of each station over its restart. The documents are its own.
type Stations struct{ *tables }

// Put stores the document of a station in place of an earlier one.
func (l *Stations) Put(ctx context.Context, device, document string) error {
	return l.write(ctx, "remember station "+device, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO station (device, document, updated) VALUES ($1, $2, $3)
			ON CONFLICT (device) DO UPDATE SET document = excluded.document, updated = excluded.updated`,
			device, clean(document), micros(l.now()))
		return err
	})
}

// All returns the documents by the names of their stations.
func (l *Stations) All(ctx context.Context) (map[string]string, error) {
	documents := map[string]string{}
	_, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (struct{}, error) {
		var device, document string
		err := rows.Scan(&device, &document)
		documents[device] = document
		return struct{}{}, err
	}, `SELECT device, document FROM station`)
	if err != nil {
		return nil, fmt.Errorf("remembered stations: %w", err)
	}
	return documents, nil
}
