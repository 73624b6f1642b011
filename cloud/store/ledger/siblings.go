package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

const (
	// siblingWindow is how far the capture times of two files of one flight may be apart. It is wide because the time of
	// one may come from its container and that of the other from the card. shared/footage compares more closely.
	siblingWindow = 30 * time.Minute
	// maxSiblings bounds the footage that a new file is compared with, the nearest first.
	maxSiblings = 100
)

// joinSiblings finds the files of the flight that f belongs to, among the footage of its device. It sets f.SiblingOf
// when one of them is counted for f. Otherwise f is the best file: the others become its siblings, and their unfinished
// jobs are canceled. Call it after f was recorded.
func (l *tables) joinSiblings(ctx context.Context, tx *sql.Tx, f *Footage) error {
	leader, err := l.findLeader(ctx, tx, *f)
	if err != nil || leader == nil {
		return err
	}
	if preferred(*leader, *f) {
		f.SiblingOf = leader.ID
		_, err := tx.ExecContext(ctx, `UPDATE footage SET sibling_of = $1 WHERE id = $2`, leader.ID, f.ID)
		return err
	}
	others, err := list(ctx, tx, scanFootage, `SELECT `+footageColumns+` FROM footage WHERE id = $1 OR sibling_of = $1`,
		leader.ID)
	if err != nil {
		return err
	}
	for _, other := range others {
		if err := l.followLeader(ctx, tx, other, f.ID); err != nil {
			return err
		}
	}
	return nil
}

// findLeader returns the footage that is counted for the flight of f, nil when no other file of the flight is known.
func (l *tables) findLeader(ctx context.Context, tx *sql.Tx, f Footage) (*Footage, error) {
	if f.Captured.IsZero() {
		return nil, nil
	}
	at := f.Captured.UnixMicro()
	near, err := list(ctx, tx, scanFootage, `SELECT `+footageColumns+` FROM footage
		WHERE device = $1 AND duplicate_of IS NULL AND id <> $2 AND captured BETWEEN $3 AND $4
		ORDER BY ABS(captured - $5), born LIMIT $6`, f.Device, f.ID, at-siblingWindow.Microseconds(),
		at+siblingWindow.Microseconds(), at, maxSiblings)
	if err != nil {
		return nil, err
	}
	for _, other := range near {
		if !areSiblings(f, other) {
			continue
		}
		if other.SiblingOf != "" {
			if other, err = getFootage(ctx, tx, `id = $1`, other.SiblingOf); err != nil {
				return nil, err
			}
		}
		return &other, nil
	}
	return nil, nil
}

// areSiblings reports whether two files of one device are of one flight. Files of one camera never are: a camera whose
// clock and numbers were reset writes the same name and time for another flight.
func areSiblings(a, b Footage) bool {
	na, nb := footage.ReadName(a.Name), footage.ReadName(b.Name)
	if na.Lens == nb.Lens && na.Proxy == nb.Proxy {
		return false
	}
	flights, _ := footage.GroupSiblings([]footage.Recording{recording(a), recording(b)})
	return len(flights) == 1
}

// preferred reports whether a is the better file to count.
func preferred(a, b Footage) bool {
	return footage.PreferredOrder([]footage.Recording{recording(a), recording(b)}, []int{0, 1})[0] == 0
}

// recording is what the ledger knows of a file. The length is not known here; equal lengths leave the decision to name
// and time.
func recording(f Footage) footage.Recording {
	return footage.Recording{Path: f.Name, Started: f.Captured, Duration: time.Minute}
}

// followLeader makes footage a sibling of the leader. Its count leaves the totals, and its unfinished job is canceled.
// Footage and count take a new Seq, so that their readers learn of the leader.
func (l *tables) followLeader(ctx context.Context, tx *sql.Tx, f Footage, leader footage.ID) error {
	if f.SiblingOf == "" {
		if err := l.leaveFlight(ctx, tx, f.ID); err != nil {
			return err
		}
		if err := l.uncount(ctx, tx, f.ID); err != nil {
			return err
		}
		j, err := getJob(ctx, tx, `footage = $1`, f.ID)
		if err == nil && !j.State.Ended() {
			j, err = l.updateJobIn(ctx, tx, j.ID, func(_ context.Context, _ *sql.Tx, j *Job) error {
				j.Fence++
				j.Reason, j.Progress.ETASeconds = "footage "+string(leader)+" of the same flight is counted", nil
				return j.apply(job.Cancel)
			})
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE footage SET sibling_of = $1, seq = $2 WHERE id = $3`, leader, seq,
		f.ID); err != nil {
		return err
	}
	if seq, err = nextSeq(ctx, tx); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE animal_count SET seq = $1 WHERE footage = $2`, seq, f.ID)
	return err
}

// uncount takes the count of footage out of the totals. The count itself stays.
func (l *tables) uncount(ctx context.Context, tx *sql.Tx, id footage.ID) error {
	var animals int64
	err := tx.QueryRowContext(ctx, `SELECT animals FROM animal_count WHERE footage = $1`, id).Scan(&animals)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = addTotal(ctx, tx, totalCounts, -1)
	}
	if err == nil {
		err = addTotal(ctx, tx, totalAnimals, -animals)
	}
	return err
}

// CountSibling makes the job of footage that has none because another file of its flight is counted. The caller
// enqueues the job as after Retry. A canceled, failed or poisoned job is retried. The result is not in the totals,
// which count a flight once. It fails with ErrNotFound for unknown footage. It fails with job.ErrTransition for footage
// that is no sibling or has no video, and while its job runs or after it is done.
func (l *Jobs) CountSibling(ctx context.Context, id footage.ID) (Job, error) {
	var j Job
	err := l.write(ctx, "count sibling "+string(id), func(ctx context.Context, tx *sql.Tx) error {
		f, err := getFootage(ctx, tx, `id = $1`, id)
		switch {
		case err != nil:
			return err
		case f.SiblingOf == "":
			return fmt.Errorf("footage %s is no sibling of other footage: %w", id, job.ErrTransition)
		case f.BlobKey == "":
			return fmt.Errorf("the video of footage %s was removed: %w", id, job.ErrTransition)
		}
		if j, err = getJob(ctx, tx, `footage = $1`, id); errors.Is(err, ErrNotFound) {
			j, err = l.insertJob(ctx, tx, id)
		} else if err == nil {
			j, err = l.updateJobIn(ctx, tx, j.ID, func(_ context.Context, _ *sql.Tx, j *Job) error { return j.retry() })
		}
		if err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionCountSibling, string(id))
	})
	return j, err
}
