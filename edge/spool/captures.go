package spool

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// Captures are the way of a file from the card into the spool: Add, BeginRead, the chunks
// (Content.PutChunk), Commit.
type Captures struct {
	store    *store
	records  *Records
	content  *Content
	recovery *Recovery
}

// knownSource is the stored link from a file on the card to the footage it became.
type knownSource struct {
	Source Source     `json:"source"`
	ID     footage.ID `json:"id"`
}

// Known reports whether this very file was captured before and needs no further reading,
// whatever the state of its footage.
func (c *Captures) Known(src Source) (bool, error) {
	var known knownSource
	err := c.store.readJSON(sourceKey(src.Path), &known)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", src.Path, err)
	}
	r, ok := c.records.Get(known.ID)
	return known.Source.Same(src) && (!ok || !r.Stale), nil
}

// Add records a finished file. When the same file was added before, Add returns its record.
// When another file of the same path was added but not spooled yet, that footage takes the
// new identity.
func (c *Captures) Add(src Source, telemetry *Source) (Record, error) {
	r, changed, err := c.add(src, telemetry)
	if err != nil {
		return Record{}, fmt.Errorf("capture %s: %w", src.Path, err)
	}
	if changed {
		c.records.notify(r)
	}
	return r, nil
}

func (c *Captures) add(src Source, telemetry *Source) (r Record, changed bool, err error) {
	var known knownSource
	if err := c.store.readJSON(sourceKey(src.Path), &known); err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, false, err
	}
	c.records.mu.Lock()
	defer c.records.mu.Unlock()
	r = Record{ID: footage.NewID(c.store.o.Now()), State: Captured, Name: printable(filepath.Base(src.Path))}
	if old := c.records.byID[known.ID]; old != nil {
		same := known.Source.Same(src)
		if same && !old.Stale {
			return *old, false, nil
		}
		// Footage that was never spooled is the same recording. So is damaged footage
		// whose file is on the card again.
		if unread := old.SHA256.IsZero(); (unread || same) && (old.State == Captured || old.State == Quarantined) {
			r = *old
			r.State = Captured
		}
	}
	r.Source, r.Telemetry, r.Stale, r.Reason, r.Waiting, r.Read = src, telemetry, false, "", "", 0
	if r.Seq == 0 {
		c.records.seq++
		r.Seq = c.records.seq
	}
	err = c.records.save(&r, func(txn *badger.Txn) error {
		return setJSON(txn, sourceKey(src.Path), knownSource{src, r.ID})
	})
	return r, true, err
}

// BeginRead marks the begin of reading from the card, also of reading again.
func (c *Captures) BeginRead(id footage.ID) (Record, error) {
	return c.records.move(id, Read, func(r *Record) { r.Read = 0 }, nil)
}

// SetRead notes how many bytes of the file were read. It changes memory only.
func (c *Captures) SetRead(id footage.ID, bytes int64) {
	c.records.changeInMemory(id, func(r *Record) { r.Read, r.Waiting = bytes, "" })
}

// Commit writes the manifest; every chunk must be in the spool. When the content is known
// under another id, the result is a Duplicate and the chunks are deleted.
func (c *Captures) Commit(m footage.Manifest) (Record, error) {
	if err := m.Validate(); err != nil {
		return Record{}, err
	}
	first, err := c.records.withDigest(m.Video.SHA256)
	if err != nil {
		return Record{}, fmt.Errorf("footage %s: %w", m.Footage, err)
	}
	if first != "" && first != m.Footage {
		r, err := c.records.move(m.Footage, Deduplicate, func(r *Record) {
			r.SHA256, r.DuplicateOf = m.Video.SHA256, first
		}, nil)
		if err != nil {
			return Record{}, err
		}
		return r, errors.Join(c.store.deleteContent(m.Footage), c.records.prune())
	}
	return c.records.move(m.Footage, Commit, func(r *Record) {
		r.SHA256, r.HasThumbnail, r.HashFaults = m.Video.SHA256, m.Thumbnail != nil, 0
		r.resetTransfers()
	}, func(txn *badger.Txn) error {
		return errors.Join(setJSON(txn, manifestKey(m.Footage), m), setJSON(txn, digestKey(m.Video.SHA256), m.Footage))
	})
}

// Discard deletes what was read of a file that changed meanwhile; the watcher offers the
// file again when it is finished. Footage with a manifest was spooled before and was read
// again because of damage: the file now belongs to other footage, so Discard quarantines the
// old footage and keeps its undamaged content.
func (c *Captures) Discard(id footage.ID, why string) error {
	if _, err := c.content.Manifest(id); err == nil {
		return c.recovery.Quarantine(id,
			"its content in the spool is damaged, and the card has another file under its name: "+why)
	}
	_, err := c.records.move(id, Discard, func(r *Record) { r.Stale, r.Waiting, r.Read = true, why, 0 }, nil)
	if err != nil {
		return err
	}
	return c.store.deleteContent(id)
}
