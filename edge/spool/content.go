package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"cattlecounter/shared/footage"
)

// Content is the chunks and manifests of all footage.
type Content struct {
	store   *store
	records *Records
	disk    *Disk
}

// PutChunk stores one chunk durably. A chunk that is stored already, with the same digest,
// is not written again; so reading continues after a crash. The error wraps ErrNoSpace when
// the chunk does not fit; then nothing was written.
func (c *Content) PutChunk(id footage.ID, p Part, ch footage.Chunk, data []byte) error {
	key := chunkKey(id, p, ch.Index)
	defer c.store.resident.count(len(data))
	if old, err := c.readChunk(key, ch, nil); err == nil && footage.Sum(old) == ch.SHA256 {
		return nil
	}
	if err := c.disk.MakeRoom(int64(len(data))); err != nil {
		return fmt.Errorf("spool chunk %d of %s: %w", ch.Index, id, err)
	}
	if len(data) < valueThreshold {
		data = padded(bytes.Clone(data), 0)
	}
	if err := c.store.write(func(txn *badger.Txn) error { return txn.Set(key, data) }); err != nil {
		return fmt.Errorf("spool chunk %d of %s: %w", ch.Index, id, err)
	}
	return nil
}

// Chunk returns a chunk, in buf where it fits. The error wraps ErrDamaged when the chunk is
// missing or has another digest than its manifest names.
func (c *Content) Chunk(id footage.ID, p Part, ch footage.Chunk, buf []byte) ([]byte, error) {
	b, err := c.readChunk(chunkKey(id, p, ch.Index), ch, buf)
	c.store.resident.count(len(b))
	if err != nil {
		return nil, fmt.Errorf("spool chunk %d of %s: %w: %w", ch.Index, id, err, ErrDamaged)
	}
	if footage.Sum(b) != ch.SHA256 {
		return nil, fmt.Errorf("spool chunk %d of %s has another digest: %w", ch.Index, id, ErrDamaged)
	}
	return b, nil
}

// readChunk reads a chunk without its padding.
func (c *Content) readChunk(key []byte, ch footage.Chunk, buf []byte) ([]byte, error) {
	b, err := c.store.readRaw(key, buf)
	return b[:min(int64(len(b)), ch.Size)], err
}

// Manifest returns the manifest of spooled footage. The error wraps ErrNotFound when there
// is none, and ErrDamaged when it cannot be decoded.
func (c *Content) Manifest(id footage.ID) (footage.Manifest, error) {
	b, err := c.store.readRaw(manifestKey(id), nil)
	if errors.Is(err, badger.ErrKeyNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return footage.Manifest{}, fmt.Errorf("manifest of %s: %w", id, err)
	}
	m, err := footage.DecodeManifest(b)
	if err != nil {
		return footage.Manifest{}, fmt.Errorf("footage %s: %w: %w", id, err, ErrDamaged)
	}
	return m, nil
}

// Verify compares every chunk with the manifest. The error wraps ErrDamaged when one differs.
func (c *Content) Verify(ctx context.Context, id footage.ID) error {
	if _, err := c.Manifest(id); err != nil {
		return err
	}
	f, err := c.Check(ctx, id)
	if err == nil && f != nil {
		err = fmt.Errorf("%d of %d chunks: %s: %w", f.Damaged, f.Chunks, f.Detail, ErrDamaged)
	}
	return err
}

// Fault is the damage to the content of one piece of footage.
type Fault struct {
	Footage footage.ID `json:"footage"`
	Name    string     `json:"name"`
	State   State      `json:"state"`
	Chunks  int        `json:"chunks"`  // in the manifest, 0 without one
	Damaged int        `json:"damaged"` // of Chunks: missing or with another digest
	Detail  string     `json:"detail"`  // the first damage
}

// Check compares every chunk of a piece of footage with its manifest. It returns nil when
// all chunks are right, and for footage that needs no content yet.
func (c *Content) Check(ctx context.Context, id footage.ID) (*Fault, error) {
	r, ok := c.records.Get(id)
	if !ok {
		return nil, fmt.Errorf("footage %s: %w", id, ErrNotFound)
	}
	m, err := c.Manifest(id)
	if err != nil {
		if !r.State.HasContent() {
			return nil, nil
		}
		return &Fault{Footage: id, Name: footage.SafeName(r.Name), State: r.State, Detail: err.Error()}, nil
	}
	var buf []byte
	return checkChunks(ctx, &r, m, func(p Part, ch footage.Chunk) (err error) {
		buf, err = c.Chunk(id, p, ch, buf)
		return err
	})
}

// checkChunks calls check for every chunk of a manifest, except the thumbnail's: a damaged
// thumbnail is left out of the upload, and the video is not read again for it.
func checkChunks(ctx context.Context, r *Record, m footage.Manifest, check func(Part, footage.Chunk) error,
) (*Fault, error) {
	f := Fault{Footage: r.ID, Name: footage.SafeName(r.Name), State: r.State}
	for p, file := range map[Part]*footage.File{Video: &m.Video, Telemetry: m.Telemetry} {
		if file == nil {
			continue
		}
		f.Chunks += len(file.Chunks)
		for _, c := range file.Chunks {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			err := check(p, c)
			if err == nil {
				continue
			}
			if f.Damaged++; f.Detail == "" {
				f.Detail = err.Error()
			}
		}
	}
	if f.Damaged == 0 {
		return nil, nil
	}
	return &f, nil
}
