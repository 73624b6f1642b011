package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
)

// Review is what one person decided about the animals of a count.
type Review struct {
	Footage  footage.ID
	Reviewer string    // the holder of the token
	Counted  time.Time // of the count that it is of, as Count.At
	Document []byte    // JSON of cloud/count/review for one piece of footage
	Animals  int       // that the review makes of the count
	Judged   int       // counted tracks with a verdict
	Tracks   int       // that were counted
	Updated  time.Time // when it was stored
}

// mostReviewers bounds the reviews of one piece of footage.
const mostReviewers = 20

// Reviews are what people decided about counts.
type Reviews struct{ *tables }

// Put stores a review in the place of an earlier one of the same person. Unknown footage, and footage without a count,
// fail with ErrNotFound. A review of another count than the present one, and one too many, fail with ErrInvalid.
func (l *Reviews) Put(ctx context.Context, r Review) (Review, error) {
	r.Updated = fromMicros(sql.NullInt64{Int64: l.now().UnixMicro(), Valid: true})
	err := l.write(ctx, "review of footage "+string(r.Footage), func(ctx context.Context, tx *sql.Tx) error {
		var at int64
		if err := notFound(tx.QueryRowContext(ctx, `SELECT at FROM animal_count WHERE footage = $1`, r.Footage).Scan(&at)); err != nil {
			return err
		}
		if at != r.Counted.UnixMicro() {
			return fmt.Errorf("the footage was counted again since; load the new count and review that: %w", ErrInvalid)
		}
		var others int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM review WHERE footage = $1 AND reviewer <> $2`, r.Footage,
			r.Reviewer).Scan(&others); err != nil {
			return err
		}
		if others >= mostReviewers {
			return fmt.Errorf("%d people have reviewed the footage already: %w", others, ErrInvalid)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO review (footage, reviewer, counted, document, animals, judged, tracks, updated)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (footage, reviewer) DO UPDATE SET counted = excluded.counted, document = excluded.document,
				animals = excluded.animals, judged = excluded.judged, tracks = excluded.tracks, updated = excluded.updated`,
			r.Footage, clean(r.Reviewer), r.Counted.UnixMicro(), string(r.Document), r.Animals, r.Judged, r.Tracks,
			micros(r.Updated)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionReview, string(r.Footage))
	})
	if err != nil {
		return Review{}, err
	}
	return r, nil
}

// List returns the reviews of a piece of footage, oldest first. Footage without any has none.
func (l *Reviews) List(ctx context.Context, id footage.ID) ([]Review, error) {
	rows, err := l.db.Read().QueryContext(ctx, `SELECT footage, reviewer, counted, document, animals, judged, tracks, updated
		FROM review WHERE footage = $1 ORDER BY updated, reviewer`, id)
	if err != nil {
		return nil, fmt.Errorf("reviews of footage %s: %w", id, database.Classify(err))
	}
	defer rows.Close()
	var all []Review
	for rows.Next() {
		var r Review
		var document string
		var counted, updated sql.NullInt64
		if err := rows.Scan(&r.Footage, &r.Reviewer, &counted, &document, &r.Animals, &r.Judged, &r.Tracks, &updated); err != nil {
			return nil, fmt.Errorf("reviews of footage %s: %w", id, database.Classify(err))
		}
		r.Document, r.Counted, r.Updated = []byte(document), fromMicros(counted), fromMicros(updated)
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reviews of footage %s: %w", id, database.Classify(err))
	}
	return all, nil
}

// Delete removes the review of one person. Without one it fails with ErrNotFound.
func (l *Reviews) Delete(ctx context.Context, id footage.ID, reviewer string) error {
	return l.write(ctx, "remove review of footage "+string(id), func(ctx context.Context, tx *sql.Tx) error {
		if err := execOne(tx.ExecContext(ctx, `DELETE FROM review WHERE footage = $1 AND reviewer = $2`, id, reviewer)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRemoveReview, string(id))
	})
}
