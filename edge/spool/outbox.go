package spool

import (
	"fmt"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// outboxGarbage is how many bytes of messages are written between two garbage collections
// for them. While the broker is away for weeks, nothing else may ask for a collection.
const outboxGarbage = 8 << 20

// Outbox holds the messages that wait for the broker.
type Outbox struct {
	store *store
	// written counts the bytes of messages since the last collection for them.
	written atomic.Int64
}

// SavedMessages returns the waiting messages by key. Short ones have spaces added at their end.
func (o *Outbox) SavedMessages() (map[string][]byte, error) {
	all := map[string][]byte{}
	err := o.store.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(outboxPrefix)})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			b, err := it.Item().ValueCopy(nil)
			if err != nil {
				return fmt.Errorf("key %s: %w", it.Item().Key(), err)
			}
			all[string(it.Item().Key()[len(outboxPrefix):])] = b
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return all, nil
}

// SaveMessages writes put and deletes the keys in deleted, in one synced transaction. A key has
// at most 100 bytes. After a salvage a deleted message may be back, so its user must
// recognize it.
func (o *Outbox) SaveMessages(put map[string][]byte, deleted []string) error {
	total := 0
	err := o.store.write(func(txn *badger.Txn) error {
		for _, k := range deleted {
			if err := txn.Delete(messageKey(k)); err != nil {
				return err
			}
		}
		for k, b := range put {
			total += len(b)
			if err := txn.Set(messageKey(k), padded(b, ' ')); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save %d messages in the outbox: %w", len(put), err)
	}
	if o.written.Add(int64(total)) >= outboxGarbage {
		o.written.Store(0)
		o.store.requestCollection()
	}
	return nil
}
