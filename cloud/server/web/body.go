package web

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// readAhead bounds how much of a body fasthttp may have read before the handler runs.
const readAhead = 64 << 10

// deadliner is the part of a connection that a body needs.
type deadliner interface{ SetReadDeadline(time.Time) error }

// body is a request body as a stream off the connection. One goroutine at a
// time reads; Close, interrupt and finish may come from any other.
type body struct {
	src    io.Reader
	conn   deadliner
	idle   time.Duration
	length int64       // declared, or -1 for chunked
	cut    func() bool // whether the client's direction has ended
	count  func(int)   // called with the bytes of every read; may be nil
	until  time.Time   // when the whole body must be there; zero for a stream of any length

	read   int64
	end    error // of the last Read, io.EOF for a whole body
	beyond bool  // a part of the next request was read ahead, and is lost

	reading sync.Mutex // held by Read
	mu      sync.Mutex
	closed  error // why no further read may begin
}

// Read waits at most the idle time for the next bytes. It returns io.EOF only after the
// whole body, io.ErrUnexpectedEOF when the client disconnected, and an error with
// Timeout() true when no bytes came.
func (b *body) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.end != nil {
		return 0, b.end
	}
	if b.length >= 0 {
		left := b.length - b.read
		if left == 0 {
			b.end = io.EOF
			return 0, io.EOF
		}
		p = p[:min(int64(len(p)), left)]
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := b.extendDeadline(); err != nil {
		return 0, err
	}
	n, err := b.readSource(p)
	b.read += int64(n)
	if b.count != nil {
		b.count(n)
	}
	b.end = b.bodyEnd(err)
	return n, b.end
}

// readSource reads from fasthttp's stream. fasthttp may have read ahead, beyond this body
// into a pipelined request, and its stream returns those bytes to a read that has room
// for them. A read that may be the last one in that region therefore asks for one byte
// more than it needs.
func (b *body) readSource(p []byte) (int, error) {
	if b.length < 0 || b.length-b.read > int64(len(p)) || b.read >= readAhead {
		return b.src.Read(p)
	}
	one := make([]byte, len(p)+1)
	n, err := b.src.Read(one)
	if n > len(p) {
		n, b.beyond = len(p), true
	}
	return copy(p, one[:n]), err
}

// extendDeadline sets the deadline of the next read. It holds the lock, so that it never
// overwrites an interrupt.
func (b *body) extendDeadline() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return b.closed
	}
	deadline := time.Now().Add(b.idle)
	if !b.until.IsZero() && b.until.Before(deadline) {
		deadline = b.until
	}
	return b.conn.SetReadDeadline(deadline)
}

// bodyEnd distinguishes a whole body from a cut one: fasthttp reports both as io.EOF.
func (b *body) bodyEnd(err error) error {
	whole := b.length >= 0 && b.read == b.length
	switch {
	case whole && (err == nil || errors.Is(err, io.EOF)):
		return io.EOF
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) && (b.length >= 0 || b.cut()):
		return io.ErrUnexpectedEOF
	case errors.Is(err, io.EOF):
		return io.EOF
	}
	return err
}

// setReadDeadline serves http.ResponseController. A time in the past ends the running
// read and every later one. A time in the future changes nothing, since every read sets
// its own.
func (b *body) setReadDeadline(t time.Time) error {
	if t.IsZero() || time.Until(t) > 0 {
		return nil
	}
	return b.interrupt(os.ErrDeadlineExceeded)
}

func (b *body) interrupt(why error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed == nil {
		b.closed = why
	}
	return b.conn.SetReadDeadline(time.Unix(1, 0))
}

// Close implements io.Closer: it ends a running read, and later reads fail.
func (b *body) Close() error { return b.interrupt(http.ErrBodyReadAfterClose) }

// finish ends the body. fasthttp reuses its stream when the handler has returned, so a
// read that a goroutine of the handler left running is interrupted and waited for. A read
// that has not begun fails.
func (b *body) finish() {
	b.mu.Lock()
	if b.closed == nil {
		b.closed = http.ErrBodyReadAfterClose
	}
	b.mu.Unlock()
	if !b.reading.TryLock() {
		_ = b.conn.SetReadDeadline(time.Unix(1, 0)) // it fails only on a closed connection
		b.reading.Lock()
	}
	b.reading.Unlock()
}

// drained reports whether the next byte of the connection is the next request. A whole
// body of known length counts even when its end was not read. Call it after finish.
func (b *body) drained() bool {
	if b.length < 0 {
		return errors.Is(b.end, io.EOF)
	}
	if b.read < b.length {
		return false
	}
	return !b.beyond
}
