package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/topic"
)

// maxReplies bounds the commands that are recognized when they arrive a second time.
const maxReplies = 500

// Replies are the stored answers to commands.
type Replies struct{ store *store }

// Reply is the answer to a command. It is stored, so that a command that arrives a second
// time gets the same answer.
type Reply struct {
	ID    string           `json:"id"`
	Name  string           `json:"name"`
	State topic.ReplyState `json:"state"`
	Why   string           `json:"why,omitempty"`
	Seq   int64            `json:"seq"`
}

// newestOrder is when the newest order was given that a key has signed.
type newestOrder struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// NewestOrder returns when the newest order was given that a key has signed, the zero time without any.
func (s *Replies) NewestOrder(key string) (time.Time, error) {
	var n newestOrder
	if err := s.store.readSetting(newestKey, "newest order", &n); err != nil || n.Key != key {
		return time.Time{}, err
	}
	return n.At, nil
}

// SetNewestOrder saves when the newest order of a key was given, durably. It forgets other keys.
func (s *Replies) SetNewestOrder(key string, at time.Time) error {
	return s.store.saveSetting(newestKey, "newest order", newestOrder{key, at.UTC()})
}

// OrderPin is the key that orders must be signed with, after rotations.
type OrderPin struct {
	From string `json:"from"` // the key and the enrolment of the configuration from which the rotations led
	Key  string `json:"key"`  // where they led
}

// OrderPin returns the pinned key of orders, the zero value when the key of the configuration is the pinned one.
func (s *Replies) OrderPin() (OrderPin, error) {
	var p OrderPin
	err := s.store.readSetting(orderPinKey, "key of orders", &p)
	return p, err
}

// SetOrderPin saves the pinned key of orders durably. With it the newest order of the key before becomes that of the new
// key, so that an older order is refused by either. before and now are the ids of the keys, "" when the pin is only forgotten.
func (s *Replies) SetOrderPin(p OrderPin, before, now string) error {
	err := s.store.write(func(txn *badger.Txn) error {
		var n newestOrder
		if err := getJSON(txn, newestKey, &n); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if n.Key == before && before != "" {
			n.Key = now
			if err := setJSON(txn, newestKey, n); err != nil {
				return err
			}
		}
		return setJSON(txn, orderPinKey, p)
	})
	if err != nil {
		return fmt.Errorf("save key of orders: %w", err)
	}
	return nil
}

// Get returns the answer to a command. The error wraps ErrNotFound for an unknown command.
func (s *Replies) Get(id string) (Reply, error) {
	var r Reply
	if err := s.store.readJSON(replyKey(id), &r); err != nil {
		return Reply{}, fmt.Errorf("reply to %s: %w", id, err)
	}
	return r, nil
}

// Put saves an answer durably and deletes the oldest one beyond 500.
func (s *Replies) Put(r Reply) error {
	all, err := s.All()
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
	err = s.store.write(func(txn *badger.Txn) error {
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

// All returns every stored answer.
func (s *Replies) All() ([]Reply, error) {
	var list []Reply
	err := s.store.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(replyPrefix), PrefetchValues: true, PrefetchSize: 100})
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
