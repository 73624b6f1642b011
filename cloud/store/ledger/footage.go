package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Catalog is the footage that was received, with duplicates, and where its video is.
type Catalog struct{ *tables }

// Record records verified footage and, unless its content is known or another file of the
// flight is counted, the job that counts it. It sets Received when zero.
//
// An id that is known changes nothing: Record returns the recorded footage, and the
// caller compares the digests. A new id is claimed for the footage's device in the same
// transaction; an id of another device fails with ErrOwned. Known content with a new id becomes a duplicate, which
// names the original and has no blob and no job.
func (l *Catalog) Record(ctx context.Context, f Footage) (Recorded, error) {
	return l.recordOnce(ctx, f, func(context.Context, *sql.Tx) error { return nil })
}

// RecordUpload is Record for footage of an upload session. The session must still exist,
// otherwise it fails with ErrNotFound. So nothing of a deleted session is recorded later.
func (l *Catalog) RecordUpload(ctx context.Context, upload string, f Footage) (Recorded, error) {
	return l.recordOnce(ctx, f, func(ctx context.Context, tx *sql.Tx) error { return l.touch(ctx, tx, upload) })
}

func (l *tables) recordOnce(ctx context.Context, f Footage, may func(context.Context, *sql.Tx) error) (Recorded,
	error) {
	action := fmt.Sprintf("record footage %s", f.ID)
	if _, err := footage.ParseID(string(f.ID)); err != nil {
		return Recorded{}, fmt.Errorf("%s: %w: %w", action, err, ErrInvalid)
	}
	if f.SHA256.IsZero() || f.Size <= 0 {
		return Recorded{}, fmt.Errorf("%s: size %d, digest %q: %w", action, f.Size, f.SHA256, ErrInvalid)
	}
	f.Name = clean(f.Name)
	var rec Recorded
	err := l.write(ctx, action, func(ctx context.Context, tx *sql.Tx) error {
		var err error
		if err = may(ctx, tx); err != nil {
			return err
		}
		rec, err = l.recorded(ctx, tx, f.ID)
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		rec, err = l.record(ctx, tx, f)
		return err
	})
	return rec, err
}

// recorded returns the recorded footage with an id.
func (l *tables) recorded(ctx context.Context, tx *sql.Tx, id footage.ID) (Recorded, error) {
	f, err := getFootage(ctx, tx, `id = $1`, id)
	if err != nil {
		return Recorded{}, err
	}
	j, err := getJob(ctx, tx, `footage = $1`, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return Recorded{Footage: f}, nil
	case err != nil:
		return Recorded{}, err
	}
	return Recorded{Footage: f, Job: &j}, nil
}

func (l *tables) record(ctx context.Context, tx *sql.Tx, f Footage) (Recorded, error) {
	if err := l.claim(ctx, tx, f.ID, f.Device); err != nil {
		return Recorded{}, err
	}
	now := l.now().UTC()
	if f.Received.IsZero() {
		f.Received = now
	}
	f.Taken = f.Captured
	original, err := getFootage(ctx, tx, `sha256 = $1 AND duplicate_of IS NULL`, f.SHA256.String())
	switch {
	case err == nil:
		f.DuplicateOf, f.BlobKey = original.ID, ""
	case errors.Is(err, ErrNotFound):
		f.DuplicateOf = ""
	default:
		return Recorded{}, err
	}
	if f.Seq, err = nextSeq(ctx, tx); err != nil {
		return Recorded{}, err
	}
	f.Born = f.Seq
	_, err = tx.ExecContext(ctx, `INSERT INTO footage (`+footageColumns+
		`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, NULL, $12, $13, $14)`,
		f.ID, f.Site, f.Device, f.Name, f.Size, f.SHA256.String(), f.BlobKey, f.TelemetryKey,
		micros(f.Captured), micros(f.Received), nullable(string(f.DuplicateOf)), f.Seq, f.Seq, micros(f.Taken))
	if err != nil {
		return Recorded{}, err
	}
	if err := putName(ctx, tx, f.Name, f.Born); err != nil {
		return Recorded{}, err
	}
	rec := Recorded{Footage: f, Created: true}
	if err := addTotal(ctx, tx, totalFootage, 1); err != nil {
		return rec, err
	}
	if f.DuplicateOf != "" {
		return rec, addTotal(ctx, tx, totalDuplicates, 1)
	}
	if err := errors.Join(addTotal(ctx, tx, totalBytes, f.Size), markDue(ctx, tx, f.ID)); err != nil {
		return rec, err
	}
	if err := l.joinSiblings(ctx, tx, &rec.Footage); err != nil || rec.Footage.SiblingOf != "" {
		return rec, err
	}
	j, err := l.insertJob(ctx, tx, f.ID)
	rec.Job = &j
	return rec, err
}

