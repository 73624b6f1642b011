package intake

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

// rolling is the SHA-256 of the first offset bytes of an upload.
type rolling struct {
	offset int64
	sum    hash.Hash
}

func newRolling() *rolling { return &rolling{sum: sha256.New()} }

// restore takes up a state that state made. A damaged one begins anew: the
// bytes are there to be read again.
func restore(offset int64, state []byte) *rolling {
	r := newRolling()
	if offset == 0 || len(state) == 0 {
		return r
	}
	if err := r.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		return newRolling()
	}
	r.offset = offset
	return r
}

func (r *rolling) state() ([]byte, error) {
	b, err := r.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("hash state: %w", err)
	}
	return b, nil
}

func (r *rolling) Write(b []byte) (int, error) {
	r.offset += int64(len(b))
	return r.sum.Write(b)
}

func (r *rolling) digest() (d footage.Digest) {
	r.sum.Sum(d[:0])
	return d
}

// maxRollings bounds the hashes kept between requests; each is some 200 bytes.
const maxRollings = 1024

// rollings keeps hashes between the requests of an upload, so that small
// pieces do not each cost a write to the ledger. Losing one costs reading a
// part of the upload again, nothing else.
type rollings struct {
	mu   sync.Mutex
	byID map[string]*rolling
}

// take removes the hash of an upload: its taker alone uses it.
func (c *rollings) take(id string) *rolling {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.byID[id]
	delete(c.byID, id)
	return r
}

func (c *rollings) put(id string, r *rolling) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= maxRollings {
		for other := range c.byID { // any one
			delete(c.byID, other)
			break
		}
	}
	c.byID[id] = r
}

// hashAt returns the hash of the first offset bytes of an upload: the one in
// memory, or the saved one and the bytes after it read again.
func (in *Intake) hashAt(ctx context.Context, u ledger.Upload, offset int64) (*rolling, error) {
	if r := in.rollings.take(u.ID); r != nil && r.offset == offset {
		return r, nil
	}
	r := restore(u.Offset, u.HashState)
	if r.offset > offset {
		r = newRolling()
	}
	if r.offset == offset {
		return r, nil
	}
	gap := offset - r.offset
	src, err := in.blobs.OpenStaged(ctx, u.ID, r.offset, gap)
	if err != nil {
		return nil, fmt.Errorf("read upload %s again: %w", u.ID, err)
	}
	n, err := io.Copy(r, src)
	if err = errors.Join(err, src.Close()); err == nil && n != gap {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("read upload %s again: %w", u.ID, err)
	}
	return r, nil
}
