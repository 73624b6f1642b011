// Package blob is the contract for the bytes that the cloud keeps: footage,
// results and sidecars. Back ends stand below it (blob/disk), and each of them
// passes the suite in blob/blobtest, which is this contract as code.
//
// Keys are paths such as footage/ID/thumbnail.jpg. What a method has reported as
// written survives a power cut; what it has not reported as written does not
// show, under any name. All methods are safe for concurrent use.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Classes of errors; compare with errors.Is. A canceled context comes back as
// its cause, everything else as a fault of the back end.
var (
	// ErrNotFound: no blob under this key, or nothing staged under this id.
	ErrNotFound = errors.New("no such blob")
	// ErrOffset: an append that does not start at the durable end, or a read that
	// starts beyond the end or before the start.
	ErrOffset = errors.New("offset does not fit")
	// ErrNoSpace: the back end is full or its quota is used up. Nothing that was
	// durable is lost; the same call works once there is space.
	ErrNoSpace = errors.New("no space left for blobs")
	// ErrUnreachable: the back end does not answer, or not now; the same call works once
	// it does.
	ErrUnreachable = errors.New("blob storage does not answer")
	// ErrTaken: another process has taken the staged upload over (Holder).
	ErrTaken = errors.New("another server has taken the upload over")
	// ErrChanged: the blob is not, or no longer, the version that Replace was given.
	ErrChanged = errors.New("blob was changed by another writer")
	// ErrKey: the key or the staging id is outside the rules of CheckKey.
	ErrKey = errors.New("not a blob key")
)

// Info describes one blob.
type Info struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // when its content last changed, by the back end's clock
	// Version changes with every write of the blob and does not come again: what
	// Replace compares. In a listing it may be "".
	Version string
}

// Store keeps whole blobs.
type Store interface {
	// Put stores everything r yields under key, over what was there. A reader
	// sees the old blob or the new one, whole. It is durable on return. When r
	// or ctx fails, Put fails with that error and the old blob stays.
	Put(ctx context.Context, key string, r io.Reader) (Info, error)
	// Replace is Put on the condition that the blob is still of the given version, as
	// Put, Stat or Replace told it; "" stands for no blob. Otherwise it fails with
	// ErrChanged and changes nothing. Of several calls at once with one version, in
	// whatever processes, one gets through. A call whose answer is lost on the way may
	// have done it and yet fail, also with ErrChanged: look at what is there. Do not
	// write a key by Put, Commit or Delete at the same moment as by Replace: not every
	// back end tells Replace of it in time.
	Replace(ctx context.Context, key, version string, r io.Reader) (Info, error)
	// Open reads length bytes from offset, or to the end when length is
	// negative or beyond it. An offset equal to the size reads nothing. The
	// content is that of one version of the blob, also while it is replaced or
	// deleted. Reads fail once ctx ends. The caller closes the reader.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stat fails with ErrNotFound when there is no blob.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes a blob for good. One that is not there is fine.
	Delete(ctx context.Context, key string) error
	// List yields the blobs whose key begins with prefix, in the order of their
	// keys. It ends at the first error, which comes with a zero Info. A blob
	// that comes or goes meanwhile may or may not be seen.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// Stager grows a blob in pieces before it gets a key. Staged bytes are in no
// listing and under no key until Commit. Ids follow CheckID. Calls that write
// to one id must not overlap: the caller holds a lock for it.
type Stager interface {
	// Stage begins an empty staged blob; one that is there already stays as it is.
	Stage(ctx context.Context, id string) error
	// Append writes what r yields at offset, which must be the durable end
	// (ErrOffset otherwise). The n bytes it reports are durable, also when err
	// is not nil: an append that was cut counts up to the cut. Memory is bounded
	// whatever r yields.
	Append(ctx context.Context, id string, offset int64, r io.Reader) (n int64, err error)
	// Staged is the number of durable bytes. After a crash it may be more than
	// the last Append that returned has reported, never less.
	Staged(ctx context.Context, id string) (int64, error)
	// OpenStaged reads staged bytes as Store.Open reads a blob.
	OpenStaged(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error)
	// Commit turns the staged bytes into the blob under key, over what was
	// there, durable on return. Nothing is staged under id afterwards. When
	// nothing is staged under id and the key exists, the commit was done before
	// and Commit reports it again: it may be repeated after a crash.
	Commit(ctx context.Context, id, key string) (Info, error)
	// Discard drops what is staged. Nothing staged is fine.
	Discard(ctx context.Context, id string) error
}

// Holder is implemented by stores that several servers share without a lock of their
// own.
type Holder interface {
	// Hold makes this process the only one that writes to what is staged under id,
	// until release. A holder in another process loses it at once: what it writes
	// from then on fails with ErrTaken and changes nothing. With nothing staged it
	// holds nothing. Calls for one id must not overlap within a process.
	Hold(ctx context.Context, id string) (release func(), err error)
}

// Linker is implemented by stores that let a blob be read without passing through
// this program.
type Linker interface {
	// Link is an address of the blob that needs no further credentials for so long.
	// It fails with ErrNotFound when there is no blob.
	Link(ctx context.Context, key string, valid time.Duration) (string, error)
}

// Local is implemented by stores whose blobs are plain files of this machine.
type Local interface {
	// LocalPath is where the blob under key is, whether it exists or not. The
	// file must only be read.
	LocalPath(key string) (string, error)
}

const (
	maxKey     = 512
	maxSegment = 128
)

// CheckKey holds the rules for keys: segments of 1 to 128 characters out of
// A-Z a-z 0-9 . _ -, none beginning with a dot, joined by single slashes, 512
// characters at most. That is safe as a path on every file system and as a name
// in every object store. A key must not stand below another blob's key: stores of
// plain files refuse that when they meet it. The error wraps ErrKey.
func CheckKey(key string) error {
	if key == "" || len(key) > maxKey {
		return fmt.Errorf("key of %d characters, want 1 to %d: %w", len(key), maxKey, ErrKey)
	}
	for s := range strings.SplitSeq(key, "/") {
		if err := CheckID(s); err != nil {
			return fmt.Errorf("key %.80q: %w", key, err)
		}
	}
	return nil
}

// CheckID holds the rules for staging ids: one segment of a key.
func CheckID(id string) error {
	if id == "" || len(id) > maxSegment {
		return fmt.Errorf("segment of %d characters, want 1 to %d: %w", len(id), maxSegment, ErrKey)
	}
	for i := range len(id) {
		c := id[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (c != '.' && c != '_' && c != '-' || c == '.' && i == 0) {
			return fmt.Errorf("character %q at %d of segment %.80q: %w", c, i, id, ErrKey)
		}
	}
	return nil
}
