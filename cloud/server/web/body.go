package web

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// readAhead bounds what fasthttp may have read of a body before the handler.
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
	count  func(int)   // told about every read; may be nil

	read   int64
	end    error // what the last Read met, io.EOF for a whole body
	beyond bool  // a part of the next request was read ahead, and is lost

	reading sync.Mutex // held by Read
	mu      sync.Mutex
	closed  error // why no further read may begin
}

// Read waits at most the idle time for the next bytes. It returns io.EOF only
// when the whole body came, io.ErrUnexpectedEOF when the client went away, and
// an error with Timeout() true when it stood still.
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
	if err := b.arm(); err != nil {
		return 0, err
	}
	n, err := b.take(p)
	b.read += int64(n)
	if b.count != nil {
		b.count(n)
	}
	b.end = b.verdict(err)
	return n, b.end
}

// take reads from fasthttp's stream. What fasthttp read ahead may go beyond this
// body into a pipelined request, and its stream hands that out like the body,
// but only to a read that has room for it. A read that may be the last one in
// that region therefore asks for one byte more than it wants.
func (b *body) take(p []byte) (int, error) {
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

// arm gives the coming read its deadline. It happens under the lock so that an
// interrupt is never overwritten.
func (b *body) arm() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return b.closed
	}
	return b.conn.SetReadDeadline(time.Now().Add(b.idle))
}

// verdict tells a whole body from a cut one: fasthttp reports both as io.EOF.
func (b *body) verdict(err error) error {
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

// setReadDeadline serves http.ResponseController. A time in the past ends the
// read under way and every later one; a time in the future changes nothing,
// since every read sets its own.
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

// Close implements io.Closer: no later read gets anything, one under way ends.
func (b *body) Close() error { return b.interrupt(http.ErrBodyReadAfterClose) }

// finish ends the body for good. fasthttp takes its stream back once the
// handler has returned, so a read that a goroutine of the handler left under
// way is interrupted and waited for; one that has not begun gets an error.
func (b *body) finish() {
	b.mu.Lock()
	if b.closed == nil {
		b.closed = http.ErrBodyReadAfterClose
	}
	b.mu.Unlock()
	if !b.reading.TryLock() {
		_ = b.conn.SetReadDeadline(time.Unix(1, 0)) // a connection without deadlines is a closed one
		b.reading.Lock()
	}
	b.reading.Unlock()
}

// drained reports whether the connection stands exactly at the next request. A
// whole body of known length counts also when nobody asked for its end. Call it
// after finish.
func (b *body) drained() bool {
	if b.length < 0 {
		return errors.Is(b.end, io.EOF)
	}
	if b.read < b.length {
		return false
	}
	return !b.beyond
}
