package spool

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// seen remembers which footage a file on the card became.
type seen struct {
	Source Source     `json:"source"`
	ID     footage.ID `json:"id"`
}

// Known reports whether this very file was captured before and need not be read
// again, whatever became of it.
func (s *Spool) Known(src Source) (bool, error) {
	sn, err := s.seen(src.Path)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up %s: %w", src.Path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[sn.ID]
	return sn.Source.Same(src) && (r == nil || !r.Stale), nil
}

func (s *Spool) seen(path string) (seen, error) {
	var sn seen
	err := s.db.View(func(txn *badger.Txn) error { return getJSON(txn, sourceKey(path), &sn) })
	return sn, err
}

// Capture records a finished file. A piece of footage of the same path that was
// not read whole takes the new identity; the same identity again returns what
// is there.
func (s *Spool) Capture(src Source, telemetry *Source) (Record, error) {
	sn, err := s.seen(src.Path)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Record{}, fmt.Errorf("capture %s: %w", src.Path, err)
	}
	s.mu.Lock()
	r := Record{ID: footage.NewID(s.o.Now()), State: Captured, Name: printable(filepath.Base(src.Path))}
	if old := s.records[sn.ID]; old != nil {
		if sn.Source.Same(src) && !old.Stale {
			defer s.mu.Unlock()
			return *old, nil
		}
		// Whatever is not spooled yet, or was given up before it was, is the
		// same take of the same file; so is what is damaged and comes back.
		if unread := old.SHA256.IsZero(); (unread || sn.Source.Same(src)) && (old.State == Captured || old.State == Quarantined) {
			r = *old
			r.State = Captured
		}
	}
	r.Source, r.Telemetry, r.Stale, r.Reason, r.Waiting, r.Read = src, telemetry, false, "", "", 0
	if r.Seq == 0 {
		s.seq++
		r.Seq = s.seq
	}
	err = s.store(&r, func(txn *badger.Txn) error { return setJSON(txn, sourceKey(src.Path), seen{src, r.ID}) })
	s.mu.Unlock()
	if err != nil {
		return Record{}, fmt.Errorf("capture %s: %w", src.Path, err)
	}
	s.tell(r)
	return r, nil
}

// store writes a record with whatever belongs into the same transaction and
// takes it into memory. s.mu is held.
func (s *Spool) store(r *Record, also func(*badger.Txn) error) error {
	r.Updated = s.o.Now().UTC()
	old := s.records[r.ID]
	if old != nil && r.beginsAnew(old) {
		r.Attempt, r.Told = old.Attempt+1, 0
	}
	err := s.write(func(txn *badger.Txn) error {
		if also != nil {
			if err := also(txn); err != nil {
				return err
			}
		}
		return setJSON(txn, recordKey(r.ID), r)
	})
	if err != nil {
		return err
	}
	if before := old != nil && old.State.Ended(); before != r.State.Ended() {
		if before {
			s.ended--
		} else {
			s.ended++
		}
	}
	kept := *r
	s.records[r.ID] = &kept
	return nil
}

func (s *Spool) tell(r Record) {
	for _, f := range s.onChange {
		f(r)
	}
}

// change applies f to a copy of the record and stores it in one transaction
// with also.
func (s *Spool) change(id footage.ID, f func(*Record) error, also func(*badger.Txn) error) (Record, error) {
	s.mu.Lock()
	old := s.records[id]
	if old == nil {
		s.mu.Unlock()
		return Record{}, fmt.Errorf("footage %s: %w", id, ErrNotFound)
	}
	r := *old
	err := f(&r)
	if err == nil {
		err = s.store(&r, also)
	}
	s.mu.Unlock()
	if err != nil {
		return Record{}, fmt.Errorf("footage %s: %w", id, err)
	}
	s.tell(r)
	return r, nil
}

// move changes the state by an event, and f changes the rest.
func (s *Spool) move(id footage.ID, e Event, f func(*Record), also func(*badger.Txn) error) (Record, error) {
	return s.change(id, func(r *Record) (err error) {
		if r.State, err = Next(r.State, e); err != nil {
			return err
		}
		r.Waiting, r.Rate = "", 0
		if f != nil {
			f(r)
		}
		return nil
	}, also)
}

