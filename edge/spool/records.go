package spool

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// MaxPriority bounds a priority on either side of 0, which is what new footage has.
const MaxPriority = 1000

// jobEvery is how often the progress of a running job is written to disk. The broker
// retains the newest progress as well, and writes wear out the flash.
const jobEvery = 30 * time.Second

// Records are what the spool knows about every piece of footage. They stay in memory; every
// change is durable before it is visible, unless its method says otherwise.
type Records struct {
	store *store

	mu       sync.Mutex
	byID     map[footage.ID]*Record
	byCloud  map[footage.ID]footage.ID // Record.UploadedAs to Record.ID
	seq      int64                     // the last Record.Seq given out
	ended    int                       // records whose state has ended
	onChange []func(Record)
}

func newRecords(st *store) *Records {
	return &Records{store: st, byID: map[footage.ID]*Record{}, byCloud: map[footage.ID]footage.ID{}}
}

// Get returns one record.
func (r *Records) Get(id footage.ID) (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec := r.byID[id]; rec != nil {
		return *rec, true
	}
	return Record{}, false
}

// ByCloudID returns the record of the footage that the cloud knows under an id.
func (r *Records) ByCloudID(id footage.ID) (Record, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if own, ok := r.byCloud[id]; ok {
		id = own
	} else if rec := r.byID[id]; rec != nil && rec.CloudID() != id {
		return Record{}, false // in the cloud the id is that of other footage
	}
	if rec := r.byID[id]; rec != nil {
		return *rec, true
	}
	return Record{}, false
}

// All returns every record in the order of capture.
func (r *Records) All() []Record {
	r.mu.Lock()
	list := make([]Record, 0, len(r.byID))
	for _, rec := range r.byID {
		list = append(list, *rec)
	}
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}

// OnChange registers a function that is called with every changed record, also for changes
// in memory only. It must not block and must not call the spool. Register before the spool
// is used.
func (r *Records) OnChange(f func(Record)) { r.onChange = append(r.onChange, f) }

// SetWaiting notes why footage does not move on; "" when it does. It changes memory only.
func (r *Records) SetWaiting(id footage.ID, why string) {
	why = footage.SafeText(why)
	if old, ok := r.Get(id); ok && old.Waiting != why {
		r.changeInMemory(id, func(rec *Record) { rec.Waiting, rec.Rate = why, 0 })
	}
}

// SetPriority sets the place of footage in the queue for the link: the highest priority is
// sent first. It fails with ErrTransition when nothing of the footage is left to send.
func (r *Records) SetPriority(id footage.ID, priority int) error {
	if priority < -MaxPriority || priority > MaxPriority {
		return fmt.Errorf("footage %s: priority %d is not within -%d and %d", id, priority, MaxPriority, MaxPriority)
	}
	_, err := r.change(id, func(rec *Record) error {
		if rec.State.Ended() || rec.State == Confirmed {
			return fmt.Errorf("nothing is left to send of %s footage: %w", rec.State, ErrTransition)
		}
		rec.Priority = priority
		return nil
	}, nil)
	return err
}

// SetPublished notes that subscribers may know offsets up to n bytes.
func (r *Records) SetPublished(id footage.ID, n int64) error {
	_, err := r.change(id, func(rec *Record) error { rec.Published = n; return nil }, nil)
	return err
}

// PutJob stores the newest progress of the footage's job and reports whether it was newer
// than the stored one. The job has the cloud's id of the footage. Progress within one state
// is durable every 30 seconds only. The error wraps ErrNotFound for footage that has no
// record.
func (r *Records) PutJob(j topic.Job) (bool, error) {
	rec, ok := r.ByCloudID(j.Footage)
	if !ok {
		return false, fmt.Errorf("job %s of footage %s: %w", j.Job, j.Footage, ErrNotFound)
	}
	old := rec.Job
	if old != nil && old.Job == j.Job && j.Seq <= old.Seq {
		return false, nil
	}
	if old != nil && old.Job != j.Job && j.Updated.Before(old.Updated) {
		return false, nil
	}
	moved := old == nil || old.Job != j.Job || old.State != j.State || old.Attempt != j.Attempt
	if !moved && time.Since(rec.jobSaved) < jobEvery {
		r.changeInMemory(rec.ID, func(rec *Record) { rec.Job = &j })
		return true, nil
	}
	_, err := r.change(rec.ID, func(rec *Record) error { rec.Job, rec.jobSaved = &j, time.Now(); return nil }, nil)
	return true, err
}

// PutCount stores the final count.
func (r *Records) PutCount(id footage.ID, c Count) error {
	_, err := r.change(id, func(rec *Record) error { rec.Count = &c; return nil }, nil)
	return err
}

