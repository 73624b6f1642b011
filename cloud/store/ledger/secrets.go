package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"cattlecounter/cloud/store/vault"
)

// Purposes of sealed texts. They are part of the encryption, so their text must not change.
const (
	sealFactor   = "second factor" // of a person
	sealWebhook  = "webhook"       // of a notification rule
	sealOrderKey = "order key"
	sealPushKey  = "push key"
	// sealPastOrderKey is the key of orders before a rotation, in its grace period.
	sealPastOrderKey = "past order key"
)

// sealedColumns are the columns with secrets that the ledger must read again.
var sealedColumns = []struct{ purpose, table, owner, column string }{
	{sealFactor, "second_factor", "person", "secret"},
	{sealFactor, "second_factor", "person", "next"},
	{sealWebhook, "notification_rule", "id", "secret"},
	{sealOrderKey, "order_key", "id", "seed"},
	{sealPushKey, "push_key", "id", "scalar"},
	{sealPastOrderKey, "order_key_past", "n", "seed"},
}

// Secrets are what the ledger has encrypted (cloud/store/vault): keys of one-time passwords, secrets of webhooks, the key
// of orders and that of push messages. Without keys they are in the clear.
type Secrets struct{ *tables }

// sealedText is one of the secrets as it is stored.
type sealedText struct {
	purpose, owner, text string
	column               int
}

func sealedTexts(ctx context.Context, q querier) ([]sealedText, error) {
	var all []sealedText
	for i, c := range sealedColumns {
		texts, err := list(ctx, q, func(rows *sql.Rows) (s sealedText, err error) {
			s.purpose, s.column = c.purpose, i
			err = rows.Scan(&s.owner, &s.text)
			return s, err
		}, `SELECT CAST(`+c.owner+` AS TEXT), `+c.column+` FROM `+c.table+` WHERE `+c.column+` <> '' ORDER BY 1`)
		if err != nil {
			return nil, err
		}
		all = append(all, texts...)
	}
	return all, nil
}

// Seal encrypts with the current key what is in the clear or was encrypted with another one. It returns how many secrets it
// wrote, and how many each key has sealed afterwards. The error wraps vault.ErrNoKey without keys, and when a key is lost.
func (l *Secrets) Seal(ctx context.Context) (wrote int, by map[string]int, err error) {
	current, err := l.keys.Current()
	if err != nil {
		return 0, nil, fmt.Errorf("encrypt secrets: %w", err)
	}
	err = l.write(ctx, "encrypt secrets", func(ctx context.Context, tx *sql.Tx) error {
		wrote, by = 0, map[string]int{}
		texts, err := sealedTexts(ctx, tx)
		if err != nil {
			return err
		}
		var lost []error
		for _, s := range texts {
			if id, _ := vault.KeyOf(s.text); id == current {
				by[id]++
				continue
			}
			switch err := l.sealAgain(ctx, tx, s); {
			case errors.Is(err, vault.ErrNoKey), errors.Is(err, vault.ErrCorrupt):
				lost = append(lost, fmt.Errorf("%s of %s: %w", s.purpose, s.owner, err))
			case err != nil:
				return err
			}
			wrote++
			by[current]++
		}
		if err := errors.Join(lost...); err != nil || wrote == 0 {
			return err
		}
		return l.audit(ctx, tx, ActionSealSecrets, strconv.Itoa(wrote)+" with key "+current)
	})
	return wrote, by, err
}

func (l *Secrets) sealAgain(ctx context.Context, tx *sql.Tx, s sealedText) error {
	plain, err := l.keys.Open(s.purpose, s.owner, s.text)
	if err != nil {
		return err
	}
	sealed, err := l.keys.Seal(s.purpose, s.owner, plain)
	if err != nil {
		return err
	}
	c := sealedColumns[s.column]
	return execOne(tx.ExecContext(ctx, `UPDATE `+c.table+` SET `+c.column+` = $1 WHERE CAST(`+c.owner+` AS TEXT) = $2`, sealed, s.owner))
}

// Unreadable returns what cannot be read because its key is lost or it is damaged, such as "second factor of anna", and how
// many secrets are in the clear.
func (l *Secrets) Unreadable(ctx context.Context) (lost []string, clear int, err error) {
	texts, err := sealedTexts(ctx, l.db.Read())
	if err != nil {
		return nil, 0, fmt.Errorf("secrets: %w", err)
	}
	for _, s := range texts {
		if _, sealed := vault.KeyOf(s.text); !sealed {
			clear++
		}
		if _, err := l.keys.Open(s.purpose, s.owner, s.text); err != nil {
			lost = append(lost, s.purpose+" of "+s.owner)
		}
	}
	return lost, clear, nil
}

// Drop removes what Unreadable names, after the loss of the keys: people set up a second factor again, notification rules
// with a lost secret are removed, stations are enrolled again, and browsers subscribe again. It returns what it removed.
func (l *Secrets) Drop(ctx context.Context) (dropped []string, err error) {
	err = l.write(ctx, "remove unreadable secrets", func(ctx context.Context, tx *sql.Tx) error {
		dropped = nil
		texts, err := sealedTexts(ctx, tx)
		if err != nil {
			return err
		}
		for _, s := range texts {
			if _, err := l.keys.Open(s.purpose, s.owner, s.text); err == nil {
				continue
			}
			if err := l.drop(ctx, tx, s); err != nil {
				return err
			}
			what := s.purpose + " of " + s.owner
			dropped = append(dropped, what)
			if err := l.audit(ctx, tx, ActionDropSecrets, what); err != nil {
				return err
			}
		}
		return nil
	})
	return dropped, err
}

func (l *Secrets) drop(ctx context.Context, tx *sql.Tx, s sealedText) error {
	switch s.purpose {
	case sealFactor:
		return removeFactor(ctx, tx, s.owner)
	case sealWebhook:
		return removeRule(ctx, tx, s.owner)
	case sealOrderKey:
		if _, err := tx.ExecContext(ctx, `DELETE FROM order_key`); err != nil {
			return err
		}
		// No rotation leads to the key that comes next.
		_, err := tx.ExecContext(ctx, `DELETE FROM order_key_past`)
		return err
	case sealPastOrderKey:
		_, err := tx.ExecContext(ctx, `UPDATE order_key_past SET seed = '' WHERE CAST(n AS TEXT) = $1`, s.owner)
		return err
	case sealPushKey:
		_, err := tx.ExecContext(ctx, `DELETE FROM push_key`)
		return err
	}
	return fmt.Errorf("%s: %w", s.purpose, ErrInvalid)
}
