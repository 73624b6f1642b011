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
	// staleStage is the age at which the files of an unfinished pull are removed.
	staleStage = 7 * 24 * time.Hour
)

// Adding is an exclusive lock on adding models to a store. Close releases it.
type Adding struct {
	store Store
	lock  *os.File
}

// Add locks the store for adding models, and creates a missing store. It removes the files of pulls that were left
// unfinished a week ago. The error wraps ErrBusy or ErrStore.
func (s Store) Add() (*Adding, error) {
	if s.Dir == "" {
		return nil, fmt.Errorf("the store has no folder: %w", ErrStore)
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
	// The kernel releases the lock at the end of the process.
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

// Close releases the lock.
func (a *Adding) Close() error { return a.lock.Close() }

// Stage returns the folder for the files of one unfinished model, by a key of letters and digits. It holds the files of
// an earlier, unfinished pull with the same key.
func (a *Adding) Stage(key string) (string, error) {
	dir := filepath.Join(a.store.Dir, stagePrefix+key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", a.store.fault(err)
	}
	now := time.Now()
	return dir, a.store.fault(os.Chtimes(dir, now, now)) // for sweep: the stage is in use
}

// sweep removes old stages and temporary files.
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

// Name turns a stage into the model with this name. It removes all files but files, writes their digests and the
// source, makes everything durable and renames the folder. Before the rename it calls check with the finished folder;
// after an error of check the model gets no name. The error wraps ErrTaken when the name belongs to another model; the
// stage then stays.
func (a *Adding) Name(ctx context.Context, stage, name string, files []Sum, source Source,
	check func(context.Context, string) error) (Entry, error) {
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

// clear removes all files from a stage that are not part of the model, such as the entity tags of a transfer.
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
