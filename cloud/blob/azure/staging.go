package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	az "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"cattlecounter/cloud/blob"
)

// stagePrefix begins the names of staged uploads. No key begins with a dot.
const stagePrefix = ".staged/"

// stage is what is known of a staged upload. It is right as long as the blob has
// the same tag.
type stage struct {
	etag   azcore.ETag
	blocks []block // joined, in their order
}

// maxStages bounds the uploads that are remembered; one costs its list of blocks.
const maxStages = 256

func (s *Store) remember(name string, st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.stages[name]; !known && len(s.stages) >= maxStages {
		for other := range s.stages { // any one: it is asked for again
			delete(s.stages, other)
			break
		}
	}
	s.stages[name] = st
}

func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stages, name)
}

func (s *Store) known(name string) *stage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stages[name]
}

func staged(id string) (string, error) {
	if err := blob.CheckID(id); err != nil {
		return "", err
	}
	return stagePrefix + id, nil
}

// Stage implements blob.Stager: an empty blob says that the upload has begun.
func (s *Store) Stage(ctx context.Context, id string) error {
	name, err := staged(id)
	if err != nil {
		return err
	}
	err = s.holder.Heal(ctx, func() error {
		_, err := s.box.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(&empty{}), &blockblob.UploadOptions{
			AccessConditions: &az.AccessConditions{ModifiedAccessConditions: &az.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}}})
		return err
	})
	if err == nil || bloberror.HasCode(err, bloberror.BlobAlreadyExists, bloberror.ConditionNotMet) {
		return nil
	}
	return fmt.Errorf("stage %s: %w", name, explain(ctx, err))
}

// empty is a body of no bytes.
type empty struct{}

func (*empty) Read([]byte) (int, error)       { return 0, io.EOF }
func (*empty) Seek(int64, int) (int64, error) { return 0, nil }

// load says what is staged under a name. Blocks that an append sent and did not
// join, because its process ended, are joined now.
func (s *Store) load(ctx context.Context, name string) (*stage, error) {
	p, err := s.properties(ctx, name)
	if err != nil {
		return nil, err
	}
	if st := s.known(name); st != nil && st.etag == p.etag {
		return st, nil
	}
	client := s.box.NewBlockBlobClient(name)
	list, err := client.GetBlockList(ctx, blockblob.BlockListTypeAll, nil)
	if err != nil {
		return nil, explain(ctx, err)
	}
	st := &stage{etag: p.etag}
	if list.ETag != nil && *list.ETag != "" {
		st.etag = *list.ETag
	}
	for _, b := range list.CommittedBlocks {
		at, ok := parseBlock(*b.Name, *b.Size)
		if !ok || at.offset != size(st.blocks) {
			return nil, fmt.Errorf("%s has a block %q of %d bytes that is none of ours", name, *b.Name, *b.Size)
		}
		st.blocks = append(st.blocks, at)
	}
	var loose []block
	for _, b := range list.UncommittedBlocks {
		if at, ok := parseBlock(*b.Name, *b.Size); ok {
			loose = append(loose, at)
		}
	}
	if more := chain(size(st.blocks), loose); len(more) > 0 {
		return s.join(ctx, name, st, more)
	}
	s.remember(name, st)
	return st, nil
}

// errOvertaken says that another replica has changed the upload meanwhile.
var errOvertaken = errors.New("the upload was changed by another server")

// join makes blocks a part of the upload, which must be what st says.
func (s *Store) join(ctx context.Context, name string, st *stage, more []block) (*stage, error) {
	next := &stage{blocks: append(st.blocks[:len(st.blocks):len(st.blocks)], more...)}
	if len(next.blocks) > maxBlocks {
		return nil, fmt.Errorf("%s has %d blocks, a blob takes %d", name, len(next.blocks), maxBlocks)
	}
	r, err := s.box.NewBlockBlobClient(name).CommitBlockList(ctx, ids(next.blocks), &blockblob.CommitBlockListOptions{
		AccessConditions: &az.AccessConditions{ModifiedAccessConditions: &az.ModifiedAccessConditions{IfMatch: &st.etag}}})
	if err != nil {
		s.forget(name)
		if bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.InvalidBlockList) {
			// Either another one was faster, or this very request had got through
			// before its answer was lost; the next look tells.
			return nil, errOvertaken
		}
		return nil, explain(ctx, err)
	}
	next.etag = *r.ETag
	s.remember(name, next)
	return next, nil
}

