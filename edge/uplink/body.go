package uplink

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// idleReader tells the idle timer about every byte that moves. After Close it
// reads nothing more: the transport may still ask when the request has failed.
type idleReader struct {
	idle  time.Duration
	timer *time.Timer

	mu     sync.Mutex
	body   io.Reader
	closed bool
	err    error
}

// Read implements io.Reader.
func (r *idleReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := r.body.Read(b)
	if n > 0 {
		r.timer.Reset(r.idle)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Close implements io.Closer. When it returns no Read is at work.
func (r *idleReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

// failed returns the fault of the body itself, nil when it had none.
func (r *idleReader) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// chunkReader streams a file from the spool. One chunk is in memory.
type chunkReader struct {
	ctx    context.Context
	spool  store
	id     footage.ID
	part   spool.Part
	file   *footage.File
	at     int64 // offset of the next byte
	limit  *throttle
	budget *Budget
	moved  func(at int64)
	index  int // of the chunk in chunk, -1 for none
	chunk  []byte
	buffer []byte
}

// Read implements io.Reader.
func (r *chunkReader) Read(b []byte) (int, error) {
	if r.at >= r.file.Size {
		return 0, io.EOF
	}
	if i := int(r.at / footage.ChunkSize); i != r.index {
		c, err := r.spool.Chunk(r.id, r.part, r.file.Chunks[i], r.buffer)
		if err != nil {
			return 0, err
		}
		r.chunk, r.buffer, r.index = c, c, i
	}
	rest := r.chunk[r.at%footage.ChunkSize:]
	n, err := r.budget.body(min(len(b), len(rest), r.limit.most()))
	if err != nil {
		return 0, err
	}
	if err := r.limit.wait(r.ctx, n); err != nil {
		return 0, err
	}
	copy(b, rest[:n])
	r.at += int64(n)
	r.moved(r.at)
	return n, nil
}