// BeginRead says that reading from the card begins, or begins again.
func (s *Spool) BeginRead(id footage.ID) (Record, error) {
	return s.move(id, Read, func(r *Record) { r.Read = 0 }, nil)
}

// Lose voids what was read: the file changed meanwhile. It is captured again
// when the watcher finds it finished. Footage that was spooled before and is read
// again for its damage is another file's now: it is quarantined with what is
// right of it.
func (s *Spool) Lose(id footage.ID, why string) error {
	if _, err := s.Manifest(id); err == nil {
		return s.Quarantine(id, "its content in the spool is damaged and the card has another file under its name: "+why)
	}
	if _, err := s.move(id, Lose, func(r *Record) { r.Stale, r.Waiting, r.Read = true, why, 0 }, nil); err != nil {
		return err
	}
	return s.dropContent(id)
}

// Commit writes the manifest, after every chunk. When the content is known
// under another id the result is a Duplicate and the chunks are deleted.
func (s *Spool) Commit(m footage.Manifest) (Record, error) {
	if err := m.Validate(); err != nil {
		return Record{}, err
	}
	first, err := s.firstWith(m.Video.SHA256)
	if err != nil {
		return Record{}, fmt.Errorf("footage %s: %w", m.Footage, err)
	}
	if first != "" && first != m.Footage {
		r, err := s.move(m.Footage, Repeat, func(r *Record) { r.SHA256, r.DuplicateOf = m.Video.SHA256, first }, nil)
		if err != nil {
			return Record{}, err
		}
		return r, errors.Join(s.dropContent(m.Footage), s.prune())
	}
	return s.move(m.Footage, Manifest, func(r *Record) {
		r.SHA256, r.HasThumbnail, r.HashFaults = m.Video.SHA256, m.Thumbnail != nil, 0
		r.again()
	}, func(txn *badger.Txn) error {
		return errors.Join(setJSON(txn, manifestKey(m.Footage), m), setJSON(txn, digestKey(m.Video.SHA256), m.Footage))
	})
}

// firstWith returns the id under which a digest was spooled first, "" when it
// was not, or when that footage was read again with another content.
func (s *Spool) firstWith(d footage.Digest) (footage.ID, error) {
	var id footage.ID
	err := s.db.View(func(txn *badger.Txn) error { return getJSON(txn, digestKey(d), &id) })
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if r, ok := s.Record(id); ok && (r.SHA256 != d || r.State == Captured || r.State == Spooling || r.State == Quarantined) {
		return "", err // not here whole
	}
	return id, err
}

// BeginUpload says that the upload begins, or begins again.
func (s *Spool) BeginUpload(id footage.ID) (Record, error) { return s.move(id, Upload, nil, nil) }

// SetTransfer keeps the book of one part's upload.
func (s *Spool) SetTransfer(id footage.ID, p Part, t Transfer) error {
	_, err := s.change(id, func(r *Record) error { *r.Transfer(p) = t; return nil }, nil)
	return err
}

// Accepted says that the cloud took every byte.
func (s *Spool) Accepted(id footage.ID) error {
	_, err := s.move(id, Accept, nil, nil)
	return err
}

// Confirm says that the cloud's digest and size are the manifest's. duplicateOf
// is the footage under which the cloud had the content before, "" if it had not.
func (s *Spool) Confirm(id, duplicateOf footage.ID) error {
	_, err := s.move(id, Confirm, func(r *Record) { r.DuplicateOf, r.HashFaults = duplicateOf, 0 }, nil)
	return err
}

// Release lets confirmed footage go: its content is deleted now, or, with
// KeepConfirmed, when its room is needed.
func (s *Spool) Release(id footage.ID) error {
	if s.o.KeepConfirmed {
		return nil
	}
	return s.Reclaim(id)
}