// load reads every record into memory.
func (r *Records) load() error {
	return r.store.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(recordPrefix), PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var rec Record
			if err := it.Item().Value(func(b []byte) error { return json.Unmarshal(b, &rec) }); err != nil {
				return fmt.Errorf("record %s: %w", it.Item().Key(), err)
			}
			rec.Name = footage.SafeName(rec.Name) // of releases that stored other names
			if rec.Count != nil && rec.Count.JobSeq == 0 && rec.Job != nil {
				rec.Count.JobSeq = rec.Job.Seq // of releases that fetched each count once
			}
			r.byID[rec.ID] = &rec
			if rec.UploadedAs != "" {
				r.byCloud[rec.UploadedAs] = rec.ID
			}
			r.seq = max(r.seq, rec.Seq)
			if rec.State.Ended() {
				r.ended++
			}
		}
		return nil
	})
}

// save writes a record, with also in the same transaction, and then takes it into memory.
// r.mu is held.
func (r *Records) save(rec *Record, also func(*badger.Txn) error) error {
	rec.Updated = r.store.o.Now().UTC()
	old := r.byID[rec.ID]
	if old != nil && rec.restarts(old) {
		rec.Attempt, rec.Published = old.Attempt+1, 0
	}
	err := r.store.write(func(txn *badger.Txn) error {
		if also != nil {
			if err := also(txn); err != nil {
				return err
			}
		}
		return setJSON(txn, recordKey(rec.ID), rec)
	})
	if err != nil {
		return err
	}
	if before := old != nil && old.State.Ended(); before != rec.State.Ended() {
		if before {
			r.ended--
		} else {
			r.ended++
		}
	}
	if old != nil && old.UploadedAs != rec.UploadedAs {
		delete(r.byCloud, old.UploadedAs)
	}
	if rec.UploadedAs != "" {
		r.byCloud[rec.UploadedAs] = rec.ID
	}
	saved := *rec
	r.byID[rec.ID] = &saved
	return nil
}

// notify calls the OnChange functions. r.mu is not held.
func (r *Records) notify(rec Record) {
	for _, f := range r.onChange {
		f(rec)
	}
}

// change applies f to a copy of the record and saves it, with also in the same transaction.
func (r *Records) change(id footage.ID, f func(*Record) error, also func(*badger.Txn) error) (Record, error) {
	r.mu.Lock()
	old := r.byID[id]
	if old == nil {
		r.mu.Unlock()
		return Record{}, fmt.Errorf("footage %s: %w", id, ErrNotFound)
	}
	rec := *old
	err := f(&rec)
	if err == nil {
		err = r.save(&rec, also)
	}
	r.mu.Unlock()
	if err != nil {
		return Record{}, fmt.Errorf("footage %s: %w", id, err)
	}
	r.notify(rec)
	return rec, nil
}

// applyEvent changes the state by an event; f, unless nil, changes the rest of the record.
func (r *Records) applyEvent(id footage.ID, e Event, f func(*Record), also func(*badger.Txn) error) (Record, error) {
	return r.change(id, func(rec *Record) (err error) {
		if rec.State, err = Next(rec.State, e); err != nil {
			return err
		}
		rec.Waiting, rec.Rate = "", 0
		if f != nil {
			f(rec)
		}
		return nil
	}, also)
}

// changeInMemory applies f to a record without writing it.
func (r *Records) changeInMemory(id footage.ID, f func(*Record)) {
	r.mu.Lock()
	rec := r.byID[id]
	if rec == nil {
		r.mu.Unlock()
		return
	}
	f(rec)
	changed := *rec
	r.mu.Unlock()
	r.notify(changed)
}

// prune deletes the oldest records of ended footage beyond Options.History. Their digests
// and their files on the card stay known.
func (r *Records) prune() error {
	r.mu.Lock()
	over := r.ended - r.store.o.History
	r.mu.Unlock()
	if over <= 0 {
		return nil
	}
	for _, rec := range r.All() {
		if over <= 0 {
			break
		}
		if !rec.State.Ended() {
			continue
		}
		if err := r.store.deleteKeys([][]byte{recordKey(rec.ID)}); err != nil {
			return fmt.Errorf("delete the record of footage %s: %w", rec.ID, err)
		}
		r.mu.Lock()
		delete(r.byID, rec.ID)
		delete(r.byCloud, rec.UploadedAs)
		r.ended--
		r.mu.Unlock()
		over--
	}
	return nil
}

// withDigest returns the id under which a digest was spooled first. It returns "" when the
// digest is unknown, or when that footage does not have this content whole any more.
func (r *Records) withDigest(d footage.Digest) (footage.ID, error) {
	var id footage.ID
	err := r.store.readJSON(digestKey(d), &id)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if rec, ok := r.Get(id); ok &&
		(rec.SHA256 != d || rec.State == Captured || rec.State == Spooling || rec.State == Quarantined) {
		return "", err
	}
	return id, err
}
