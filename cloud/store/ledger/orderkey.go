package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
)

// MostGrace is the longest grace period of a rotation.
const MostGrace = 366 * 24 * time.Hour

// OrderKey is the key that signs orders to stations. Every cloud-api on the ledger signs with the same one. It is in the
// ledger, encrypted where there are keys (see Secrets): who reads it can give orders to stations.
type OrderKey struct{ *tables }

// OrderKeys are the key that signs orders, and what leads stations to it.
type OrderKeys struct {
	Current orderkey.Private
	// Links are the newest orderkey.MaxLinks rotations, oldest first.
	Links []string
	// Before is the key of before the last rotation, until its grace period ends; then it is the zero value.
	Before orderkey.Private
	// Since is when Current began to sign.
	Since time.Time
}

// Sign signs an order for a station. pinned is when the station got the key of its time: it decides which signature a
// station of an earlier version finds, which follows no rotation.
func (k OrderKeys) Sign(c topic.Command, pinned time.Time) (topic.Command, error) {
	signed, err := k.Current.Sign(c)
	if err != nil {
		return c, err
	}
	if k.Before != (orderkey.Private{}) && pinned.Before(k.Since) {
		next := signed.Signed
		if signed, err = k.Before.Sign(c); err != nil {
			return c, err
		}
		signed.Next = next
	}
	signed.Keys = k.Links
	return signed, nil
}

// PastOrderKey is a key that was replaced.
type PastOrderKey struct {
	ID       string // orderkey.Public.ID
	Replaced time.Time
	// Ends is the end of the grace period, in which orders were also signed with it. It is Replaced without one.
	Ends time.Time
}

// Current returns the key. The first call makes it.
func (l *OrderKey) Current(ctx context.Context) (orderkey.Private, error) {
	k, err := l.Keys(ctx)
	return k.Current, err
}

// Keys returns what an order is signed with. The first call makes the key.
func (l *OrderKey) Keys(ctx context.Context) (OrderKeys, error) {
	k, over, err := l.read(ctx, l.db.Read())
	switch {
	case errors.Is(err, ErrNotFound):
		err = l.write(ctx, "key of orders", func(ctx context.Context, tx *sql.Tx) (err error) {
			if k, _, err = l.read(ctx, tx); !errors.Is(err, ErrNotFound) {
				return err // another process made it
			}
			k = OrderKeys{}
			k.Current, err = l.newOrderKey(ctx, tx)
			return err
		})
	case err == nil && over:
		// Signing needs no write. While the ledger cannot be written, the next call tries again.
		_ = l.write(ctx, "end of the key of orders before", l.forgetEnded)
	}
	return k, err
}

// Renew replaces the key by one to which no rotation leads, such as after a theft. Stations refuse every order over MQTT
// until they are enrolled again.
func (l *OrderKey) Renew(ctx context.Context) (k orderkey.Private, err error) {
	err = l.write(ctx, "renew key of orders", func(ctx context.Context, tx *sql.Tx) (err error) {
		if _, err := tx.ExecContext(ctx, `DELETE FROM order_key_past`); err != nil {
			return err
		}
		if k, err = l.newOrderKey(ctx, tx); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRenewOrderKey, k.Public().ID())
	})
	return k, err
}