// Staged implements blob.Stager.
func (s *Store) Staged(ctx context.Context, id string) (int64, error) {
	name, err := staged(id)
	if err != nil {
		return 0, err
	}
	st, err := s.load(ctx, name)
	if errors.Is(err, errOvertaken) {
		st, err = s.load(ctx, name)
	}
	if err != nil {
		return 0, fmt.Errorf("staged upload %s: %w", id, err)
	}
	return size(st.blocks), nil
}

// OpenStaged implements blob.Stager.
func (s *Store) OpenStaged(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	if _, err := s.Staged(ctx, id); err != nil { // what is loose is joined first
		return nil, err
	}
	r, err := s.open(ctx, stagePrefix+id, offset, length)
	if err != nil {
		return nil, fmt.Errorf("staged upload %s: %w", id, err)
	}
	return r, nil
}

// Commit implements blob.Stager.
func (s *Store) Commit(ctx context.Context, id, key string) (blob.Info, error) {
	name, err := staged(id)
	if err == nil {
		err = blob.CheckKey(key)
	}
	if err != nil {
		return blob.Info{}, err
	}
	_, err = s.Staged(ctx, id)
	if errors.Is(err, blob.ErrNotFound) {
		return s.Stat(ctx, key) // done before
	}
	if err != nil {
		return blob.Info{}, err
	}
	return s.move(ctx, name, key)
}

// copyPatience is how long a copy within one account may take: it is a matter of
// seconds, also for hundreds of gigabytes, and no promise.
const copyPatience = 30 * time.Minute

// move copies a blob within the account and deletes it under its old name. Once
// begun it is carried through: the service takes what was under the new name away
// when a copy begins.
func (s *Store) move(ctx context.Context, name, key string) (blob.Info, error) {
	ctx = context.WithoutCancel(ctx)
	from, err := s.source(ctx, name)
	if err != nil {
		return blob.Info{}, fmt.Errorf("commit %s: %w", key, err)
	}
	to := s.box.NewBlobClient(key)
	_, err = to.StartCopyFromURL(ctx, from, nil)
	if bloberror.HasCode(err, bloberror.PendingCopyOperation) { // of a commit that a crash cut off
		if err = s.copied(ctx, to); err == nil {
			_, err = to.StartCopyFromURL(ctx, from, nil)
		}
	}
	if err == nil {
		err = s.copied(ctx, to)
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("commit %s: %w", key, explain(ctx, err))
	}
	if err := s.drop(ctx, name); err != nil {
		return blob.Info{}, err
	}
	s.forget(name)
	return s.Stat(ctx, key)
}

// source is the address that a copy is made from. The account's key lets the request
// read within the account; an identity needs a link. The emulator checks a link by
// reading the whole blob.
func (s *Store) source(ctx context.Context, name string) (string, error) {
	if s.keyed {
		return s.box.NewBlobClient(name).URL(), nil
	}
	return s.link(ctx, name, copyPatience)
}

// copied waits for the end of a copy.
func (s *Store) copied(ctx context.Context, to *az.Client) error {
	const longest = 5 * time.Second
	pause := 20 * time.Millisecond
	for began := time.Now(); ; pause = min(2*pause, longest) {
		r, err := to.GetProperties(ctx, nil)
		if err != nil {
			return explain(ctx, err)
		}
		switch {
		case whole(r.CopyStatus):
			return nil
		case *r.CopyStatus != az.CopyStatusTypePending:
			why := ""
			if r.CopyStatusDescription != nil {
				why = *r.CopyStatusDescription
			}
			return fmt.Errorf("azure's copy ended as %s: %s", *r.CopyStatus, why)
		case time.Since(began) > copyPatience:
			return fmt.Errorf("azure's copy is not done after %s", copyPatience)
		}
		<-time.After(pause)
	}
}

// Discard implements blob.Stager.
func (s *Store) Discard(ctx context.Context, id string) error {
	name, err := staged(id)
	if err != nil {
		return err
	}
	s.forget(name)
	return s.drop(ctx, name)
}
