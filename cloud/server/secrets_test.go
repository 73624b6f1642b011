package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/vault"
	"cattlecounter/deploy/testkit/must"
)

// A start encrypts what was in the clear. A server whose keys are lost does not start, and says what to do.
func TestStartWithoutItsKeys(t *testing.T) {
	s := serve(t, nil)
	s.stop()
	path := filepath.Join(s.cfg.Data, "secrets.key")
	var id string
	s.withLedger(func(l *ledger.Ledger) error {
		key, err := l.OrderKey.Current(t.Context())
		id = key.Public().ID()
		return err
	})
	must.Do(t, os.Rename(path, path+".away"))
	if f := examine(t, s.cfg, nil)["secrets"]; f.Level != LevelFail || !strings.Contains(f.Found, "order key of 1") {
		t.Errorf("the doctor finds %+v", f)
	}
	err := Serve(t.Context(), s.cfg, Options{})
	if !errors.Is(err, vault.ErrNoKey) || !strings.Contains(err.Error(), "put the file of keys "+path+" back") {
		t.Fatalf("a start without the keys: %v", err)
	}
	must.Do(t, os.Rename(path+".away", path))
	if f := examine(t, s.cfg, nil)["secrets"]; f.Level != LevelOK {
		t.Errorf("the doctor finds %+v", f)
	}
	again := serve(t, func(c *config.Config) { c.Data = s.cfg.Data })
	again.withLedger(func(l *ledger.Ledger) error {
		sealed, removed, err := RotateKeys(t.Context(), s.cfg, l)
		if err != nil || sealed < 1 || removed != 0 {
			t.Errorf("rotation: %d sealed, %d removed, error %v", sealed, removed, err)
		}
		key, err := l.OrderKey.Current(t.Context())
		if key.Public().ID() != id {
			t.Error("another key of orders")
		}
		return err
	})
}
