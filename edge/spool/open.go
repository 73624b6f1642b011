package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"cattlecounter/shared/wake"
)

// Open opens or creates the spool in o.Dir, deletes chunks that belong to no footage, and
// finishes deletions that a crash interrupted. A broken store is recreated from what is
// readable (see Salvaged), and footage with damaged content is read from the card again. The
// error wraps ErrInUse, ErrNoSpace or ErrCorrupt where that is the reason.
func Open(o Options) (*Spool, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	saved, err := finishSalvage(o)
	if err != nil {
		return nil, openError(o.Dir, err)
	}
	s, err := openWhole(o)
	if errors.Is(err, ErrCorrupt) && saved == nil {
		o.Log.Error("the spool is broken; saving what is readable into a new one", "spool", o.Dir, "err", err)
		got, bad := salvage(context.Background(), o, err)
		if bad != nil {
			return nil, fmt.Errorf("%w; keep it and start with an empty one (mv %s %s.broken): "+
				"footage that is still on the card is read again", openError(o.Dir, errors.Join(bad, err)), o.Dir, o.Dir)
		}
		saved = &got
		s, err = openWhole(o)
	}
	if err != nil {
		return nil, err
	}
	if s.salvaged = saved; saved != nil {
		if err := s.finishRecovery(context.Background(), saved); err != nil {
			return nil, errors.Join(fmt.Errorf("spool %s: after the salvage: %w", o.Dir, err), s.Close())
		}
		o.Log.Warn("the spool was broken and was salvaged", "entries", saved.Entries, "bytes", saved.Bytes,
			"damaged", saved.Damaged, "lost_bytes", saved.Lost, "reread", saved.Reread, "why", saved.Why)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.History == 0 {
		o.History = defaultHistory
	}
	if o.LogFile == 0 {
		if o.LogFile = 32 << 20; strconv.IntSize == 32 {
			o.LogFile = 16 << 20
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disk == nil {
		o.Disk = diskSpace
	}
	return o
}

// openWhole opens the store as it is, without a salvage.
func openWhole(o Options) (*Spool, error) {
	dir := filepath.Join(o.Dir, storeDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool %s: %w", o.Dir, err)
	}
	if err := prepareStore(dir); err != nil {
		return nil, openError(o.Dir, err)
	}
	unsynced := new(atomic.Int64)
	db, err := openBadger(dir, o, unsynced)
	if err != nil {
		return nil, openError(o.Dir, err)
	}
	s := newSpool(&store{o: o, db: db, resident: &resident{dir: dir}, unsynced: unsynced, collectNow: wake.New()})
	if err := errors.Join(s.Records.load(), s.sweep()); err != nil {
		return nil, errors.Join(openError(o.Dir, err), db.Close())
	}
	return s, nil
}

func openError(dir string, err error) error {
	switch {
	case noSpace(err):
		return fmt.Errorf("spool %s: the disk is full, free some space on it: %w: %w", dir, err, ErrNoSpace)
	case isErrno(err, syscall.EWOULDBLOCK):
		return fmt.Errorf("spool %s: another edge-agent runs on it; stop that one, or set another spool.dir: %w",
			dir, ErrInUse)
	case isErrno(err, syscall.EACCES), isErrno(err, syscall.EPERM), isErrno(err, syscall.EROFS):
		return fmt.Errorf("spool %s: cannot be written, check its owner and mount: %w", dir, err)
	}
	return fmt.Errorf("spool %s cannot be opened: %w: %w", dir, err, ErrCorrupt)
}
