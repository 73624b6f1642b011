package azure

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	az "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
)

// Put implements blob.Store. Content that fits into one block is one request. Larger
// content is sent as blocks, which the last request makes a blob; the old blob stays until
// then. Of two such Puts to one key at the same time, one fails.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	return s.put(ctx, key, r, nil)
}

// Replace implements blob.Store. The service compares the blob's ETag.
func (s *Store) Replace(ctx context.Context, key, version string, r io.Reader) (blob.Info, error) {
	only := &az.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	if version != "" {
		only = &az.ModifiedAccessConditions{IfMatch: to.Ptr(azcore.ETag(`"` + version + `"`))}
	}
	info, err := s.put(ctx, key, r, &az.AccessConditions{ModifiedAccessConditions: only})
	if ctx.Err() == nil && (errors.Is(err, blob.ErrNotFound) || azstorage.HasCode(err, string(bloberror.ConditionNotMet),
		string(bloberror.BlobAlreadyExists))) {
		err = fmt.Errorf("blob %s: %w", key, blob.ErrChanged)
	}
	return info, err
}

// put is Put with a condition, which may be nil.
func (s *Store) put(ctx context.Context, key string, r io.Reader, only *az.AccessConditions) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	buf := s.buffer(firstBlock)
	src := &source{r: interrupt.Reader(ctx, r)}
	n, err := io.ReadFull(src, buf)
	var info blob.Info
	switch {
	case src.ended():
		info, err = s.putSmall(ctx, key, buf[:n], only)
	case err == nil:
		info, err = s.putLarge(ctx, key, io.MultiReader(bytes.NewReader(buf), r), only)
	}
	if err != nil { // the transport may still read the buffer, so it is not recycled
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, err)
	}
	s.recycle(buf)
	return info, nil
}

func (s *Store) putSmall(ctx context.Context, key string, b []byte, only *az.AccessConditions) (blob.Info, error) {
	info := blob.Info{Key: key, Size: int64(len(b))}
	check := md5Of(b)
	err := retryDamaged(func() error {
		return s.resource.Recreating(ctx, func() error {
			r, err := s.box.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(bytes.NewReader(b)),
				&blockblob.UploadOptions{TransactionalValidation: check, AccessConditions: only})
			if err == nil {
				info.Modified, info.Version = r.LastModified.UTC(), version(r.ETag)
			}
			return err
		})
	})
	return info, explain(ctx, err)
}

func (s *Store) putLarge(ctx context.Context, key string, r io.Reader, only *az.AccessConditions) (blob.Info, error) {
	var once [8]byte
	_, _ = rand.Read(once[:]) // never fails: crypto/rand ends the program instead
	id := func(b block) string { return blockID(binary.BigEndian.Uint64(once[:]), uint64(b.offset)) }
	sent, err := s.send(ctx, key, 0, r, id)
	if err != nil {
		return blob.Info{}, err
	}
	list := make([]string, len(sent))
	for i, b := range sent {
		list[i] = id(b)
	}
	c, err := s.box.NewBlockBlobClient(key).CommitBlockList(ctx, list,
		&blockblob.CommitBlockListOptions{AccessConditions: only})
	if err != nil {
		return blob.Info{}, explain(ctx, err)
	}
	return blob.Info{Key: key, Size: size(sent), Modified: c.LastModified.UTC(), Version: version(c.ETag)}, nil
}

// version returns an ETag without its quotes.
func version(tag *azcore.ETag) string { return strings.Trim(string(*tag), `"`) }

// source is a reader that remembers its last error: io.ReadFull reports a source that
// ends and a source that breaks off in the same way.
type source struct {
	r   io.Reader
	err error // of the last Read
}

// ended reports whether the source was read to its end.
func (s *source) ended() bool {
	return errors.Is(s.err, io.EOF) && !errors.Is(s.err, io.ErrUnexpectedEOF)
}

// Read implements io.Reader.
func (s *source) Read(b []byte) (n int, err error) {
	n, s.err = s.r.Read(b)
	return n, s.err
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := blob.CheckKey(key); err != nil {
		return nil, err
	}
	r, err := s.open(ctx, key, offset, length)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", key, err)
	}
	return r, nil
}

