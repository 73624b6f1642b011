package ledger

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"

	"cattlecounter/shared/secret"
)

// PushKey is the key pair that signs messages to the push services of browsers (VAPID, RFC 8292), both parts in base64url
// without padding: the public one is an uncompressed point of P-256, the private one its scalar.
type PushKey struct {
	Public  string
	Private secret.String
}

// PushKeys has the key pair. Every cloud-api on the ledger signs with the same one, because a browser subscribes to one
// key. Like the key of orders it is in the ledger, encrypted (cloud/store/vault), and the file is its owner's alone.
type PushKeys struct{ *tables }

// Current returns the key pair. The first call makes it.
func (l *PushKeys) Current(ctx context.Context) (PushKey, error) {
	k, err := l.read(ctx, l.db.Read())
	if !errors.Is(err, ErrNotFound) {
		return k, err
	}
	err = l.write(ctx, "key of push messages", func(ctx context.Context, tx *sql.Tx) (err error) {
		if k, err = l.read(ctx, tx); !errors.Is(err, ErrNotFound) {
			return err // another process made it
		}
		made, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		sealed, err := l.keys.Seal(sealPushKey, "1", base64.RawURLEncoding.EncodeToString(made.Bytes()))
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, `INSERT INTO push_key (id, scalar, created) VALUES (1, $1, $2)`, sealed,
			micros(l.now())); err != nil {
			return err
		}
		k, err = l.read(ctx, tx)
		return err
	})
	return k, err
}

func (l *PushKeys) read(ctx context.Context, q querier) (PushKey, error) {
	var scalar string
	err := q.QueryRowContext(ctx, `SELECT scalar FROM push_key WHERE id = 1`).Scan(&scalar)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNotFound
	}
	if err == nil {
		scalar, err = l.keys.Open(sealPushKey, "1", scalar)
	}
	if err != nil {
		return PushKey{}, fmt.Errorf("key of push messages: %w", err)
	}
	b, err := base64.RawURLEncoding.DecodeString(scalar)
	if err != nil {
		return PushKey{}, fmt.Errorf("key of push messages: %w", err)
	}
	private, err := ecdh.P256().NewPrivateKey(b)
	if err != nil {
		return PushKey{}, fmt.Errorf("key of push messages: %w", err)
	}
	return PushKey{Public: base64.RawURLEncoding.EncodeToString(private.PublicKey().Bytes()), Private: secret.New(scalar)}, nil
}
