package cardfile

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"syscall"

	"cattlecounter/shared/footage"
)

// ErrChanged means that a file was changed, replaced or removed while it was read.
var ErrChanged = errors.New("the file changed while it was read")

var errNotRegular = errors.New("not a regular file")

const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// stepSize is how many bytes one Step reads.
const stepSize = 4 << 20

// Reading computes the digest of a whole file in steps. Between two steps the caller may pause, so that the card stays
// free for others. It is used by one goroutine. Close it.
type Reading struct {
	path string
	f    *os.File
	stat Stat
	sum  hash.Hash
	at   int64
	buf  []byte
}

// Open begins to read a regular file. A link fails.
func Open(path string) (*Reading, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Reading{path: path, f: f, stat: StatOf(info), sum: sha256.New(),
		buf: make([]byte, min(stepSize, info.Size()+1))}, nil
}

// Stat is the condition of the file when it was opened.
func (r *Reading) Stat() Stat { return r.stat }

// Print returns the fingerprint of the open file.
func (r *Reading) Print() (footage.Digest, error) { return Print(r.f, r.stat.Size) }

// Step reads up to 4 MiB and reports whether that was the rest of the file. The error wraps ErrChanged for a file that
// is shorter or longer than it was.
func (r *Reading) Step(ctx context.Context) (done bool, err error) {
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	n, err := io.ReadFull(r.f, r.buf)
	r.sum.Write(r.buf[:n])
	r.at += int64(n)
	switch {
	case r.at > r.stat.Size:
		return false, fmt.Errorf("%s is longer than %d bytes: %w", footage.SafePath(r.path), r.stat.Size, ErrChanged)
	case err == nil:
		return false, nil
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, fmt.Errorf("read %s: %w", footage.SafePath(r.path), err)
	case r.at < r.stat.Size:
		return false, fmt.Errorf("%s ends %d bytes early: %w", footage.SafePath(r.path), r.stat.Size-r.at, ErrChanged)
	}
	return true, nil
}

// Digest is the digest of what was read.
func (r *Reading) Digest() footage.Digest { return footage.Digest(r.sum.Sum(nil)) }

// Unchanged returns nil while the open file and the file under its path are what Open opened. Inode, size,
// modification time and change time are compared. A process that has the file open for writing counts as a change. The
// error wraps ErrChanged.
func (r *Reading) Unchanged() error {
	open, err := r.f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(r.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	if !named.Mode().IsRegular() || !StatOf(open).Equal(r.stat) || !StatOf(named).Equal(r.stat) {
		return fmt.Errorf("%s: %w", footage.SafePath(r.path), ErrChanged)
	}
	if HasWriter(r.f) {
		return fmt.Errorf("%s is open for writing: %w", footage.SafePath(r.path), ErrChanged)
	}
	return nil
}

// Close releases the file.
func (r *Reading) Close() error { return r.f.Close() }
