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

// Download is a file of the cache that may still be incomplete. ReadAt returns bytes as they arrived: their digest is
// checked only when Wait returns. A Download owns the goroutines that fill the file; Close ends them and waits for
// them. It is safe for concurrent use.
type Download struct {
	c    *Cache
	want Want
	f    *os.File // locked
	stop context.CancelFunc
	done chan struct{} // closed when the file is complete, or after a final error

	open func(context.Context, int64) (io.ReadCloser, error)

	mu       sync.Mutex
	have     int64         // bytes from the start that are in the file
	next     int64         // have, and the bytes that are being written
	tailFrom int64         // from this byte on the file is complete as well
	tail     *tailFetch    // nil before Prefetch
	misled   bool          // the prefetched tail differs from the file
	more     chan struct{} // closed and replaced when have grows or the tail arrives
	path     string        // set when the file is complete and has the digest
	err      error         // set after a final error
}

// tailFetch is a download of the end of a file, beside the download of the whole file.
type tailFetch struct {
	from int64
	stop context.CancelFunc
	done chan struct{}
}

// end stops the fetch and waits until it writes no more. A nil tailFetch is fine.
func (a *tailFetch) end() {
	if a != nil {
		a.stop()
		<-a.done
	}
}

// Begin is Get without the wait: the caller may read while the content arrives. The download ends with ctx, and with
// Close, which the caller must call.
func (c *Cache) Begin(ctx context.Context, w Want,
	open func(ctx context.Context, from int64) (io.ReadCloser, error)) (*Download, error) {
	d := &Download{c: c, want: w, open: open, tailFrom: w.Size, more: make(chan struct{}), done: make(chan struct{}),
		stop: func() {}}
	err := os.MkdirAll(c.o.Dir, 0o750)
	if err == nil {
		d.path, d.f, err = c.find(ctx, w)
	}
	switch {
	case err == nil && d.f != nil:
		d.have, d.next = w.Size, w.Size
		close(d.done)
		return d, nil
	case err == nil:
		d.f, err = c.create(w)
	}
	if err != nil {
		return nil, fmt.Errorf("cache %s: %w", c.o.Dir, err)
	}
	ctx, d.stop = context.WithCancel(ctx)
	go d.run(ctx)
	return d, nil
}

func (d *Download) run(ctx context.Context) {
	defer close(d.done)
	path := strings.TrimSuffix(d.f.Name(), part)
	err := d.fill(ctx)
	if err == nil {
		err = os.Rename(d.f.Name(), path) // the lock stays: it belongs to the file, not to its name
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.err = fmt.Errorf("cache %s: %w", d.c.o.Dir, errors.Join(noSpace(err), os.Remove(d.f.Name())))
		return
	}
	d.path = path
}

// fill downloads the whole file and checks its digest.
func (d *Download) fill(ctx context.Context) error {
	if err := d.c.reserve(d.f, d.want.Size); err != nil {
		return err
	}
	r, err := d.open(ctx, 0)
	if err != nil {
		return err
	}
	got, n, err := copySum(ctx, fileWriter{d}, io.LimitReader(r, d.want.Size+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != d.want.Size || got != d.want.Digest {
		return fmt.Errorf("%w: %d bytes with SHA-256 %s, want %d with %s", ErrContent, n, got, d.want.Size,
			d.want.Digest)
	}
	return nil
}

// fileWriter appends to the file and wakes the waiting readers.
type fileWriter struct{ d *Download }

func (w fileWriter) Write(b []byte) (int, error) {
	d := w.d
	d.mu.Lock()
	at := d.next
	d.next += int64(len(b))
	tail := d.tail
	d.mu.Unlock()
	if tail != nil && at+int64(len(b)) > tail.from {
		tail.end() // these bytes must be the last written ones: they count for the digest
		d.compareTail(b[max(0, tail.from-at):], max(tail.from, at))
	}
	n, err := d.f.Write(b)
	d.update(func() { d.have = min(d.have+int64(n), d.want.Size) })
	return n, err
}

// compareTail records whether the prefetched bytes at a place differ from the ones that belong there.
func (d *Download) compareTail(b []byte, at int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at < d.tailFrom || d.misled {
		return
	}
	prefetched := make([]byte, len(b))
	_, err := d.f.ReadAt(prefetched, at)
	d.misled = err != nil || !bytes.Equal(prefetched, b)
}

// Misled reports whether readers may have got bytes that differ from the file. Call it after Wait.
func (d *Download) Misled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.misled
}

// update changes the state and wakes the waiting readers.
func (d *Download) update(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	close(d.more)
	d.more = make(chan struct{})
}

// Prefetch downloads the bytes from an offset to the end now, beside the whole file. These bytes are downloaded twice,
// so the tail should be short. Only the first call after the first read has an effect. When the prefetch fails, reads
// wait for the download of the whole file.
func (d *Download) Prefetch(ctx context.Context, from int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if from < d.next || from >= d.want.Size || d.tail != nil {
		return
	}
	t := &tailFetch{from: from, done: make(chan struct{})}
	ctx, t.stop = context.WithCancel(ctx)
	d.tail = t
	go func() {
		defer close(t.done)
		if err := d.fetchTail(ctx, from); err != nil && ctx.Err() == nil {
			d.c.o.Log.Warn("cannot prefetch the end of footage; reads wait for the whole file", "file", d.f.Name(),
				"err", err)
		}
	}()
}

func (d *Download) fetchTail(ctx context.Context, from int64) error {
	r, err := d.open(ctx, from)
	if err != nil {
		return err
	}
	_, n, err := copySum(ctx, io.NewOffsetWriter(d.f, from), io.LimitReader(r, d.want.Size-from))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if n != d.want.Size-from {
		return fmt.Errorf("%w: the content ends at byte %d of %d", ErrContent, from+n, d.want.Size)
	}
	d.update(func() { d.tailFrom = from })
	return nil
}

// ReadAt implements io.ReaderAt. It waits for bytes that are still being downloaded, and fails after a final error of
// the download or after Close.
func (d *Download) ReadAt(b []byte, at int64) (int, error) {
	end := min(at+int64(len(b)), d.want.Size)
	if at < 0 || at >= end {
		return 0, io.EOF
	}
	for {
		d.mu.Lock()
		have, tailFrom, more, err := d.have, d.tailFrom, d.more, d.err
		d.mu.Unlock()
		switch {
		case have >= end, at >= tailFrom, have >= tailFrom:
			n, err := d.f.ReadAt(b[:end-at], at)
			if err == nil && n < len(b) {
				err = io.EOF
			}
			return n, err
		case err != nil:
			return 0, err
		}
		select {
		case <-more:
		case <-d.done: // now the file is complete, or err is set
		}
	}
}

// Wait returns the path of the complete file with the right digest. The file stays until Close. Errors are those of
// Get.
func (d *Download) Wait(ctx context.Context) (string, error) {
	select {
	case <-d.done:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.path, d.err
}

// Close ends the download, waits for its goroutines and unlocks the file. Reads fail afterwards.
func (d *Download) Close() {
	d.stop()
	<-d.done
	d.mu.Lock()
	tail := d.tail
	d.mu.Unlock()
	tail.end()
	if d.path != "" {
		markUsed(d.path)
	}
	_ = d.f.Close() // this unlocks the file
	if err := d.c.evict(); err != nil {
		d.c.o.Log.Warn("cannot evict files from the cache", "dir", d.c.o.Dir, "err", err)
	}
}
