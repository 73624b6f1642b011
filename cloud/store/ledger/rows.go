package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"cattlecounter/cloud/store/database"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// querier runs queries: *sql.DB or *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row
}

const (
	footageColumns = `id, site, device, name, size, sha256, blob_key, telemetry_key, captured, received, ` +
		`duplicate_of, sibling_of, flight, born, seq, taken`
	jobColumns = `id, footage, state, attempt, fence, worker, reason, stage, frames_done, frames_total, percent, fps, ` +
		`eta_seconds, animals, result_key, created, updated, born, seq, priority, model, model_digest`
	countColumns = `footage, job, animals, low, high, by_class, model, model_digest, at, seq, boundaries`
)

// prefixed puts a table alias before every column.
func prefixed(alias, columns string) string {
	return alias + "." + strings.ReplaceAll(columns, ", ", ", "+alias+".")
}

// clean makes text from outside storable, such as file names and error texts of
// libraries. PostgreSQL refuses NUL and invalid UTF-8.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// footageRow is a row of footageColumns. All fields are nullable, because the right side
// of a LEFT JOIN may be missing.
type footageRow struct {
	id, site, device, name, digest, blobKey, telemetryKey, duplicateOf, siblingOf, flight sql.NullString
	size, captured, received, born, seq, taken                                            sql.NullInt64
}

func (r *footageRow) dest() []any {
	return []any{&r.id, &r.site, &r.device, &r.name, &r.size, &r.digest, &r.blobKey, &r.telemetryKey,
		&r.captured, &r.received, &r.duplicateOf, &r.siblingOf, &r.flight, &r.born, &r.seq, &r.taken}
}

func (r *footageRow) value() (Footage, error) {
	f := Footage{
		ID: footage.ID(r.id.String), Site: r.site.String, Device: r.device.String, Name: r.name.String,
		Size: r.size.Int64, BlobKey: r.blobKey.String, TelemetryKey: r.telemetryKey.String,
		Captured: fromMicros(r.captured), Received: fromMicros(r.received), Taken: fromMicros(r.taken),
		DuplicateOf: footage.ID(r.duplicateOf.String), SiblingOf: footage.ID(r.siblingOf.String),
		Flight: r.flight.String, Seq: r.seq.Int64, Born: r.born.Int64,
	}
	if err := f.SHA256.UnmarshalText([]byte(r.digest.String)); err != nil {
		return f, fmt.Errorf("footage %s: %w", f.ID, err)
	}
	return f, nil
}

type jobRow struct {
	id, footage, state, worker, reason, stage, resultKey, model, modelDigest sql.NullString
	attempt, fence, framesDone, framesTotal, animals, createdAt, updatedAt, born, seqNo,
	priority sql.NullInt64
	percent, fps, eta sql.NullFloat64
}

func (r *jobRow) dest() []any {
	return []any{&r.id, &r.footage, &r.state, &r.attempt, &r.fence, &r.worker, &r.reason, &r.stage,
		&r.framesDone, &r.framesTotal, &r.percent, &r.fps, &r.eta, &r.animals, &r.resultKey,
		&r.createdAt, &r.updatedAt, &r.born, &r.seqNo, &r.priority, &r.model, &r.modelDigest}
}

func (r *jobRow) value() (Job, error) {
	j := Job{
		ID: r.id.String, Footage: footage.ID(r.footage.String), State: job.State(r.state.String),
		Attempt: int(r.attempt.Int64), Fence: r.fence.Int64, Worker: r.worker.String,
		Reason: faulttext.WithoutFolders(r.reason.String), // that of an earlier program may have some
		Progress: job.Progress{
			Stage: job.Stage(r.stage.String), FramesDone: int(r.framesDone.Int64), FramesTotal: int(r.framesTotal.Int64),
			Percent: r.percent.Float64, FPS: r.fps.Float64, Count: int(r.animals.Int64),
		},
		ResultKey: r.resultKey.String, Created: fromMicros(r.createdAt), Updated: fromMicros(r.updatedAt), Seq: r.seqNo.Int64,
		Priority: int(r.priority.Int64),
	}
	if r.eta.Valid {
		j.Progress.ETASeconds = &r.eta.Float64
	}
	var err error
	if j.Model, err = modelRef(r.model.String, r.modelDigest.String); err != nil {
		return j, fmt.Errorf("job %s: %w", j.ID, err)
	}
	return j, nil
}

type countRow struct {
	footage, job, byClass, model, digest, boundaries sql.NullString
	unique, low, high, at, seq                       sql.NullInt64
	spread                                           spreadRow
}

// dest is for countColumns of the count and spreadColumns of its ground.
func (r *countRow) dest() []any {
	return append([]any{&r.footage, &r.job, &r.unique, &r.low, &r.high, &r.byClass, &r.model, &r.digest, &r.at, &r.seq,
		&r.boundaries}, r.spread.dest()...)
}

func (r *countRow) value() (Count, error) {
	c := Count{
		Footage: footage.ID(r.footage.String), Job: r.job.String,
		Unique: int(r.unique.Int64), Low: int(r.low.Int64), High: int(r.high.Int64),
		ByClass: map[string]int{}, Model: r.model.String, At: fromMicros(r.at), Seq: r.seq.Int64,
	}
	var err error
	if c.Spread, err = r.spread.value(); err != nil {
		return c, fmt.Errorf("count of %s: paddocks: %w", c.Footage, err)
	}
	if err := json.Unmarshal([]byte(r.byClass.String), &c.ByClass); err != nil {
		return c, fmt.Errorf("count of %s: classes: %w", c.Footage, err)
	}
	if err := c.ModelDigest.UnmarshalText([]byte(r.digest.String)); err != nil {
		return c, fmt.Errorf("count of %s: model: %w", c.Footage, err)
	}
	if err := readTotals(r.boundaries.String, &c.Boundaries); err != nil {
		return c, fmt.Errorf("count of %s: lines: %w", c.Footage, err)
	}
	return c, nil
}

// readTotals reads what formatTotals wrote.
func readTotals(text string, t *boundary.Totals) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), t)
}

// list returns all rows of a query, read by scan.
func list[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error),
	query string, args ...any) (_ []T, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, database.Classify(err)
	}
	defer func() {
		if cerr := rows.Close(); err == nil && cerr != nil {
			err = database.Classify(cerr)
		}
	}()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, database.Classify(err)
		}
		out = append(out, v)
	}
	return out, database.Classify(rows.Err())
}

func getFootage(ctx context.Context, q querier, where string, args ...any) (Footage, error) {
	var r footageRow
	if err := q.QueryRowContext(ctx, `SELECT `+footageColumns+` FROM footage WHERE `+where,
		args...).Scan(r.dest()...); err != nil {
		return Footage{}, notFound(err)
	}
	return r.value()
}

func getJob(ctx context.Context, q querier, where string, args ...any) (Job, error) {
	var r jobRow
	if err := q.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM job WHERE `+where,
		args...).Scan(r.dest()...); err != nil {
		return Job{}, notFound(err)
	}
	return r.value()
}
