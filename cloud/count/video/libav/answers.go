package libav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// answers answers the reads of a child whose clip is not a file.
type answers struct {
	conn    *os.File
	content io.ReaderAt
	size    int64
	reading atomic.Bool  // a read of content is running
	took    atomic.Int64 // nanoseconds of all reads of content
	done    chan struct{}
	fault   error // of content; valid after done
}

// mostRead is the largest read in bytes that a child may ask for.
const mostRead = 1 << 20

var errRequest = errors.New("the decoder asks for bytes outside the clip")

// answer begins to answer. The goroutine ends when the child ends, after its last read of content.
func answer(conn *os.File, content io.ReaderAt, size int64) *answers {
	a := &answers{conn: conn, content: content, size: size, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.fault = a.run()
		_ = a.conn.Close() // the child sees the end
	}()
	return a
}

// run returns the error of content, or nil when the child has ended.
func (a *answers) run() error {
	var request [16]byte
	buffer := make([]byte, 8+mostRead)
	for {
		if _, err := io.ReadFull(a.conn, request[:]); err != nil {
			return nil
		}
		at, n := binary.LittleEndian.Uint64(request[:]), binary.LittleEndian.Uint64(request[8:])
		if at > uint64(a.size) || n > mostRead {
			return errRequest
		}
		b := buffer[:8+min(int64(n), a.size-int64(at))]
		a.reading.Store(true)
		began := time.Now()
		got, err := a.content.ReadAt(b[8:], int64(at))
		a.took.Add(int64(time.Since(began)))
		a.reading.Store(false)
		if err != nil && !(errors.Is(err, io.EOF) && got > 0) {
			return fmt.Errorf("read the clip at byte %d: %w", at, err)
		}
		binary.LittleEndian.PutUint64(b, uint64(got))
		if _, err := a.conn.Write(b[:8+got]); err != nil {
			return nil
		}
	}
}

// waiting reports whether the child waits for content.
func (a *answers) waiting() bool { return a != nil && a.reading.Load() }

// spent is the time of all reads of content.
func (a *answers) spent() time.Duration {
	if a == nil {
		return 0
	}
	return time.Duration(a.took.Load())
}

// err returns the error of content after the child has ended.
func (a *answers) err() error {
	if a == nil {
		return nil
	}
	<-a.done
	return a.fault
}

// close waits for the running read.
func (a *answers) close() {
	_ = a.conn.Close() // wakes the goroutine; it may have closed it
	<-a.done
}
