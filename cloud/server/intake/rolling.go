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

// restore continues from a saved state. A damaged state gives a new hash: the bytes are
// stored and can be read again.
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

// maxRollings bounds the hashes in memory between requests; each has about 200 bytes.
const maxRollings = 1024

// rollings has the hashes between the requests of an upload, so that small requests do
// not each write to the ledger. When one is lost, a part of the upload is read again.
type rollings struct {
	mu   sync.Mutex
	byID map[string]*rolling
}

// remove returns the hash of an upload, nil without one, and forgets it.
func (c *rollings) remove(id string) *rolling {
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

// hashAt returns the hash of the first offset bytes of an upload: from memory, or from
// the saved state and the stored bytes after it.
func (in *Intake) hashAt(ctx context.Context, u ledger.Upload, offset int64) (*rolling, error) {
	if r := in.rollings.remove(u.ID); r != nil && r.offset == offset {
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
