package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// jobEvery is how often the progress of a running job is written to disk; the
// broker keeps the newest as well, and flash wears out.
const jobEvery = 30 * time.Second

// remember changes a record in memory only.
func (s *Spool) remember(id footage.ID, f func(*Record)) {
	s.mu.Lock()
	r := s.records[id]
	if r == nil {
		s.mu.Unlock()
		return
	}
	f(r)
	told := *r
	s.mu.Unlock()
	s.tell(told)
}

// SetWaiting says why nothing moves for a piece of footage; "" when it moves.
func (s *Spool) SetWaiting(id footage.ID, why string) {
	if r, ok := s.Record(id); ok && r.Waiting != why {
		s.remember(id, func(r *Record) { r.Waiting, r.Rate = why, 0 })
	}
}

// SetRead says how much of the file was read from the card.
func (s *Spool) SetRead(id footage.ID, bytes int64) {
	s.remember(id, func(r *Record) { r.Read, r.Waiting = bytes, "" })
}

// SetSent says how far an upload is, without writing it down.
func (s *Spool) SetSent(id footage.ID, p Part, offset int64, rate float64) {
	s.remember(id, func(r *Record) { r.Transfer(p).Offset, r.Rate, r.Waiting = offset, rate, "" })
}

// SetTold keeps durably that subscribers may hear of offsets up to n.
func (s *Spool) SetTold(id footage.ID, n int64) error {
	_, err := s.change(id, func(r *Record) error { r.Told = n; return nil }, nil)
	return err
}

// PutJob keeps the newest progress of the footage's job. It reports whether
// this one was newer than what was known; ErrNotFound for footage that is not
// here.
func (s *Spool) PutJob(j topic.Job) (bool, error) {
	r, ok := s.Record(j.Footage)
	if !ok {
		return false, fmt.Errorf("job %s of footage %s: %w", j.Job, j.Footage, ErrNotFound)
	}
	old := r.Job
	if old != nil && old.Job == j.Job && j.Seq <= old.Seq {
		return false, nil
	}
	if old != nil && old.Job != j.Job && j.Updated.Before(old.Updated) {
		return false, nil
	}
	moved := old == nil || old.Job != j.Job || old.State != j.State || old.Attempt != j.Attempt
	if !moved && time.Since(r.jobKept) < jobEvery {
		s.remember(j.Footage, func(r *Record) { r.Job = &j })
		return true, nil
	}
	_, err := s.change(j.Footage, func(r *Record) error { r.Job, r.jobKept = &j, time.Now(); return nil }, nil)
	return true, err
}

// PutCount keeps the final count.
func (s *Spool) PutCount(id footage.ID, c Count) error {
	_, err := s.change(id, func(r *Record) error { r.Count = &c; return nil }, nil)
	return err
}

// Reply is an answer to an order, kept so that the order can come again.
type Reply struct {
	ID    string           `json:"id"`
	Name  string           `json:"name"`
	State topic.ReplyState `json:"state"`
	Why   string           `json:"why,omitempty"`
	Seq   int64            `json:"seq"`
}

// maxReplies bounds the orders that are recognised when they come again.
const maxReplies = 500

// Reply returns the answer to an order; ErrNotFound for a new one.
func (s *Spool) Reply(id string) (Reply, error) {
	var r Reply
	err := s.db.View(func(txn *badger.Txn) error { return getJSON(txn, replyKey(id), &r) })
	if err != nil {
		return Reply{}, fmt.Errorf("reply to %s: %w", id, err)
	}
	return r, nil
}

// PutReply keeps an answer and forgets the oldest ones beyond the limit.
func (s *Spool) PutReply(r Reply) error {
	all, err := s.Replies()
	if err != nil {
		return fmt.Errorf("reply to %s: %w", r.ID, err)
	}
	oldest := ""
	var least int64
	for _, o := range all {
		r.Seq = max(r.Seq, o.Seq+1)
		if oldest == "" || o.Seq < least {
			oldest, least = o.ID, o.Seq
		}
	}
	err = s.write(func(txn *badger.Txn) error {
		if len(all) >= maxReplies {
			if err := txn.Delete(replyKey(oldest)); err != nil {
				return err
			}
		}
		return setJSON(txn, replyKey(r.ID), r)
	})
	if err != nil {
		return fmt.Errorf("reply to %s: %w", r.ID, err)
	}
	return nil
}

// Replies returns every answer that is kept.
func (s *Spool) Replies() ([]Reply, error) {
	var list []Reply
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte("r/"), PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var r Reply
			if err := it.Item().Value(func(b []byte) error { return json.Unmarshal(b, &r) }); err != nil {
				return errors.Join(fmt.Errorf("key %s", it.Item().Key()), err)
			}
			list = append(list, r)
		}
		return nil
	})
	return list, err
}
