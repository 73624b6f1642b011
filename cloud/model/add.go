package model

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	stagePrefix = ".pull-"
	tempPrefix  = ".tmp-"
	// staleStage is when what a pull left that nobody took up again is removed.
	staleStage = 7 * 24 * time.Hour
)

// Adding is the right to add to a store, of one process at a time. Close gives
// it up.
type Adding struct {
	store Store
	lock  *os.File
}

// Add takes the right to add models and makes the store where it is missing.
// What pulls left a week ago is removed. The error wraps ErrBusy or ErrStore.
func (s Store) Add() (*Adding, error) {
	if s.Dir == "" {
		return nil, fmt.Errorf("no folder given: %w", ErrStore)
	}
	if _, err := os.Stat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		if err := errors.Join(os.MkdirAll(s.Dir, 0o755), syncDir(filepath.Dir(s.Dir))); err != nil {
			return nil, s.fault(err)
		}
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, s.fault(err)
	}
	// The kernel frees it when the process ends, however it does.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("another program is adding to %s: %w", s, ErrBusy)
		} else {
			err = s.fault(fmt.Errorf("lock %s: %w", f.Name(), err))
		}
		return nil, errors.Join(err, f.Close())
	}
	a := &Adding{store: s, lock: f}
	if err := a.sweep(); err != nil {
		return nil, errors.Join(s.fault(err), f.Close())
	}
	return a, nil
}

// Close gives up the right to add.
func (a *Adding) Close() error { return a.lock.Close() }

// Stage returns the folder where the files of one model gather, by a key of
// letters and digits. What an earlier try with the same key left is still in it.
func (a *Adding) Stage(key string) (string, error) {
	dir := filepath.Join(a.store.Dir, stagePrefix+key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", a.store.fault(err)
	}
	now := time.Now()
	return dir, a.store.fault(os.Chtimes(dir, now, now)) // for sweep: taken up again
}

// sweep removes stages and temporary files that nobody takes up again.
func (a *Adding) sweep() error {
	found, err := os.ReadDir(a.store.Dir)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !strings.HasPrefix(f.Name(), stagePrefix) && !strings.HasPrefix(f.Name(), tempPrefix) {
			continue
		}
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && time.Since(info.ModTime()) > staleStage {
			err = os.RemoveAll(filepath.Join(a.store.Dir, f.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Name makes a stage the model of that name: the digests of files, which are
// all it may hold, and the source are written, all is made durable, and the
// folder gets its name. check looks at the finished folder first; its error
// keeps the model from being named. A name that is taken is ErrTaken and leaves
// the stage as it is.
func (a *Adding) Name(ctx context.Context, stage, name string, files []Sum, source Source, check func(context.Context, string) error) (Entry, error) {
	if err := CheckName(name); err != nil {
		return Entry{}, err
	}
	text, err := source.encode()
	if err != nil {
		return Entry{}, a.store.fault(err)
	}
	slices.SortFunc(files, func(a, b Sum) int { return strings.Compare(a.File, b.File) })
	err = errors.Join(a.clear(stage, files), writeSynced(filepath.Join(stage, SourceFile), text),
		writeSynced(filepath.Join(stage, SumsFile), FormatSums(files)), syncDir(stage))
	if err != nil {
		return Entry{}, a.store.fault(err)
	}
	if err := check(ctx, stage); err != nil {
		return Entry{}, err
	}
	path := filepath.Join(a.store.Dir, name)
	if _, err := os.Lstat(path); err == nil {
		return Entry{}, fmt.Errorf("%s: %w", name, ErrTaken)
	}
	if err := os.Rename(stage, path); err != nil {
		return Entry{}, a.store.fault(err)
	}
	return Entry{Name: name, Path: path, Origin: Stored}, a.store.fault(syncDir(a.store.Dir))
}

// clear removes from a stage what is not of the model, such as the notes of a
// transfer.
func (a *Adding) clear(stage string, files []Sum) error {
	found, err := os.ReadDir(stage)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !slices.ContainsFunc(files, func(s Sum) bool { return s.File == f.Name() }) {
			if err := os.RemoveAll(filepath.Join(stage, f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