// Reclaim deletes the content of confirmed footage and keeps its record.
func (s *Spool) Reclaim(id footage.ID) error {
	if r, ok := s.Record(id); !ok || r.State != Confirmed {
		return fmt.Errorf("reclaim %s, which is %q: %w", id, r.State, ErrTransition)
	}
	if err := s.dropContent(id); err != nil {
		return err
	}
	if _, err := s.move(id, Reclaim, nil, nil); err != nil {
		return err
	}
	return s.prune()
}

// Quarantine takes footage out of the way until a person asks for it again.
// Chunks of a manifest stay; chunks of a half-read file go.
func (s *Spool) Quarantine(id footage.ID, reason string) error {
	r, ok := s.Record(id)
	if !ok {
		return fmt.Errorf("footage %s: %w", id, ErrNotFound)
	}
	if _, err := s.move(id, Quarantine, func(r *Record) { r.Reason = reason }, nil); err != nil {
		return err
	}
	s.o.Log.Warn("footage quarantined", "footage", id, "name", r.Name, "reason", reason)
	if _, err := s.Manifest(id); errors.Is(err, ErrNotFound) {
		return s.dropContent(id)
	}
	return nil
}

// Vanished quarantines footage whose file is gone before it was read; when the
// file comes back the watcher captures it again.
func (s *Spool) Vanished(id footage.ID, reason string) error {
	if _, err := s.change(id, func(r *Record) error { r.Stale = true; return nil }, nil); err != nil {
		return err
	}
	if _, err := s.Manifest(id); err == nil {
		reason = "its content in the spool is damaged and the card does not have it any more; insert that card again"
	}
	return s.Quarantine(id, reason)
}

// Reread reads the file from the card again. What is right of its content stays
// and is not written twice.
func (s *Spool) Reread(id footage.ID) error {
	_, err := s.move(id, Reread, func(r *Record) {
		r.Reason, r.Stale, r.Read, r.DuplicateOf = "", false, 0, ""
		r.again()
	}, nil)
	return err
}

// Resend sends confirmed footage whose content is still here once more: the cloud
// lost it.
func (s *Spool) Resend(id footage.ID) error {
	_, err := s.move(id, Resend, func(r *Record) {
		r.HashFaults, r.DuplicateOf = 0, ""
		r.again()
	}, nil)
	return err
}

// Retry takes footage out of quarantine: it is sent again when its content is
// here, else read again.
func (s *Spool) Retry(id footage.ID) error {
	if r, ok := s.Record(id); !ok || r.State != Quarantined {
		return fmt.Errorf("footage %s is not in quarantine: %w", id, ErrTransition)
	}
	if _, err := s.Manifest(id); err != nil {
		return s.Reread(id)
	}
	_, err := s.move(id, Resend, func(r *Record) {
		r.Reason, r.HashFaults = "", 0
		r.again()
	}, nil)
	return err
}

// Record returns one record.
func (s *Spool) Record(id footage.ID) (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.records[id]; r != nil {
		return *r, true
	}
	return Record{}, false
}

// Records returns every record in the order of capture.
func (s *Spool) Records() []Record {
	s.mu.Lock()
	list := make([]Record, 0, len(s.records))
	for _, r := range s.records {
		list = append(list, *r)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}

// prune forgets the oldest ended footage beyond the limit. Its digest and its
// place on the card stay known.
func (s *Spool) prune() error {
	s.mu.Lock()
	over := s.ended - s.o.History
	s.mu.Unlock()
	if over <= 0 {
		return nil
	}
	for _, r := range s.Records() {
		if over <= 0 {
			break
		}
		if !r.State.Ended() {
			continue
		}
		if err := s.deleteKeys([][]byte{recordKey(r.ID)}); err != nil {
			return fmt.Errorf("forget %s: %w", r.ID, err)
		}
		s.mu.Lock()
		delete(s.records, r.ID)
		s.ended--
		s.mu.Unlock()
		over--
	}
	return nil
}

// HashFault counts one more arrival with a wrong digest and returns how many
// there were; the upload starts anew.
func (s *Spool) HashFault(id footage.ID) (int, error) {
	r, err := s.change(id, func(r *Record) error {
		r.HashFaults++
		r.again()
		return nil
	}, nil)
	return r.HashFaults, err
}