// Rotate replaces the key by one that the key before announces: stations follow. In the grace period, of at most
// MostGrace, orders are also signed with the key before, for stations of an earlier version. While one runs, another
// rotation fails with ErrInvalid unless grace is 0, which ends it.
func (l *OrderKey) Rotate(ctx context.Context, grace time.Duration) (k OrderKeys, err error) {
	if grace < 0 || grace > MostGrace {
		return k, fmt.Errorf("rotate key of orders: a grace period of %s; want 0 to %s: %w", grace, MostGrace, ErrInvalid)
	}
	if _, err := l.Keys(ctx); err != nil { // makes the first one
		return k, err
	}
	err = l.write(ctx, "rotate key of orders", func(ctx context.Context, tx *sql.Tx) error {
		if err := l.forgetEnded(ctx, tx); err != nil {
			return err
		}
		if k, _, err = l.read(ctx, tx); err != nil {
			return err
		}
		if k.Before != (orderkey.Private{}) && grace > 0 {
			return fmt.Errorf("the grace period of the last rotation still runs; wait for its end, or rotate without a grace "+
				"period, which ends both: %w", ErrInvalid)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE order_key_past SET seed = '', ends = $1 WHERE seed <> ''`,
			micros(l.now())); err != nil {
			return err
		}
		next, err := l.succeed(ctx, tx, k.Current, grace)
		if err != nil {
			return err
		}
		if k, _, err = l.read(ctx, tx); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRotateOrderKey, next.Public().ID())
	})
	return k, err
}

// succeed makes the next key and the row of the one before.
func (l *OrderKey) succeed(ctx context.Context, tx *sql.Tx, before orderkey.Private, grace time.Duration) (orderkey.Private,
	error) {
	next, err := l.newOrderKey(ctx, tx)
	if err != nil {
		return next, err
	}
	now := l.now()
	link, err := before.Succeed(next.Public(), now)
	if err != nil {
		return next, err
	}
	var n int64
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(n), 0) + 1 FROM order_key_past`).Scan(&n); err != nil {
		return next, err
	}
	seed := ""
	if grace > 0 {
		if seed, err = l.keys.Seal(sealPastOrderKey, strconv.FormatInt(n, 10), before.Reveal()); err != nil {
			return next, err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO order_key_past (n, name, link, replaced, ends, seed)
		VALUES ($1, $2, $3, $4, $5, $6)`, n, before.Public().ID(), link, micros(now), micros(now.Add(grace)), seed)
	return next, err
}

// Past returns the keys that were replaced by rotations, newest first.
func (l *OrderKey) Past(ctx context.Context) ([]PastOrderKey, error) {
	all, err := list(ctx, l.db.Read(), func(rows *sql.Rows) (p PastOrderKey, err error) {
		var replaced, ends sql.NullInt64
		err = rows.Scan(&p.ID, &replaced, &ends)
		p.Replaced, p.Ends = fromMicros(replaced), fromMicros(ends)
		return p, err
	}, `SELECT name, replaced, ends FROM order_key_past ORDER BY n DESC`)
	if err != nil {
		return nil, fmt.Errorf("earlier keys of orders: %w", err)
	}
	return all, nil
}

// forgetEnded removes the key whose grace period has ended.
func (l *OrderKey) forgetEnded(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `UPDATE order_key_past SET seed = '' WHERE seed <> '' AND ends <= $1`, micros(l.now()))
	return err
}

func (l *OrderKey) newOrderKey(ctx context.Context, tx *sql.Tx) (orderkey.Private, error) {
	k := orderkey.New()
	sealed, err := l.keys.Seal(sealOrderKey, "1", k.Reveal())
	if err != nil {
		return k, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO order_key (id, seed, created) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET seed = excluded.seed, created = excluded.created`, sealed, micros(l.now()))
	return k, err
}

// orderKeyRow is the key, with n 0, or one that was replaced.
type orderKeyRow struct {
	n          int64
	link, seed string
	at, ends   sql.NullInt64
}

// read returns the keys of one moment, and whether a grace period is over whose key the ledger still has.
func (l *OrderKey) read(ctx context.Context, q querier) (k OrderKeys, over bool, err error) {
	fail := func(err error) (OrderKeys, bool, error) {
		return OrderKeys{}, false, fmt.Errorf("key of orders: %w", err)
	}
	// One statement: a rotation must not come between.
	rows, err := list(ctx, q, func(rows *sql.Rows) (r orderKeyRow, err error) {
		err = rows.Scan(&r.n, &r.link, &r.at, &r.ends, &r.seed)
		return r, err
	}, `SELECT n, link, at, ends, seed FROM (
		SELECT 0 AS n, '' AS link, created AS at, 0 AS ends, seed FROM order_key WHERE id = 1
		UNION ALL SELECT n, link, replaced AS at, ends, seed FROM order_key_past
			WHERE n > (SELECT COALESCE(MAX(n), 0) FROM order_key_past) - $1) AS k ORDER BY n`, orderkey.MaxLinks)
	if err != nil {
		return fail(err)
	}
	if len(rows) == 0 || rows[0].n != 0 {
		return fail(ErrNotFound)
	}
	k.Since = fromMicros(rows[0].at)
	if k.Current, err = l.open(sealOrderKey, "1", rows[0].seed); err != nil {
		return fail(err)
	}
	for _, r := range rows[1:] {
		k.Links = append(k.Links, r.link)
		switch {
		case r.seed == "":
		case !fromMicros(r.ends).After(l.now()):
			over = true
		default:
			if k.Before, err = l.open(sealPastOrderKey, strconv.FormatInt(r.n, 10), r.seed); err != nil {
				return fail(err)
			}
		}
	}
	return k, over, nil
}

func (l *OrderKey) open(purpose, owner, sealed string) (orderkey.Private, error) {
	seed, err := l.keys.Open(purpose, owner, sealed)
	if err != nil {
		return orderkey.Private{}, err
	}
	return orderkey.ParsePrivate(seed)
}
