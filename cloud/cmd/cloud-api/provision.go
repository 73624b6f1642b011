package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// errTokenFile is a token file that belongs to something else.
var errTokenFile = errors.New("the token file is not one of this device")

// provision makes sure that the token file has a valid token of the device. Running it again changes nothing, so it may
// run at every start of a set of containers. A device whose token file is lost gets a new token; the old one works until
// the new one is first used.
func (d *deviceAdd) provision(ctx context.Context, e *env, l *ledger.Ledger) error {
	stored, err := os.ReadFile(d.TokenFile)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(stored) == 0: // none yet, or a write that a crash cut short
	case err != nil:
		return fmt.Errorf("token file: %w", err)
	default:
		return d.confirm(ctx, e, l, strings.TrimSpace(string(stored)))
	}
	token, err := l.Devices.AddWith(ctx, d.device())
	did := "added"
	if errors.Is(err, ledger.ErrExists) {
		token, err = l.Devices.Renew(ctx, d.Name)
		did = "has a new token"
	}
	if err != nil {
		return err
	}
	if err := writeToken(d.TokenFile, token); err != nil {
		return fmt.Errorf("token file: %w; run the command again", err)
	}
	_, err = fmt.Fprintf(e.stderr, "%s %s of site %s %s. Its token is in %s.\n", d.Role, d.Name, d.Site, did, d.TokenFile)
	return err
}

// confirm checks that a stored token is a valid one of the device.
func (d *deviceAdd) confirm(ctx context.Context, e *env, l *ledger.Ledger, token string) error {
	holder, err := l.Devices.Authenticate(ctx, token)
	if err != nil {
		return fmt.Errorf("%w: the token in %s is not valid here: %w; remove the file to get a new one", errTokenFile,
			d.TokenFile, err)
	}
	if holder.Name != d.Name || holder.Site != d.Site || holder.Role != ledger.Role(d.Role) {
		return fmt.Errorf("%w: %s has the token of the %s %s of site %s; name another file", errTokenFile, d.TokenFile,
			holder.Role, holder.Name, holder.Site)
	}
	_, err = fmt.Fprintf(e.stderr, "%s %s has its token in %s already.\n", d.Role, d.Name, d.TokenFile)
	return err
}

// writeToken writes a file that is whole or absent after a crash.
func writeToken(path string, token secret.String) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".token-*") // readable by its owner only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = fmt.Fprintln(f, token.Reveal())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
