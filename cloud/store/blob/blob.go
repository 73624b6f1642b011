// Package blob is the contract for the bytes that the cloud stores: footage, results
// and sidecars. The back ends are blob/disk and blob/azure. Both pass the suite in
// deploy/testkit/blobtest, which is this contract as code.
//
// Keys are paths such as footage/ID/thumbnail.jpg. A write that a method has reported
// survives a power cut. A write that it has not reported is visible under no name. All
// methods are safe for concurrent use.
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

// Classes of errors; compare with errors.Is. A call whose context is canceled fails with
// the context's cause. Other errors are faults of the back end.
var (
	// ErrNotFound: there is no blob with this key, or nothing is staged with this id.
	ErrNotFound = errors.New("no such blob")
	// ErrOffset: an append that does not start at the durable end, or a read that
	// starts beyond the end or before the start.
	ErrOffset = errors.New("offset does not match the stored bytes")
	// ErrNoSpace: the back end is full or its quota is used up. Durable bytes are not
	// lost. The same call works when there is space again.
	ErrNoSpace = errors.New("no space left for blobs")
	// ErrUnreachable: the back end does not answer now. The same call works when it
	// answers again.
	ErrUnreachable = errors.New("blob storage does not answer")
	// ErrTaken: another process has taken over the staged upload (Holder).
	ErrTaken = errors.New("another server has taken over the upload")
	// ErrChanged: the blob does not have the version that was given to Replace.
	ErrChanged = errors.New("blob was changed by another writer")
	// ErrKey: the key or the staging id does not follow the rules of CheckKey.
	ErrKey = errors.New("not a valid blob key")
)

// Info describes one blob.
type Info struct {
	Key      string
	Size     int64     // bytes
	Modified time.Time // last change of the content, by the back end's clock
	// Version changes with every write of the blob and never repeats. Replace compares
	// it. In a listing it may be "".
	Version string
}

// Store stores whole blobs.
type Store interface {
	// Put stores everything that r yields under key and replaces an older blob. A reader
	// sees either the old blob or the new one. The blob is durable on return. When r or
	// ctx fails, Put fails with that error and the old blob stays.
	Put(ctx context.Context, key string, r io.Reader) (Info, error)
	// Replace is Put on the condition that the blob still has the given version, as
	// returned by Put, Stat or Replace. "" means that there is no blob. Otherwise it
	// fails with ErrChanged and changes nothing. Of several calls at once with one
	// version, in any processes, exactly one succeeds. A call whose answer is lost may
	// have succeeded and still fail, also with ErrChanged: use Stat to find out. Do not
	// use Put, Commit or Delete on a key at the same time as Replace. Not every back end
	// detects that.
	Replace(ctx context.Context, key, version string, r io.Reader) (Info, error)
	// Open reads length bytes from offset. It reads to the end when length is negative
	// or too large. An offset equal to the size reads nothing. The content is that of
	// one version of the blob, also while the blob is replaced or deleted. Reads fail
	// after ctx ends. The caller closes the reader.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	// Stat fails with ErrNotFound when there is no blob.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes a blob. A missing blob is no error.
	Delete(ctx context.Context, key string) error
	// List yields the blobs whose key begins with prefix, in the order of their keys. It
	// ends at the first error, which it yields with a zero Info. A blob that is added or
	// deleted meanwhile may or may not be listed.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// Stager writes a blob in pieces before it gets a key. Staged bytes are in no listing
// and under no key until Commit. Ids follow CheckID. Calls that write to one id must not
// overlap: the caller holds a lock for the id.
type Stager interface {
	// Stage begins an empty staged blob. An existing one stays unchanged.
	Stage(ctx context.Context, id string) error
	// Append writes what r yields at offset, which must be the durable end (otherwise
	// ErrOffset). The n bytes that it reports are durable, also when err is not nil: an
	// interrupted append counts up to the interruption. It uses a fixed amount of memory.
	Append(ctx context.Context, id string, offset int64, r io.Reader) (n int64, err error)
	// Staged returns the number of durable bytes. After a crash it may be more than the
	// last Append reported, and is never less.
	Staged(ctx context.Context, id string) (int64, error)
	// OpenStaged reads staged bytes as Store.Open reads a blob.
	OpenStaged(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error)
	// Commit makes the staged bytes the blob with the key and replaces an older blob. It
	// is durable on return, and nothing is staged with the id afterwards. It may be
	// repeated after a crash: when nothing is staged with the id and the key exists,
	// Commit returns the blob of the key.
	Commit(ctx context.Context, id, key string) (Info, error)
	// Discard deletes the staged bytes. When nothing is staged, that is no error.
	Discard(ctx context.Context, id string) error
}

// Holder is implemented by stores that several servers share and that lock for them.
type Holder interface {
	// Hold makes this process the only one that can write to the staged id until
	// release. A holder in another process loses it at once: its writes fail with
	// ErrTaken and change nothing. When nothing is staged, Hold holds nothing. Calls for
	// one id must not overlap within a process.
	Hold(ctx context.Context, id string) (release func(), err error)
}

// Linker is implemented by stores whose blobs can be read without this program.
type Linker interface {
	// Link returns an address of the blob that works without further credentials for
	// the given time. It fails with ErrNotFound when there is no blob.
	Link(ctx context.Context, key string, valid time.Duration) (string, error)
}

// Local is implemented by stores whose blobs are plain files on this machine.
type Local interface {
	// LocalPath returns the path of the blob with the key, whether it exists or not.
	// The caller must not change the file.
	LocalPath(key string) (string, error)
}

const (
	maxKey     = 512
	maxSegment = 128
)

// CheckKey checks the rules for keys. A key has segments of 1 to 128 characters out of
// A-Z a-z 0-9 . _ - that do not begin with a dot. Single slashes join the segments. A
// key has at most 512 characters. Such a key is safe as a path on every file system and
// as a name in every object store. A key must not be below another blob's key; stores of
// plain files refuse that. The error wraps ErrKey.
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

// CheckID checks the rules for staging ids: an id is one segment of a key.
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
