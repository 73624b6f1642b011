package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"cattlecounter/shared/footage"
)

// Owners records which device a footage id belongs to: the device that first used it.
// The owner never changes and is never deleted, even after the sessions of the id expire
// and its video is removed. A person's token owns ids by its name, like a device. Ids
// that differ only in case have one owner.
type Owners struct{ *tables }

// Claim makes the device the owner of the id, unless the id has an owner. It fails with
// ErrOwned when the owner is another device, and with ErrInvalid without a device or
// with an id that is not valid. Of several devices that claim one id at the same time,
// exactly one becomes the owner. A repeat by the owner changes nothing.
func (l *Owners) Claim(ctx context.Context, id footage.ID, device string) error {
	return l.write(ctx, fmt.Sprintf("claim footage id %s", id), func(ctx context.Context, tx *sql.Tx) error {
		return l.claim(ctx, tx, id, device)
	})
}

// claim is Claim in the transaction of a write that uses the id.
func (l *tables) claim(ctx context.Context, tx *sql.Tx, id footage.ID, device string) error {
	if _, err := footage.ParseID(string(id)); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	if device == "" {
		return fmt.Errorf("footage id %s without a device: %w", id, ErrInvalid)
	}
	key := strings.ToLower(string(id))
	if _, err := tx.ExecContext(ctx, `INSERT INTO footage_owner (id, device, claimed) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO NOTHING`, key, device, micros(l.now())); err != nil {
		return err
	}
	var owner string
	if err := tx.QueryRowContext(ctx, `SELECT device FROM footage_owner WHERE id = $1`, key).Scan(&owner); err != nil {
		return err
	}
	if owner != device {
		return ErrOwned
	}
	return nil
}
