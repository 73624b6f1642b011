package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// Filling is a file of the cache that may still be on its way. What ReadAt gives before
// Wait has returned is as it came: its digest is not known yet. It is safe for concurrent
// use and needs Close.
type Filling struct {
	c    *Cache
	want Want
	f    *os.File // locked
	stop context.CancelFunc
	done chan struct{} // closed when all is there, or will never be

	open func(context.Context, int64) (io.ReadCloser, error)

	mu     sync.Mutex
	have   int64         // bytes from the beginning
	next   int64         // have, and what is being written
	tail   int64         // from here on all is there as well
	ahead  *ahead        // what fetches the tail
	misled bool          // the tail was not what came in its turn
	more   chan struct{} // closed, and made anew, when have grows or tail comes
	path   string        // once all of it is there and has the digest
	err    error         // why it will never be
}

// ahead is a download of the end of a file, before its turn.
type ahead struct {
	from int64
	stop context.CancelFunc
	done chan struct{}
}

// end returns when nothing of it is written any more.
func (a *ahead) end() {
	if a != nil {
		a.stop()
		<-a.done
	}
}

// Begin is Get without the wait: the content comes while the caller goes on. It ends with
// ctx and with Close.
func (c *Cache) Begin(ctx context.Context, w Want, open func(ctx context.Context, from int64) (io.ReadCloser, error)) (*Filling, error) {
	l := &Filling{c: c, want: w, open: open, tail: w.Size, more: make(chan struct{}), done: make(chan struct{}), stop: func() {}}
	err := os.MkdirAll(c.o.Dir, 0o750)
	if err == nil {
		l.path, l.f, err = c.find(ctx, w)
	}
	switch {
	case err == nil && l.f != nil:
		l.have, l.next = w.Size, w.Size
		close(l.done)
		return l, nil
	case err == nil:
		l.f, err = c.create(w)
	}
	if err != nil {
		return nil, fmt.Errorf("cache %s: %w", c.o.Dir, err)
	}
	ctx, l.stop = context.WithCancel(ctx)
	go l.run(ctx)
	return l, nil
}

func (l *Filling) run(ctx context.Context) {
	defer close(l.done)
	path := strings.TrimSuffix(l.f.Name(), part)
	err := l.fill(ctx)
	if err == nil {
		err = os.Rename(l.f.Name(), path) // the lock is the file's, whatever its name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err = fmt.Errorf("cache %s: %w", l.c.o.Dir, errors.Join(noSpace(err), os.Remove(l.f.Name())))
		return
	}
	l.path = path
}

func (l *Filling) fill(ctx context.Context) error {
	if err := l.c.reserve(l.f, l.want.Size); err != nil {
		return err
	}
	r, err := l.open(ctx, 0)
	if err != nil {
		return err
	}
	got, n, err := copySum(ctx, told{l}, io.LimitReader(r, l.want.Size+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != l.want.Size || got != l.want.Digest {
		return fmt.Errorf("%w: %d bytes with sha256 %s, not %d with %s", ErrContent, n, got, l.want.Size, l.want.Digest)
	}
	return nil
}

// told writes and tells those who wait for what was written.
type told struct{ l *Filling }

func (t told) Write(b []byte) (int, error) {
	t.l.mu.Lock()
	at := t.l.next
	t.l.next += int64(len(b))
	a := t.l.ahead
	t.l.mu.Unlock()
	if a != nil && at+int64(len(b)) > a.from {
		a.end() // what is written last is what has the digest
		t.l.compare(b[max(0, a.from-at):], max(a.from, at))
	}
	n, err := t.l.f.Write(b)
	t.l.tell(func() { t.l.have = min(t.l.have+int64(n), t.l.want.Size) })
	return n, err
}

// compare notes when other bytes were given out at a place than come there now.
func (l *Filling) compare(b []byte, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at < l.tail || l.misled {
		return
	}
	was := make([]byte, len(b))
	_, err := l.f.ReadAt(was, at)
	l.misled = err != nil || !bytes.Equal(was, b)
}

// Misled reports, when Wait has returned, whether readers may have got other bytes than
// the file has.
func (l *Filling) Misled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.misled
}

func (l *Filling) tell(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.more)
	l.more = make(chan struct{})
}

// Ahead fetches what stands from a byte on at once, beside the rest and once more in its
// turn, so it is for little. It is for after a first read, and works once. When it fails,
// reads wait for that turn.
func (l *Filling) Ahead(ctx context.Context, from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from < l.next || from >= l.want.Size || l.ahead != nil {
		return
	}
	a := &ahead{from: from, done: make(chan struct{})}
	ctx, a.stop = context.WithCancel(ctx)
	l.ahead = a
	go func() {
		defer close(a.done)
		if err := l.fetchTail(ctx, from); err != nil && ctx.Err() == nil {
			l.c.o.Log.Warn("the end of footage does not come before its turn", "file", l.f.Name(), "err", err)
		}
	}()
}

func (l *Filling) fetchTail(ctx context.Context, from int64) error {
	r, err := l.open(ctx, from)
	if err != nil {
		return err
	}
	_, n, err := copySum(ctx, io.NewOffsetWriter(l.f, from), io.LimitReader(r, l.want.Size-from))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != l.want.Size-from {
		return fmt.Errorf("%w: it ends at byte %d of %d", ErrContent, from+n, l.want.Size)
	}
	l.tell(func() { l.tail = from })
	return nil
}

// ReadAt implements io.ReaderAt. It waits for bytes that are on their way, and fails
// when they will never come, or with Close.
func (l *Filling) ReadAt(b []byte, at int64) (int, error) {
	end := min(at+int64(len(b)), l.want.Size)
	if at < 0 || at >= end {
		return 0, io.EOF
	}
	for {
		l.mu.Lock()
		have, tail, more, err := l.have, l.tail, l.more, l.err
		l.mu.Unlock()
		switch {
		case have >= end, at >= tail, have >= tail:
			n, err := l.f.ReadAt(b[:end-at], at)
			if err == nil && n < len(b) {
				err = io.EOF
			}
			return n, err
		case err != nil:
			return 0, err
		}
		select {
		case <-more:
		case <-l.done: // all is here, or err says why not
		}
	}
}

// Wait returns the file's path once all of it is there and has the digest; it stays until
// Close. Errors are those of Get.
func (l *Filling) Wait(ctx context.Context) (string, error) {
	select {
	case <-l.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.path, l.err
}

// Close ends what is on its way, and lets the file go. Reads fail then.
func (l *Filling) Close() {
	l.stop()
	<-l.done
	l.mu.Lock()
	a := l.ahead
	l.mu.Unlock()
	a.end()
	if l.path != "" {
		touch(l.path)
	}
	_ = l.f.Close() // and so let go of
	if err := l.c.trim(); err != nil {
		l.c.o.Log.Warn("cache not cleared up", "dir", l.c.o.Dir, "err", err)
	}
}