func (s *Store) open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 {
		return nil, fmt.Errorf("offset %d: %w", offset, blob.ErrOffset)
	}
	if length == 0 { // a range cannot express it
		return s.openEmpty(ctx, name, offset)
	}
	var body io.ReadCloser
	err := s.resource.Recreating(ctx, func() error {
		r, err := s.box.NewBlobClient(name).DownloadStream(ctx,
			&az.DownloadStreamOptions{Range: az.HTTPRange{Offset: offset, Count: max(length, 0)}})
		switch {
		case err != nil:
			return err
		case !copyComplete(r.CopyStatus):
			return errors.Join(blob.ErrNotFound, r.Body.Close())
		}
		// A body that breaks off is requested again from there, of the same version.
		body = r.NewRetryReader(ctx, &az.RetryReaderOptions{MaxRetries: azstorage.Retries})
		return nil
	})
	if azstorage.HasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return s.openEmpty(ctx, name, offset)
	}
	if err != nil {
		return nil, explain(ctx, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{interrupt.Reader(ctx, readFunc(func(b []byte) (int, error) {
		n, err := body.Read(b)
		if err != nil && !errors.Is(err, io.EOF) {
			err = explain(ctx, err)
		}
		return n, err
	})), body}, nil
}

// copyComplete reports whether a blob is complete. A blob that Commit copies is complete
// after the copy has succeeded.
func copyComplete(copied *az.CopyStatusType) bool {
	return copied == nil || *copied == az.CopyStatusTypeSuccess
}

// openEmpty returns an empty reader of a blob that exists and has at least offset bytes.
func (s *Store) openEmpty(ctx context.Context, name string, offset int64) (io.ReadCloser, error) {
	p, err := s.getProperties(ctx, name)
	if err != nil {
		return nil, err
	}
	if offset > p.size {
		return nil, fmt.Errorf("offset %d of %d bytes: %w", offset, p.size, blob.ErrOffset)
	}
	return io.NopCloser(bytes.NewReader(nil)), nil
}

type readFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// properties of a complete blob.
type properties struct {
	size     int64
	modified time.Time
	etag     azcore.ETag
}

func (s *Store) getProperties(ctx context.Context, name string) (properties, error) {
	var p properties
	err := s.resource.Recreating(ctx, func() error {
		r, err := s.box.NewBlobClient(name).GetProperties(ctx, nil)
		if err != nil {
			return err
		}
		if !copyComplete(r.CopyStatus) {
			return blob.ErrNotFound
		}
		p = properties{size: *r.ContentLength, modified: r.LastModified.UTC(), etag: *r.ETag}
		return nil
	})
	if azstorage.HasStatus(err, http.StatusNotFound) {
		err = blob.ErrNotFound
	}
	return p, explain(ctx, err)
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	p, err := s.getProperties(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("blob %s: %w", key, err)
	}
	return blob.Info{Key: key, Size: p.size, Modified: p.modified, Version: version(&p.etag)}, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return s.deleteBlob(ctx, key)
}

func (s *Store) deleteBlob(ctx context.Context, name string) error {
	err := s.resource.Recreating(ctx, func() error {
		_, err := s.box.NewBlobClient(name).Delete(ctx,
			&az.DeleteOptions{DeleteSnapshots: to.Ptr(az.DeleteSnapshotsOptionTypeInclude),
				AccessConditions: &az.AccessConditions{LeaseAccessConditions: s.leaseCondition(name)}})
		return err
	})
	if err = explain(ctx, err); errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete blob %s: %w", name, err)
	}
	return nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		pages := s.box.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: &prefix,
			Include: container.ListBlobsInclude{Copy: true}})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err = explain(ctx, err); errors.Is(err, blob.ErrNotFound) {
				return // a missing container is empty; the next write creates it
			}
			if err != nil {
				yield(blob.Info{}, fmt.Errorf("list blobs %s: %w", prefix, err))
				return
			}
			for _, b := range page.Segment.BlobItems {
				p := b.Properties
				if strings.HasPrefix(*b.Name, ".") || !copyComplete(p.CopyStatus) {
					continue
				}
				if !yield(blob.Info{Key: *b.Name, Size: *p.ContentLength, Modified: p.LastModified.UTC()}, nil) {
					return
				}
			}
		}
	}
}
