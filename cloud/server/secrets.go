package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/vault"
)

// openKeys reads the keys that encrypt secrets of the ledger. It returns nil when there is no file: with a ledger in
// PostgreSQL and without ledger.key_file, and before the first start, unless create is true.
func openKeys(cfg config.Config, create bool) (*vault.Keys, error) {
	if !cfg.Ledger.Keys.IsZero() {
		keys, err := vault.Fixed(cfg.Ledger.Keys.Reveal())
		if err != nil {
			return nil, fmt.Errorf("ledger.keys: %w", err)
		}
		return keys, nil
	}
	path := cfg.KeyPath()
	if path == "" {
		return nil, nil
	}
	keys, err := vault.Open(path)
	switch {
	case !errors.Is(err, fs.ErrNotExist):
	case cfg.Ledger.KeyFile != "":
		return nil, fmt.Errorf("ledger.key_file: %w; \"cloud-api secrets init\" makes the file of a new cloud, and a cloud that "+
			"has run before needs its file back", err)
	case create:
		if keys, err = vault.Create(path); errors.Is(err, fs.ErrExist) { // another process made it
			keys, err = vault.Open(path)
		}
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ledger.key_file: %w", err)
	}
	return keys, nil
}

// CreateKeys makes the file of keys that cfg names and returns its path. It fails when there is one, and when the ledger has
// no file of keys.
func CreateKeys(cfg config.Config) (string, error) {
	path := cfg.KeyPath()
	if path == "" {
		return "", fmt.Errorf("ledger.key_file names no file: %w", ledger.ErrInvalid)
	}
	if _, err := vault.Create(path); err != nil {
		return "", err
	}
	return path, nil
}

// RotateKeys adds a new key, encrypts every secret with it and removes keys that are no longer used, except the one before
// it. It returns how many secrets it encrypted and how many keys it removed.
func RotateKeys(ctx context.Context, cfg config.Config, l *ledger.Ledger) (sealed, removed int, err error) {
	keys, err := openKeys(cfg, false)
	if err == nil && keys == nil {
		err = fmt.Errorf("there is no file of keys; \"cloud-api secrets init\" makes one: %w", vault.ErrNoKey)
	}
	if err != nil {
		return 0, 0, err
	}
	if lost, _, err := l.Secrets.Unreadable(ctx); err != nil || len(lost) > 0 {
		return 0, 0, errors.Join(err, lostSecrets(cfg, lost))
	}
	if err := keys.Add(); err != nil {
		return 0, 0, err
	}
	sealed, by, err := l.Secrets.Seal(ctx)
	if err != nil {
		return 0, 0, err
	}
	used := map[string]bool{}
	for id := range by {
		used[id] = true
	}
	removed, err = keys.Keep(used)
	return sealed, removed, err
}

// sealSecrets encrypts the secrets of earlier versions and of the command line, and refuses a ledger whose keys are lost.
func sealSecrets(ctx context.Context, cfg config.Config, l *ledger.Ledger, log *slog.Logger) error {
	lost, clear, err := l.Secrets.Unreadable(ctx)
	if err != nil {
		return err
	}
	if err := lostSecrets(cfg, lost); err != nil {
		return err
	}
	if !cfg.SealsSecrets() {
		log.Warn("the ledger holds keys of second factors, webhooks and orders in the clear; set ledger.key_file", "secrets", clear)
		return nil
	}
	n, _, err := l.Secrets.Seal(ctx)
	if err == nil && n > 0 {
		log.Info("secrets of the ledger encrypted", "secrets", n, "key_file", cfg.KeyPath())
	}
	return err
}

func lostSecrets(cfg config.Config, lost []string) error {
	if len(lost) == 0 {
		return nil
	}
	const shown = 5
	more := ""
	if len(lost) > shown {
		more = fmt.Sprintf(" and %d more", len(lost)-shown)
		lost = lost[:shown]
	}
	path := cfg.KeyPath()
	if path == "" {
		path = "of ledger.key_file or ledger.keys"
	}
	return fmt.Errorf("the ledger has secrets whose key is missing (%s%s): put the file of keys %s back, with the key of this "+
		"ledger; if it is lost, \"cloud-api secrets drop\" removes these secrets: %w", strings.Join(lost, ", "), more, path,
		vault.ErrNoKey)
}

// secretsFinding says whether the secrets of the ledger are encrypted and can be read.
func secretsFinding(ctx context.Context, cfg config.Config, l *ledger.Ledger) Finding {
	const check = "secrets"
	lost, clear, err := l.Secrets.Unreadable(ctx)
	if err == nil {
		err = lostSecrets(cfg, lost)
	}
	switch {
	case err != nil:
		return Finding{check, LevelFail, err.Error(), "put the file of keys back; see backup.md"}
	case !cfg.SealsSecrets():
		return Finding{check, LevelWarn, fmt.Sprintf("there are no keys: secrets of the ledger are stored in the clear, %d so far", clear),
			"set ledger.key_file, run cloud-api secrets init, and restart cloud-api"}
	case clear > 0:
		return Finding{check, LevelWarn, fmt.Sprintf("%d secrets of the ledger are in the clear", clear),
			"restart cloud-api, which encrypts them"}
	}
	return Finding{check, LevelOK, "every secret of the ledger can be read, and none is in the clear", ""}
}
