package spool

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// Captures are the way of a file from the card into the spool: Add, BeginRead, the chunks (Content.PutChunk), Commit.
type Captures struct {
	store    *store
	records  *Records
	content  *Content
	recovery *Recovery
}

// knownSource is the stored link from a file on the card to the footage it became. Of is set in the link of a flight
// log: the footage of the video beside it.
type knownSource struct {
	Source Source     `json:"source"`
	ID     footage.ID `json:"id"`
	Of     footage.ID `json:"of,omitempty"`
}

// Match is what the spool knows about a file on the card.
type Match int

// Matches.
const (
	// New is a file that was not captured before.
	New Match = iota
	// Captured before, or being captured.
	Same
	// Unsure is a file about which only the digest of the whole file decides; see Resolve. Either it has path, size and
	// time of a captured one whose fingerprint is not stored, because an earlier release captured it. Or only its time
	// differs: FAT stores local time, so all times on a card shift when it is mounted in another time zone.
	Unsure
)

// Match compares a file on the card with what was captured, whatever the state of its footage. A file
// that cannot be read now has no fingerprint. It is compared by path, size and time.
func (c *Captures) Match(src Source) (Match, error) {
	known, err := c.link(sourceKey(src.Path))
	if err != nil || known.ID == "" {
		return New, err
	}
	r, ok := c.records.Get(known.ID)
	switch {
	case ok && r.Stale:
		return New, nil
	case known.Source.sameButTime(src) && (!ok || !r.SHA256.IsZero()):
		return Unsure, nil
	case !known.Source.mayBeSame(src):
		return New, nil
	case !known.Source.Print.IsZero(), src.Print.IsZero():
		return Same, nil
	case ok && r.SHA256.IsZero():
		return Same, nil // it is read anyway, or waits for a person
	}
	return Unsure, nil
}

// link returns a stored link, the zero value when there is none.
func (c *Captures) link(key []byte) (knownSource, error) {
	var known knownSource
	if err := c.store.readJSON(key, &known); err != nil && !errors.Is(err, ErrNotFound) {
		return knownSource{}, fmt.Errorf("look up a file on the card: %w", err)
	}
	return known, nil
}

// Resolve decides about an Unsure file by the digest of its whole content. It reports whether that content was
// captured; then the fingerprint is stored, so that the file is not read again. Otherwise the file is New from now on.
func (c *Captures) Resolve(src Source, d footage.Digest) (bool, error) {
	known, err := c.link(sourceKey(src.Path))
	if err != nil || known.ID == "" || !known.Source.mayBeSame(src) && !known.Source.sameButTime(src) {
		return false, err
	}
	id := known.ID
	if r, ok := c.records.Get(id); !ok || r.SHA256 != d {
		if id, err = c.records.withDigest(d); err != nil {
			return false, fmt.Errorf("resolve %s: %w", footage.SafePath(src.Path), err)
		}
	}
	if id == "" {
		return false, c.Forget(known.ID)
	}
	also := func(txn *badger.Txn) error {
		return setJSON(txn, sourceKey(src.Path), knownSource{Source: src, ID: id})
	}
	if r, ok := c.records.Get(id); ok && r.Source.Path == src.Path {
		_, err = c.records.change(id, func(r *Record) error { r.Source = src; return nil }, also)
	} else {
		err = c.store.write(also)
	}
	if err != nil {
		return false, fmt.Errorf("resolve %s: %w", footage.SafePath(src.Path), err)
	}
	return true, nil
}

// Forget removes the link from the file on the card to its footage, because the file is another recording. The watcher
// then captures the file as new footage. The record and its content stay.
func (c *Captures) Forget(id footage.ID) error {
	r, ok := c.records.Get(id)
	if !ok {
		return nil
	}
	key := sourceKey(r.Source.Path)
	known, err := c.link(key)
	if err != nil || known.ID != id {
		return err
	}
	if err := c.store.deleteKeys([][]byte{key}); err != nil {
		return fmt.Errorf("forget the file of footage %s: %w", id, err)
	}
	return nil
}

// RequireDigest makes Match unsure about the next file under the name, size and time of this footage, because its own
// file was deleted from the card: a fingerprint is not proof enough that the same file came back.
func (c *Captures) RequireDigest(id footage.ID) error {
	r, ok := c.records.Get(id)
	if !ok {
		return nil
	}
	key := sourceKey(r.Source.Path)
	known, err := c.link(key)
	if err != nil || known.ID != id || known.Source.Print.IsZero() {
		return err
	}
	known.Source.Print = footage.Digest{}
	if err := c.store.write(func(txn *badger.Txn) error { return setJSON(txn, key, known) }); err != nil {
		return fmt.Errorf("note that the file of footage %s is deleted: %w", id, err)
	}
	return nil
}

// Add records a finished file. When the same file was added before, Add returns its record. When another file of the
// same path was added but not spooled yet, that footage takes the new identity.
func (c *Captures) Add(src Source, telemetry *Source) (Record, error) {
	r, changed, err := c.add(src, telemetry)
	if err != nil {
		return Record{}, fmt.Errorf("capture %s: %w", footage.SafePath(src.Path), err)
	}
	if changed {
		c.records.notify(r)
	}
	return r, nil
}

