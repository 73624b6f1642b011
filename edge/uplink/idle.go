package uplink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// looks is how often within the idle time-out the connection is looked at.
const looks = 8

// idleReader is a request's body that ends the request when no byte moves for
// the idle time-out. A byte moves when it is read, and when the other side's
// kernel confirms it: the kernel here takes megabytes at once, which a slow link
// needs minutes for. After Close it reads nothing more: the transport may still
// ask when the request has failed.
type idleReader struct {
	idle  time.Duration
	stop  context.CancelCauseFunc
	began time.Time
	last  atomic.Int64 // when a byte moved, after began

	watching sync.Mutex
	timer    *time.Timer // nil when it is over
	conn     net.Conn    // nil until there is one
	acked    uint64

	mu     sync.Mutex
	body   io.Reader
	closed bool
	err    error
}

// newIdleReader watches from now on until over; stop ends the request.
func newIdleReader(body io.Reader, idle time.Duration, stop context.CancelCauseFunc) *idleReader {
	r := &idleReader{body: body, idle: idle, stop: stop, began: time.Now()}
	r.watching.Lock()
	defer r.watching.Unlock()
	r.timer = time.AfterFunc(idle/looks, r.look)
	return r
}

// on names the connection that the body goes over.
func (r *idleReader) on(c net.Conn) {
	r.watching.Lock()
	defer r.watching.Unlock()
	r.conn, r.acked = c, acked(c)
}

func (r *idleReader) look() {
	r.watching.Lock()
	defer r.watching.Unlock()
	if r.timer == nil {
		return
	}
	if r.conn != nil {
		if now := acked(r.conn); now > r.acked {
			r.acked = now
			r.moved()
		}
	}
	still := time.Since(r.began) - time.Duration(r.last.Load())
	if still >= r.idle {
		r.stop(fmt.Errorf("%w for %s", errStalled, r.idle))
		return
	}
	r.timer.Reset(min(r.idle/looks, r.idle-still))
}

func (r *idleReader) moved() { r.last.Store(int64(time.Since(r.began))) }

// Read implements io.Reader.
func (r *idleReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := r.body.Read(b)
	if n > 0 {
		r.moved()
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

// over ends the watch; a second call does nothing.
func (r *idleReader) over() {
	r.watching.Lock()
	defer r.watching.Unlock()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// failed returns the fault of the body itself, nil when it had none.
func (r *idleReader) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
