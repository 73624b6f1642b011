package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	sst "github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// prepareStore removes empty files, and returns an error for damage that Badger would not
// survive or would make worse.
func prepareStore(store string) error {
	release, err := lock(store, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer release()
	if err := removeEmptyFiles(store); err != nil {
		return err
	}
	return checkStore(store)
}

// checkStore checks the files of a store that is not open, without a change to them.
func checkStore(store string) error {
	return errors.Join(checkManifestFile(store), checkLogs(store), checkTables(store))
}

// checkManifestFile refuses a store that lost Badger's manifest. Badger would create a new
// one and delete the tables, and with them footage that may exist nowhere else.
func checkManifestFile(store string) error {
	_, err := os.Stat(filepath.Join(store, badger.ManifestFilename))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, pattern := range []string{"*.sst", "*.vlog"} {
		files, err := filepath.Glob(filepath.Join(store, pattern))
		if err != nil {
			return err
		}
		if len(files) > 0 {
			return fmt.Errorf("%s is missing beside %d files of data", badger.ManifestFilename, len(files))
		}
	}
	return nil
}

// checkLogs checks the logs that Badger reads when it opens: the write-ahead logs and the
// last value log. Badger cuts each of them off at the first damaged entry, which is right
// after a torn write. But readable entries behind that place would be lost.
func checkLogs(store string) error {
	ahead, err := logFiles(store, ".mem")
	if err != nil {
		return err
	}
	values, err := logFiles(store, ".vlog")
	if err != nil {
		return err
	}
	for _, name := range append(ahead, values[max(0, len(values)-1):]...) {
		last := int64(0)
		damage, err := scanLog(filepath.Join(store, name), func(e entry) error { last = e.Offset; return nil })
		if err != nil {
			return err
		}
		if len(damage) > 0 && damage[0].From < last {
			return fmt.Errorf("%s is damaged at byte %d, before readable entries", name, damage[0].From)
		}
	}
	return nil
}

// removeEmptyFiles removes what a process leaves that is killed while Badger creates a file.
// Badger does not open a store with an empty file.
func removeEmptyFiles(store string) error {
	for _, suffix := range []string{".vlog", ".mem", ".sst"} {
		names, err := logFiles(store, suffix)
		if err != nil {
			return err
		}
		for _, name := range names {
			path := filepath.Join(store, name)
			info, err := os.Stat(path)
			if err == nil && info.Size() == 0 {
				err = os.Remove(path)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTables opens every table that Badger's manifest names and compares its checksums.
// Here a panic can be caught; Badger opens tables in goroutines of its own, where a broken
// one ends the process. Tables are small, because they hold keys only. A table that the
// manifest does not name is the rest of an interrupted write, which Badger deletes.
func checkTables(store string) (err error) {
	names, err := tableFiles(store)
	if err != nil {
		return err
	}
	name := ""
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("table %s cannot be read", name)
		}
	}()
	for _, name = range names {
		f, err := z.OpenMmapFile(filepath.Join(store, name), os.O_RDONLY, 0)
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		_, err = sst.OpenTable(f, sst.Options{ReadOnly: true, ChkMode: options.OnTableAndBlockRead})
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		if err := f.Close(-1); err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return nil
}

// tableFiles returns the tables that Badger's manifest names, none without a manifest.
func tableFiles(store string) ([]string, error) {
	f, err := os.Open(filepath.Join(store, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // checkManifestFile decides whether it must exist
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(store).WithLogger(nil))
	if err != nil {
		return nil, err
	}
	var names []string
	for id := range m.Tables {
		names = append(names, sst.IDToFilename(id))
	}
	slices.Sort(names)
	return names, nil
}

// lock excludes an agent in the way that Badger locks a folder (flock(2)): with LOCK_SH for
// reading the store's files, with LOCK_EX for changing them.
func lock(store string, how int) (release func(), err error) {
	d, err := os.Open(store)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), how|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return func() { _ = d.Close() }, nil
}
