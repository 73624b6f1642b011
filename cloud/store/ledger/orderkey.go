package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"cattlecounter/shared/orderkey"
)

// OrderKey is the key that signs orders to stations. Every cloud-api on the ledger signs with the same one. It is in the
// ledger, encrypted where there are keys (see Secrets): who reads it can give orders to stations.
type OrderKey struct{ *tables }

// Current returns the key. The first call makes it.
func (l *OrderKey) Current(ctx context.Context) (orderkey.Private, error) {
	k, err := l.read(ctx, l.db.Read())
	if !errors.Is(err, ErrNotFound) {
		return k, err
	}
	err = l.write(ctx, "key of orders", func(ctx context.Context, tx *sql.Tx) (err error) {
		if k, err = l.read(ctx, tx); !errors.Is(err, ErrNotFound) {
			return err // another process made it
		}
		k, err = l.newOrderKey(ctx, tx)
		return err
	})
	return k, err
}

// Renew replaces the key and returns the public one. Stations that pinned the old key refuse every order over MQTT until
// they are enrolled again.
func (l *OrderKey) Renew(ctx context.Context) (k orderkey.Private, err error) {
	err = l.write(ctx, "renew key of orders", func(ctx context.Context, tx *sql.Tx) (err error) {
		if k, err = l.newOrderKey(ctx, tx); err != nil {
			return err
		}
		return l.audit(ctx, tx, ActionRenewOrderKey, k.Public().ID())
	})
	return k, err
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

func (l *OrderKey) read(ctx context.Context, q querier) (orderkey.Private, error) {
	var seed string
	err := q.QueryRowContext(ctx, `SELECT seed FROM order_key WHERE id = 1`).Scan(&seed)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err == nil {
		seed, err = l.keys.Open(sealOrderKey, "1", seed)
	}
	if err != nil {
		return orderkey.Private{}, fmt.Errorf("key of orders: %w", err)
	}
	return orderkey.ParsePrivate(seed)
}