func (c *Captures) add(src Source, telemetry *Source) (r Record, changed bool, err error) {
	known, err := c.link(sourceKey(src.Path))
	if err != nil {
		return Record{}, false, err
	}
	c.records.mu.Lock()
	defer c.records.mu.Unlock()
	r = Record{}
	if old := c.records.byID[known.ID]; old != nil {
		same := known.Source.mayBeSame(src)
		if same && !old.Stale {
			return *old, false, nil
		}
		// Footage that was never spooled is the same recording. So is damaged footage whose file is on the card again:
		// reading compares the digest.
		if unread := old.SHA256.IsZero(); (unread || same) && (old.State == Captured || old.State == Quarantined) {
			r = *old
		}
	}
	c.begin(&r, src)
	r.Telemetry = telemetry
	err = c.records.save(&r, func(txn *badger.Txn) error {
		return setJSON(txn, sourceKey(src.Path), knownSource{Source: src, ID: r.ID})
	})
	return r, true, err
}

// begin makes a record one of a file that waits to be read. A zero record becomes a new one. records.mu is held.
func (c *Captures) begin(r *Record, src Source) {
	if r.ID == "" {
		c.records.seq++
		r.ID, r.Seq = footage.NewID(c.store.o.Now()), c.records.seq
	}
	r.State, r.Name, r.Source = Captured, footage.SafeBase(src.Path), src
	r.Stale, r.Reason, r.Waiting, r.Read = false, "", "", 0
}

// BeginRead marks the begin of reading from the card, also of reading again.
func (c *Captures) BeginRead(id footage.ID) (Record, error) {
	return c.records.applyEvent(id, Read, func(r *Record) { r.Read = 0 }, nil)
}

// SetRead notes how many bytes of the file were read. It changes memory only.
func (c *Captures) SetRead(id footage.ID, bytes int64) {
	c.records.changeInMemory(id, func(r *Record) { r.Read, r.Waiting = bytes, "" })
}

// Commit writes the manifest; every chunk must be in the spool. When the content is known under another id, the result
// is a Duplicate and the chunks are deleted.
func (c *Captures) Commit(m footage.Manifest) (Record, error) {
	if err := m.Validate(); err != nil {
		return Record{}, err
	}
	r, ok := c.records.Get(m.Footage)
	if !ok {
		return Record{}, fmt.Errorf("footage %s: %w", m.Footage, ErrNotFound)
	}
	first, err := c.firstWith(r, m.Video.SHA256)
	if err != nil {
		return Record{}, fmt.Errorf("footage %s: %w", m.Footage, err)
	}
	if first != "" && first != m.Footage {
		return c.commitDuplicate(m, first)
	}
	return c.records.applyEvent(m.Footage, Commit, func(r *Record) {
		r.describe(m)
		r.HasThumbnail, r.HashFaults = m.Thumbnail != nil, 0
		r.resetTransfers()
	}, func(txn *badger.Txn) error {
		err := errors.Join(setJSON(txn, manifestKey(m.Footage), m), c.linkTelemetry(txn, r, m))
		if r.LogOf == "" {
			err = errors.Join(err, setJSON(txn, digestKey(m.Video.SHA256), m.Footage))
		}
		return err
	})
}

// describe copies from the manifest what the record keeps after the content is deleted.
func (r *Record) describe(m footage.Manifest) {
	r.SHA256, r.TelemetrySHA256 = m.Video.SHA256, footage.Digest{}
	if m.Telemetry != nil {
		r.TelemetrySHA256 = m.Telemetry.SHA256
	}
	r.Captured, r.CapturedFrom = m.Captured, m.CapturedFrom
}

// commitDuplicate ends footage whose content is known under another id. Its telemetry is known too when the first
// footage was spooled with the same; other telemetry is captured as a flight log of the first footage.
func (c *Captures) commitDuplicate(m footage.Manifest, first footage.ID) (Record, error) {
	original, _ := c.records.Get(first)
	var also func(*badger.Txn) error
	r, _ := c.records.Get(m.Footage)
	if m.Telemetry != nil && original.TelemetrySHA256 == m.Telemetry.SHA256 {
		also = func(txn *badger.Txn) error { return c.linkTelemetry(txn, r, m) }
	}
	r, err := c.records.applyEvent(m.Footage, Deduplicate, func(r *Record) {
		r.describe(m)
		r.DuplicateOf = first
	}, also)
	if err != nil {
		return Record{}, err
	}
	return r, errors.Join(c.store.deleteContent(m.Footage), c.records.prune())
}

// firstWith returns the footage, or for a flight log the record, that has a content already.
func (c *Captures) firstWith(r Record, d footage.Digest) (footage.ID, error) {
	if r.LogOf != "" {
		return c.records.sameLog(r, d), nil
	}
	return c.records.withDigest(d)
}

// Discard deletes what was read of a file that changed meanwhile; the watcher offers the file again when it is
// finished. Footage with a manifest was spooled before and was read again because of damage: the file now belongs to
// other footage, so Discard quarantines the old footage and keeps its undamaged content.
func (c *Captures) Discard(id footage.ID, why string) error {
	if _, err := c.content.Manifest(id); err == nil {
		return c.recovery.Quarantine(id,
			"its content in the spool is damaged, and the card has another file under its name: "+why)
	}
	_, err := c.records.applyEvent(id, Discard, func(r *Record) {
		r.Stale, r.Waiting, r.Read = true, footage.SafeText(why), 0
	}, nil)
	if err != nil {
		return err
	}
	return c.store.deleteContent(id)
}
