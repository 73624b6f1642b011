package intake

import (
	"io"
	"sync/atomic"
	"time"
)

const (
	pumpBuffer = 256 << 10
	pumpCount  = 4 // some are filled while another is hashed and written
	// readGrace is how long close waits for a running Read.
	readGrace = 250 * time.Millisecond
	// interruptGrace is the same for a Read that was interrupted and will return.
	interruptGrace = 10 * time.Second
)

// pump reads a request body in a goroutine, so that reading and writing overlap and a
// Read on a dead connection blocks no other request: Read returns io.EOF as soon as stop
// is closed. It uses pumpCount buffers.
//
// The goroutine ends when its Read returns. A body whose Read cannot be interrupted may
// be read for a while after the answer, at the latest until its connection is closed.
type pump struct {
	stop <-chan struct{}
	quit chan struct{}
	done chan struct{}
	full chan piece
	free chan []byte

	now     piece
	rest    []byte // of now, not yet read
	ended   error
	stopped atomic.Bool
}

type piece struct {
	buf []byte
	n   int
	err error
}

func newPump(src io.Reader, stop <-chan struct{}) *pump {
	p := &pump{
		stop: stop, quit: make(chan struct{}), done: make(chan struct{}),
		full: make(chan piece, pumpCount), free: make(chan []byte, pumpCount),
	}
	for range pumpCount {
		p.free <- make([]byte, pumpBuffer)
	}
	go p.run(src)
	return p
}

func (p *pump) run(src io.Reader) {
	defer close(p.done)
	for {
		var buf []byte
		select {
		case <-p.quit:
			return
		case buf = <-p.free:
		}
		select {
		case <-p.quit: // both were ready: no Read may begin after close
			return
		default:
		}
		n, err := src.Read(buf)
		p.full <- piece{buf, n, err} // never blocks: there is room for every buffer
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader for one goroutine.
func (p *pump) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.now.buf != nil {
			p.free <- p.now.buf
			p.now = piece{}
		}
		if p.ended != nil {
			return 0, p.ended
		}
		if !p.next() {
			p.stopped.Store(true)
			p.ended = io.EOF
			continue
		}
		p.rest, p.ended = p.now.buf[:p.now.n], p.now.err
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// next returns bytes that have arrived before it looks at stop: they count.
func (p *pump) next() bool {
	select {
	case p.now = <-p.full:
		return true
	default:
	}
	select {
	case p.now = <-p.full:
		return true
	case <-p.stop:
		return false
	}
}

// close ends the pump. interrupt ends a running Read and reports whether the server can
// do that. After a stop it is called at once. Otherwise it is called only when the Read
// does not return by itself, so that a client that still sends gets the answer.
func (p *pump) close(interrupt func() bool) {
	close(p.quit)
	if !p.stopped.Load() && p.wait(readGrace) {
		return
	}
	limit := readGrace
	if interrupt() {
		limit = interruptGrace
	}
	p.wait(limit)
}

// wait reports whether the goroutine ends within limit.
func (p *pump) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}
