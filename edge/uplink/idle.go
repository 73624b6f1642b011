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

// checksPerTimeout is how often the connection is checked within the idle time-out.
const checksPerTimeout = 8

// idleReader is a request's body that cancels the request without progress for the idle
// time-out. Progress is a byte that is read, or that the other side's kernel acknowledges:
// this kernel buffers megabytes, for which a slow link needs minutes. After Close it reads
// nothing, because the transport may still read when the request has failed.
type idleReader struct {
	idle  time.Duration
	stop  context.CancelCauseFunc
	began time.Time
	last  atomic.Int64 // of the last progress, after began

	watching sync.Mutex
	timer    *time.Timer // nil after the watch
	conn     net.Conn    // nil before the connection
	acked    uint64

	mu     sync.Mutex
	body   io.Reader
	closed bool
	err    error
}

// newIdleReader watches from now until endWatch. stop cancels the request.
func newIdleReader(body io.Reader, idle time.Duration, stop context.CancelCauseFunc) *idleReader {
	r := &idleReader{body: body, idle: idle, stop: stop, began: time.Now()}
	r.watching.Lock()
	defer r.watching.Unlock()
	r.timer = time.AfterFunc(idle/checksPerTimeout, r.check)
	return r
}

// watchConn sets the connection of the request.
func (r *idleReader) watchConn(c net.Conn) {
	r.watching.Lock()
	defer r.watching.Unlock()
	r.conn, r.acked = c, acked(c)
}

func (r *idleReader) check() {
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
	r.timer.Reset(min(r.idle/checksPerTimeout, r.idle-still))
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

// Close implements io.Closer. No Read runs after it.
func (r *idleReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

// endWatch ends the watch. A second call does nothing.
func (r *idleReader) endWatch() {
	r.watching.Lock()
	defer r.watching.Unlock()
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

// readError returns the error of the body itself, nil without one.
func (r *idleReader) readError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