// insertJob makes the job of footage.
func (l *tables) insertJob(ctx context.Context, tx *sql.Tx, id footage.ID) (Job, error) {
	if err := countState(ctx, tx, "", job.Uploaded); err != nil {
		return Job{}, err
	}
	now := l.now().UTC()
	j := Job{ID: string(footage.NewID(now)), Footage: id, State: job.Uploaded, Created: now, Updated: now}
	var err error
	if j.Seq, err = nextSeq(ctx, tx); err != nil {
		return Job{}, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO job (`+jobColumns+`)
		VALUES ($1, $2, $3, 0, 0, '', '', '', 0, 0, 0, 0, NULL, 0, '', $4, $5, $6, $7, 0, '', '')`,
		j.ID, j.Footage, j.State, micros(now), micros(now), j.Seq, j.Seq)
	return j, err
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// countedFootage is the id of the footage whose job and count stand for footage f, whose original is o. It is that of a
// job of its own, unless that was canceled in favor of a sibling, else that of the sibling.
const countedFootage = `COALESCE((SELECT own.footage FROM job own WHERE own.footage = COALESCE(f.duplicate_of, f.id)
	AND NOT (own.state = 'canceled' AND COALESCE(o.sibling_of, f.sibling_of) IS NOT NULL)), o.sibling_of, f.sibling_of)`

// viewQuery joins a footage with the job and the count that stand for it.
var viewQuery = `SELECT ` + prefixed("f", footageColumns) + `, ` + prefixed("j", jobColumns) + `, ` + prefixed("c",
	countColumns) + `, ` + prefixed("q", spreadColumns) + `, ` + prefixed("g", logColumns) + `, o.device, o.site
	FROM footage f
	LEFT JOIN footage o ON o.id = f.duplicate_of
	LEFT JOIN job j ON j.footage = ` + countedFootage + `
	LEFT JOIN animal_count c ON c.footage = j.footage
	LEFT JOIN ground q ON q.footage = c.footage
	LEFT JOIN ground g ON g.footage = COALESCE(f.duplicate_of, f.id) `

type bornView struct {
	FootageView
	born int64
}

func scanView(rows *sql.Rows) (bornView, error) {
	var f footageRow
	var j jobRow
	var c countRow
	var g logRow
	var v bornView
	var device, site sql.NullString
	if err := rows.Scan(slices.Concat(f.dest(), j.dest(), c.dest(), g.dest(), []any{&device, &site})...); err != nil {
		return v, err
	}
	v.OriginalDevice, v.OriginalSite, v.Ground = device.String, site.String, g.value()
	var err error
	if v.FootageView.Footage, err = f.value(); err != nil {
		return v, err
	}
	v.born = f.born.Int64
	if j.id.Valid {
		job, err := j.value()
		if err != nil {
			return v, err
		}
		v.Job = &job
	}
	if c.footage.Valid {
		count, err := c.value()
		if err != nil {
			return v, err
		}
		v.Count = &count
	}
	return v, nil
}

func (l *tables) view(ctx context.Context, noun, where string, args ...any) (FootageView, error) {
	vs, err := list(ctx, l.db.Read(), scanView, viewQuery+where, args...)
	if err == nil && len(vs) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return FootageView{}, fmt.Errorf("footage %s: %w", noun, err)
	}
	return vs[0].FootageView, nil
}

// Get returns one piece of footage with its job and count.
func (l *Catalog) Get(ctx context.Context, id footage.ID) (FootageView, error) {
	return l.view(ctx, string(id), `WHERE f.id = $1`, id)
}

// GetBySHA256At returns the first footage with this content at one of the sites.
func (l *Catalog) GetBySHA256At(ctx context.Context, d footage.Digest, sites SiteSet) (FootageView, error) {
	at, args := sites.where("f.site", []any{d.String()})
	return l.view(ctx, "with sha256 "+d.String(), `WHERE f.sha256 = $1`+at+` ORDER BY f.born LIMIT 1`, args...)
}

// GetBySHA256 returns the first footage with this content: the original, or with a device
// the first footage of that device. The device "" means all devices.
func (l *Catalog) GetBySHA256(ctx context.Context, d footage.Digest, device string) (FootageView, error) {
	noun := "with sha256 " + d.String()
	if device == "" {
		return l.view(ctx, noun, `WHERE f.sha256 = $1 AND f.duplicate_of IS NULL`, d.String())
	}
	return l.view(ctx, noun, `WHERE f.sha256 = $1 AND f.device = $2 ORDER BY f.born LIMIT 1`, d.String(), device)
}

// ListDuplicates returns at most limit duplicates of the footage, oldest first.
func (l *Catalog) ListDuplicates(ctx context.Context, id footage.ID, limit int) ([]Footage, error) {
	fs, err := list(ctx, l.db.Read(), scanFootage,
		`SELECT `+footageColumns+` FROM footage WHERE duplicate_of = $1 ORDER BY born LIMIT $2`, id, limit)
	if err != nil {
		return nil, fmt.Errorf("duplicates of %s: %w", id, err)
	}
	return fs, nil
}

func scanFootage(rows *sql.Rows) (Footage, error) {
	var r footageRow
	if err := rows.Scan(r.dest()...); err != nil {
		return Footage{}, err
	}
	return r.value()
}
