// Package emptyledger makes ledgers without content. Their tables are made once in a test program and copied from then on:
// the migrations take a second under the race detector.
package emptyledger

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/deploy/testkit/must"
)

// In returns the path of a ledger in dir, with the tables of the ledger and of the queue. It keeps a file that is there.
func In(t testing.TB, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ledger.db")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		must.Do(t, err)
		return path
	}
	must.Do(t, os.WriteFile(path, must.Get(migrated())(t), 0o600))
	return path
}

// migrated returns the content of a new ledger.
var migrated = sync.OnceValues(func() (content []byte, err error) {
	dir, err := os.MkdirTemp("", "ledger-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "ledger.db")
	l, err := ledger.Open(context.Background(), path, ledger.Options{})
	if err != nil {
		return nil, err
	}
	_, err = embedded.New(context.Background(), l.DB(), nil)
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
