package spool

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// outboxPrefix begins the keys of messages that wait for the broker.
const outboxPrefix = "o/"

// outboxGarbage is how many bytes of messages are written before the garbage of
// the older ones is collected: with a broker away for weeks nothing else may ask
// for it.
const outboxGarbage = 8 << 20

func messageKey(key string) []byte { return []byte(outboxPrefix + key) }

// KeptMessages returns the messages that wait for the broker, as KeepMessages
// took them, with spaces at the end of short ones.
func (s *Spool) KeptMessages() (map[string][]byte, error) {
	all := map[string][]byte{}
	err := s.db.View(func(txn *badger.Txn) error {
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

// KeepMessages writes and deletes messages that wait for the broker, in one
// synced transaction. A key has at most 100 bytes. A message that was deleted may
// be back after a salvage; whoever uses the outbox must know it.
func (s *Spool) KeepMessages(put map[string][]byte, gone []string) error {
	total := 0
	err := s.write(func(txn *badger.Txn) error {
		for _, k := range gone {
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
		return fmt.Errorf("keep %d messages: %w", len(put), err)
	}
	if s.outbox.Add(int64(total)) >= outboxGarbage {
		s.outbox.Store(0)
		s.wantCollect()
	}
	return nil
}
