package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Choice is a choice of sites: one site, or all but some. The zero value is every site.
type Choice struct {
	Only   string
	Except []string
}

// condition is the condition of a query whose parameters before it are used.
func (c Choice) condition(column string, used int) (string, []any) {
	if c.Only != "" {
		return fmt.Sprintf(" AND %s = $%d", column, used+1), []any{c.Only}
	}
	text, args := "", []any{}
	for _, site := range c.Except {
		args = append(args, site)
		text += fmt.Sprintf(" AND %s <> $%d", column, used+len(args))
	}
	return text, args
}

// ListCounted returns at most limit pieces of footage of a choice of sites that have a video and were counted before
// a time, oldest first. A sibling without a job of its own was counted when the footage that
// is counted for it was.
func (l *Catalog) ListCounted(ctx context.Context, in Choice, before time.Time, limit int) ([]Footage, error) {
	where, args := in.condition("f.site", 3)
	fs, err := list(ctx, l.db.Read(), scanFootage, listVideos(prefixed("f", footageColumns), where), append([]any{job.Done, before.UnixMicro(), limit}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("footage counted before %s: %w", before.UTC().Format(time.RFC3339), err)
	}
	return fs, nil
}

// CountedVideo is a video with the time of its count, from which on its age is reckoned.
type CountedVideo struct {
	Footage footage.ID
	Site    string
	Name    string // of the file
	Size    int64  // bytes
	Counted time.Time
}

// OldestVideos returns at most limit videos of a choice of sites that are counted, those that were counted first come first.
func (l *Catalog) OldestVideos(ctx context.Context, in Choice, limit int) ([]CountedVideo, error) {
	where, args := in.condition("f.site", 3)
	vs, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (v CountedVideo, err error) {
		var at int64
		err = rows.Scan(&v.Footage, &v.Site, &v.Name, &v.Size, &at)
		v.Counted = time.UnixMicro(at).UTC()
		return v, err
	}, listVideos(`f.id, f.site, f.name, f.size, v.updated`, where),
		append([]any{job.Done, int64(math.MaxInt64), limit}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("the oldest videos: %w", err)
	}
	return vs, nil
}

// countedBefore are videos with their jobs of state $1 that ended before $2. more is a condition on the footage f. It reads
// the footage that still has a video, by an index, and not the jobs, of which most have lost theirs in time. SQLite reads
// the tables of a CROSS JOIN in this order.
func countedBefore(more string) string {
	const from = `SELECT f.id AS counted, j.updated, f.born FROM footage f CROSS JOIN job j `
	where := ` AND j.state = $1 AND j.updated < $2 AND f.blob_key <> ''` + more
	return ` FROM (` + from + `WHERE j.footage = f.id` + where + ` UNION ALL ` + from + `WHERE f.sibling_of IS NOT NULL
		AND j.footage = f.sibling_of AND NOT EXISTS (SELECT 1 FROM job own WHERE own.footage = f.id AND own.state <> 'canceled')` +
		where + `) v`
}

// listVideos is the query of some columns of videos v, their footage f, and the time of their count.
func listVideos(columns, where string) string {
	return `SELECT ` + columns + ` FROM (SELECT counted, updated, born` + countedBefore(where) + ` ORDER BY updated, born LIMIT $3) v
		JOIN footage f ON f.id = v.counted ORDER BY v.updated, v.born`
}

// IsCounted reports whether ListCounted would list a piece of footage now.
func (l *Catalog) IsCounted(ctx context.Context, id footage.ID, before time.Time) (bool, error) {
	var n int
	if err := l.db.Read().QueryRowContext(ctx, `SELECT COUNT(*)`+countedBefore(` AND f.id = $3`), job.Done, before.UnixMicro(),
		id).Scan(&n); err != nil {
		return false, fmt.Errorf("whether footage %s is counted: %w", id, database.Classify(err))
	}
	return n > 0, nil
}

// RemoveVideo records that the video of a footage was deleted. Delete the blob first: when
// a crash separates the two, the next retention round repeats both.
func (l *Catalog) RemoveVideo(ctx context.Context, id footage.ID) error {
	return l.write(ctx, "remove video of "+string(id), func(ctx context.Context, tx *sql.Tx) error {
		seq, err := nextSeq(ctx, tx)
		if err != nil {
			return err
		}
		if err := execOne(tx.ExecContext(ctx, `UPDATE footage SET blob_key = '', seq = $1 WHERE id = $2 AND blob_key <> ''`,
			seq, id)); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRemoveVideo, string(id))
	})
}

// RestoreVideo records that the blob lost of a footage is lost and that the blob key of an
// upload session replaces it. It fails with ErrNotFound when the session was deleted or
// the footage has another blob now. A poisoned job starts again: the caller enqueues it
// as after Retry. The job is the zero value for a sibling without one.
func (l *Catalog) RestoreVideo(ctx context.Context, upload string, id footage.ID, lost, key string) (Job, error) {
	have, err := l.jobOfFootage(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Job{}, l.write(ctx, "restore video of "+string(id), func(ctx context.Context, tx *sql.Tx) error {
			return l.replaceBlob(ctx, tx, upload, id, lost, key)
		})
	}
	if err != nil {
		return Job{}, err
	}
	return l.updateJob(ctx, "restore video for", have.ID, func(ctx context.Context, tx *sql.Tx, j *Job) error {
		if err := l.replaceBlob(ctx, tx, upload, id, lost, key); err != nil || j.State != job.Poisoned {
			return err
		}
		return j.retry()
	})
}

// replaceBlob gives footage the blob of an upload session in place of a lost one.
func (l *tables) replaceBlob(ctx context.Context, tx *sql.Tx, upload string, id footage.ID, lost, key string) error {
	if err := l.touch(ctx, tx, upload); err != nil {
		return err
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	if err := execOne(tx.ExecContext(ctx, `UPDATE footage SET blob_key = $1, seq = $2 WHERE id = $3 AND blob_key = $4`,
		key, seq, id, lost)); err != nil {
		return err
	}
	return l.audit(ctx, tx, ActionRestoreVideo, string(id))
}
