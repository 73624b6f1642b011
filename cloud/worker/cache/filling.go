package cache

import (
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

	mu   sync.Mutex
	have int64         // bytes from the beginning
	more chan struct{} // closed, and made anew, when have grows
	path string        // once all of it is there and has the digest
	err  error         // why it will never be
}

// Begin is Get without the wait: the content comes while the caller goes on. It ends with
// ctx and with Close.
func (c *Cache) Begin(ctx context.Context, w Want, open func(context.Context) (io.ReadCloser, error)) (*Filling, error) {
	l := &Filling{c: c, want: w, more: make(chan struct{}), done: make(chan struct{}), stop: func() {}}
	err := os.MkdirAll(c.o.Dir, 0o750)
	if err == nil {
		l.path, l.f, err = c.find(ctx, w)
	}
	switch {
	case err == nil && l.f != nil:
		l.have = w.Size
		close(l.done)
		return l, nil
	case err == nil:
		l.f, err = c.create(w)
	}
	if err != nil {
		return nil, fmt.Errorf("cache %s: %w", c.o.Dir, err)
	}
	ctx, l.stop = context.WithCancel(ctx)
	go l.run(ctx, open)
	return l, nil
}

func (l *Filling) run(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) {
	defer close(l.done)
	path := strings.TrimSuffix(l.f.Name(), part)
	err := l.fill(ctx, open)
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

func (l *Filling) fill(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) error {
	if err := l.c.reserve(l.f, l.want.Size); err != nil {
		return err
	}
	r, err := open(ctx)
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
	n, err := t.l.f.Write(b)
	t.l.mu.Lock()
	defer t.l.mu.Unlock()
	t.l.have = min(t.l.have+int64(n), t.l.want.Size)
	close(t.l.more)
	t.l.more = make(chan struct{})
	return n, err
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
		have, more, err := l.have, l.more, l.err
		l.mu.Unlock()
		switch {
		case have >= end:
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
	if l.path != "" {
		touch(l.path)
	}
	_ = l.f.Close() // and so let go of
	if err := l.c.trim(); err != nil {
		l.c.o.Log.Warn("cache not cleared up", "dir", l.c.o.Dir, "err", err)
	}
}
