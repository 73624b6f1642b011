package spool

import (
	"context"
	"errors"
	"fmt"

	"cattlecounter/shared/footage"
)

// Recovery stops footage on its way from the card to the cloud, and starts it again: quarantine, retry, reading again,
// sending again.
type Recovery struct {
	store   *store
	records *Records
	content *Content
}

// Quarantine stops footage until a person orders a retry. Content with a manifest stays; the
// chunks of a half-read file are deleted.
func (v *Recovery) Quarantine(id footage.ID, reason string) error {
	r, ok := v.records.Get(id)
	if !ok {
		return fmt.Errorf("footage %s: %w", id, ErrNotFound)
	}
	reason = footage.SafeText(reason)
	if _, err := v.records.applyEvent(id, Quarantine, func(r *Record) { r.Reason = reason }, nil); err != nil {
		return err
	}
	v.store.o.Log.Warn("footage quarantined", "footage", id, "name", r.Name, "reason", reason)
	if _, err := v.content.Manifest(id); errors.Is(err, ErrNotFound) {
		return v.store.deleteContent(id)
	}
	return nil
}

// QuarantineMissing quarantines footage whose file is not on the card any more, before it was
// read. When the file comes back, the watcher captures it again.
func (v *Recovery) QuarantineMissing(id footage.ID, reason string) error {
	if _, err := v.records.change(id, func(r *Record) error { r.Stale = true; return nil }, nil); err != nil {
		return err
	}
	if _, err := v.content.Manifest(id); err == nil {
		reason = "its content in the spool is damaged and the card does not have it any more; insert that card again"
	}
	return v.Quarantine(id, reason)
}

// Retry takes footage out of quarantine. Footage with content is sent again; other footage is
// read from the card again. The error wraps ErrTransition for footage not in quarantine.
func (v *Recovery) Retry(id footage.ID) error {
	if r, ok := v.records.Get(id); !ok || r.State != Quarantined {
		return fmt.Errorf("footage %s is not in quarantine: %w", id, ErrTransition)
	}
	if _, err := v.content.Manifest(id); err != nil {
		return v.Reread(id)
	}
	_, err := v.records.applyEvent(id, Resend, func(r *Record) {
		r.Reason, r.HashFaults, r.IDsTaken = "", 0, 0
		r.resetTransfers()
	}, nil)
	return err
}

// Reread has the file read from the card again. Undamaged chunks stay and are not written twice.
func (v *Recovery) Reread(id footage.ID) error {
	_, err := v.records.applyEvent(id, Reread, func(r *Record) {
		r.Reason, r.Stale, r.Read, r.DuplicateOf = "", false, 0, ""
		r.resetTransfers()
	}, nil)
	return err
}

// Resend has confirmed footage sent again, whose content is still in the spool, because the
// cloud lost it.
func (v *Recovery) Resend(id footage.ID) error {
	_, err := v.records.applyEvent(id, Resend, func(r *Record) {
		r.HashFaults, r.DuplicateOf = 0, ""
		r.resetTransfers()
	}, nil)
	return err
}

// CountHashFault counts an arrival with a wrong digest, resets the upload and returns the
// number of such arrivals.
func (v *Recovery) CountHashFault(id footage.ID) (int, error) {
	r, err := v.records.change(id, func(r *Record) error {
		r.HashFaults++
		r.resetTransfers()
		return nil
	}, nil)
	return r.HashFaults, err
}

// ChooseID gives footage a new id for the cloud, because the cloud uses its present one for
// other footage, and restarts the upload of every part. Record.ID stays: it is the key of
// the content in the spool. The new id is durable before ChooseID returns.
func (v *Recovery) ChooseID(id footage.ID) (Record, error) {
	return v.records.change(id, func(r *Record) error {
		r.UploadedAs = footage.NewID(v.store.o.Now())
		r.IDsTaken++
		r.resetTransfers()
		return nil
	}, nil)
}

// CheckAll compares the content of all footage with the manifests. It has damaged footage
// read from the card again and returns how many pieces that are.
func (v *Recovery) CheckAll(ctx context.Context) (int, error) {
	n := 0
	for _, r := range v.records.All() {
		if !r.State.HasContent() || r.State == Confirmed {
			continue
		}
		f, err := v.content.Check(ctx, r.ID)
		if err != nil {
			return n, err
		}
		if now, ok := v.records.Get(r.ID); f == nil || !ok || !now.State.HasContent() {
			continue // reclaimed meanwhile
		}
		v.store.o.Log.Warn("spooled content is damaged; reading the file from the card again",
			"footage", r.ID, "name", r.Name, "chunks", f.Chunks, "damaged", f.Damaged, "err", f.Detail)
		if err := v.Reread(r.ID); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// recreateRecords makes records for manifests that lost theirs, after a salvage.
func (v *Recovery) recreateRecords() error {
	keys, err := v.store.keys([]byte(manifestPrefix))
	if err != nil {
		return err
	}
	for _, k := range keys {
		id := footage.ID(k[len(manifestPrefix):])
		if _, ok := v.records.Get(id); ok {
			continue
		}
		m, err := v.content.Manifest(id)
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		// A manifest without chunks is a deleted key that came back: the footage was sent long ago.
		if chunks, err := v.store.keys(chunkPrefix(id)); err != nil || len(chunks) == 0 {
			if err = errors.Join(err, v.store.deleteContent(id)); err != nil {
				return err
			}
			continue
		}
		if err := v.recreateRecord(id, m); err != nil {
			return fmt.Errorf("footage %s: %w", id, err)
		}
		v.store.o.Log.Warn("footage without a record found; record created from its manifest",
			"footage", id, "name", m.Video.Name)
	}
	return nil
}

func (v *Recovery) recreateRecord(id footage.ID, m footage.Manifest) error {
	v.records.mu.Lock()
	defer v.records.mu.Unlock()
	v.records.seq++
	r := Record{ID: id, Seq: v.records.seq, State: Spooled, Name: footage.SafeName(m.Video.Name), LogOf: m.TelemetryOf,
		Source: Source{Size: m.Video.Size, ModTime: m.Captured}, HasThumbnail: m.Thumbnail != nil}
	r.describe(m)
	return v.records.save(&r, nil)
}
