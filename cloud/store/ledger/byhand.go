package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"cattlecounter/shared/footage"
)

// JoinByHand says that counted footage of one device is one flight, in this order, whatever names, times and pictures
// say. It returns the id of the flight, which is stale until a worker has counted it as one. Until then it has the
// count of its largest part, and an interval up to the sum. Whole flights are joined when one of their parts is. The
// decision stays until another one. Unknown footage fails with ErrNotFound, footage that cannot be a part with
// ErrInvalid.
func (l *Flights) JoinByHand(ctx context.Context, ids []footage.ID) (id string, err error) {
	err = l.write(ctx, "join footage to a flight", func(ctx context.Context, tx *sql.Tx) error {
		f, parts, order, err := handParts(ctx, tx, ids)
		if err != nil {
			return err
		}
		for i, part := range ids {
			// What followed on it by hand follows no more, and the first one must not follow on a later one.
			if _, err := tx.ExecContext(ctx, `UPDATE part SET follows = NULL WHERE follows = $1`, part); err != nil {
				return err
			}
			if i > 0 {
				if _, err := tx.ExecContext(ctx, `UPDATE part SET follows = $1 WHERE footage = $2`, ids[i-1], part); err != nil {
					return err
				}
			}
		}
		if slices.Contains(ids[1:], parts[ids[0]].Hand.After) {
			if _, err := tx.ExecContext(ctx, `UPDATE part SET follows = NULL WHERE footage = $1`, ids[0]); err != nil {
				return err
			}
		}
		joint, err := atLeast(ctx, tx, parts)
		if err != nil {
			return err
		}
		if err := l.divide(ctx, tx, f, parts, []Group{{Parts: order, JointCount: joint}}); err != nil {
			return err
		}
		if f, err = getFootage(ctx, tx, `id = $1`, ids[0]); err != nil {
			return err
		}
		id = f.Flight
		if err := l.markStale(ctx, tx, LineOwner{FlightLines, id}); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionJoinFlight, id)
	})
	return id, err
}

// handParts returns the parts of the flights of ids, in their order: flights by their first mention in ids.
func handParts(ctx context.Context, tx *sql.Tx, ids []footage.ID) (f Footage, parts map[footage.ID]Part,
	order []footage.ID, err error) {
	if len(ids) < 2 || len(ids) > maxFlightParts {
		return f, nil, nil, fmt.Errorf("%d pieces of footage, a flight has 2 to %d: %w", len(ids), maxFlightParts, ErrInvalid)
	}
	parts = map[footage.ID]Part{}
	seen := map[string]bool{}
	for i, id := range ids {
		g, err := getFootage(ctx, tx, `id = $1`, id)
		if err != nil {
			return f, nil, nil, fmt.Errorf("footage %s: %w", id, err)
		}
		if i == 0 {
			f = g
		}
		own, err := list(ctx, tx, scanPart, partQuery+`WHERE p.footage = $1`, id)
		switch {
		case err != nil:
			return f, nil, nil, err
		case g.Device != f.Device:
			err = errors.New("it is of another device")
		case g.DuplicateOf != "" || g.SiblingOf != "":
			err = errors.New("another footage is counted for it")
		case len(own) == 0:
			err = errors.New("it has no count that can be joined; count it first")
		case slices.Contains(ids[:i], id):
			err = errors.New("it is named twice")
		}
		if err != nil {
			return f, nil, nil, fmt.Errorf("footage %s: %w: %w", id, err, ErrInvalid)
		}
		if own[0].Flight != "" && seen[own[0].Flight] {
			continue
		}
		if own[0].Flight != "" {
			seen[own[0].Flight] = true
			if own, err = partsOf(ctx, tx, own[0].Flight); err != nil {
				return f, nil, nil, err
			}
		}
		for _, p := range own {
			parts[p.Footage] = p
			order = append(order, p.Footage)
		}
	}
	if len(order) > maxFlightParts {
		err = fmt.Errorf("%d parts, a flight has at most %d: %w", len(order), maxFlightParts, ErrInvalid)
	}
	return f, parts, order, err
}

// atLeast is the count of parts that nothing has joined yet. They may show the same animals, so their sum is no count:
// it has those of the largest part or flight, and the sum as the end of the interval.
func atLeast(ctx context.Context, tx *sql.Tx, parts map[footage.ID]Part) (joint JointCount, err error) {
	joint.Warnings = []string{"the parts were joined by a person and are not counted as one yet; the count is that of the largest"}
	seen := map[string]bool{}
	for _, p := range parts {
		n := JointCount{Unique: p.Unique, Low: p.Low, High: p.High}
		if p.Flight != "" {
			if seen[p.Flight] {
				continue
			}
			seen[p.Flight] = true
			f, err := getFlight(ctx, tx, p.Flight)
			if err != nil {
				return joint, err
			}
			n = f.JointCount
		}
		joint.Unique, joint.Low, joint.High = max(joint.Unique, n.Unique), max(joint.Low, n.Low), joint.High+n.High
	}
	return joint, nil
}

// SplitByHand says that a part begins a flight of its own. The flight is stale until a worker has divided it. The
// decision stays until another one. A footage that is not a later part of the flight fails with ErrInvalid, an unknown
// flight with ErrNotFound.
func (l *Flights) SplitByHand(ctx context.Context, id string, before footage.ID) error {
	return l.write(ctx, "split flight "+id, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := getFlight(ctx, tx, id); err != nil {
			return err
		}
		parts, err := partsOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(parts, func(p Part) bool { return p.Footage == before }); i < 1 {
			return fmt.Errorf("footage %s is not the second or a later part of the flight: %w", before, ErrInvalid)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE part SET follows = '' WHERE footage = $1`, before); err != nil {
			return err
		}
		if err := l.markStale(ctx, tx, LineOwner{FlightLines, id}); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionSplitFlight, id)
	})
}
