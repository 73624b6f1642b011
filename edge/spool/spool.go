package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Errors of this package.
var (
	ErrNotFound = errors.New("not in the spool")
	// ErrNoSpace marks a write that would break the quota or use the disk's reserve.
	ErrNoSpace = errors.New("no space")
	// ErrTooLarge marks a file that does not fit even into an empty spool.
	ErrTooLarge = errors.New("too large for the spool")
	// ErrDamaged marks a chunk that is missing or has another digest than its manifest names.
	ErrDamaged = errors.New("spool content is damaged")
	// ErrInUse marks a spool that another process has open.
	ErrInUse = errors.New("spool is in use")
	// ErrCorrupt marks a spool whose files cannot be opened.
	ErrCorrupt = errors.New("spool is corrupt")
)

// Options configure a Spool. Dir is required.
type Options struct {
	Dir     string
	Quota   int64 // bytes on disk, 0: none
	MinFree int64 // bytes that stay free on the disk
	// LogFile is the size of a value-log file in bytes. 0 means 32 MiB, or 16 MiB with
	// 32-bit addresses. Badger maps every value-log file, and twice LogFile for the one
	// that it writes.
	LogFile int64
	// KeepConfirmed keeps what the cloud has confirmed until its space is needed; then the
	// oldest is deleted first. Footage that is not confirmed is never deleted.
	KeepConfirmed bool
	// History bounds the records of ended footage; 0 means 5,000.
	History int
	// Disk reads the size and the free bytes of the file system; nil: statfs(2).
	Disk func(dir string) (total, free int64, err error)
	Now  func() time.Time // nil: time.Now; only for time stamps that people read
	Log  *slog.Logger     // nil: no log
}

const defaultHistory = 5000

// Spool is the open buffer. It hands out its parts; every part is safe for concurrent use
// until Close.
type Spool struct {
	Records  *Records
	Captures *Captures
	Content  *Content
	Uploads  *Uploads
	Recovery *Recovery
	Disk     *Disk
	Link     *Link
	Clock    *Clock
	Replies  *Replies
	Outbox   *Outbox

	store    *store
	salvaged *Salvaged
}

// newSpool connects the parts over one open database.
func newSpool(st *store) *Spool {
	s := &Spool{store: st}
	s.Records = newRecords(st)
	s.Disk = &Disk{store: st, records: s.Records, usage: &usage{dir: st.path(), disk: st.o.Disk}}
	s.Content = &Content{store: st, records: s.Records, disk: s.Disk}
	s.Recovery = &Recovery{store: st, records: s.Records, content: s.Content}
	s.Captures = &Captures{store: st, records: s.Records, content: s.Content, recovery: s.Recovery}
	s.Uploads = &Uploads{records: s.Records, disk: s.Disk, keepConfirmed: st.o.KeepConfirmed}
	s.Link, s.Clock, s.Replies, s.Outbox = &Link{st}, &Clock{st}, &Replies{st}, &Outbox{store: st}
	return s
}

// Run collects garbage after footage was reclaimed. Once a minute it deletes confirmed
// content whose deletion failed before. It returns nil when ctx ends.
func (s *Spool) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.reclaimConfirmed()
			continue
		case <-s.store.collectNow.C():
		}
		s.store.collecting.Store(true)
		if err := s.Disk.Collect(ctx); err != nil {
			s.store.o.Log.Error("spool garbage collection failed; the disk space stays used until the next one", "err", err)
		}
		s.store.collecting.Store(false)
	}
}

// reclaimConfirmed deletes confirmed content whose deletion failed, for example on a full disk.
func (s *Spool) reclaimConfirmed() {
	if s.store.o.KeepConfirmed {
		return
	}
	for _, r := range s.Records.All() {
		if r.State != Confirmed {
			continue
		}
		if err := s.Disk.Reclaim(r.ID); err != nil {
			s.store.o.Log.Error("cannot delete confirmed content; retrying in a minute", "footage", r.ID, "err", err)
		}
	}
}

// Close writes out everything. Run must have ended.
func (s *Spool) Close() error {
	if err := s.store.db.Close(); err != nil {
		return fmt.Errorf("close spool: %w", err)
	}
	return nil
}

// Salvaged describes what Open saved of a broken store; nil when the store was whole.
func (s *Spool) Salvaged() *Salvaged { return s.salvaged }

var sessionKey = []byte("x/session")

// NextSession counts the starts of this station durably and returns the count: 1, 2, …
func (s *Spool) NextSession() (int64, error) {
	var n int64
	err := s.store.write(func(txn *badger.Txn) error {
		if err := getJSON(txn, sessionKey, &n); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		n++
		return setJSON(txn, sessionKey, n)
	})
	if err != nil {
		return 0, fmt.Errorf("count the start of the station: %w", err)
	}
	return n, nil
}
