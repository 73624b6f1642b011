package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	az "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
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
		AccessConditions: &az.AccessConditions{LeaseAccessConditions: s.held(name), ModifiedAccessConditions: &az.ModifiedAccessConditions{IfMatch: &st.etag}}})
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
	return s.move(ctx, id, name, key)
}

// copyPatience is how long a copy within one account may take: it is a matter of
// seconds, also for hundreds of gigabytes, and no promise.
const copyPatience = 30 * time.Minute

// stagedAs is the metadata of a committed blob that names the upload it was.
const stagedAs = "staged"

// commitTries bounds how often another server may be at the same key.
const commitTries = 10

// move copies a blob within the account and deletes it under its old name. Once
// begun it is carried through: the service takes what was under the new name away
// when a copy begins. A copy begins only when the key is as it was looked at, so that
// of two servers which finish one upload the second cannot undo what the first did.
func (s *Store) move(ctx context.Context, id, name, key string) (blob.Info, error) {
	ctx = context.WithoutCancel(ctx)
	from, err := s.source(ctx, name)
	done := false
	for try := 0; err == nil && !done && try < commitTries; try++ {
		done, err = s.copyOnce(ctx, id, from, s.box.NewBlobClient(key))
	}
	if err == nil && !done {
		err = errOvertaken // what is staged stays: the next request finds out
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

// copyOnce copies unless it was done before. It reports false when another server was
// at the key meanwhile.
func (s *Store) copyOnce(ctx context.Context, id, from string, to *az.Client) (bool, error) {
	there, err := s.settled(ctx, to)
	if err != nil || there.is(id) {
		return err == nil, err
	}
	as := id
	_, err = to.StartCopyFromURL(ctx, from, &az.StartCopyFromURLOptions{Metadata: map[string]*string{stagedAs: &as},
		AccessConditions: &az.AccessConditions{ModifiedAccessConditions: there.unchanged()}})
	if bloberror.HasCode(err, bloberror.PendingCopyOperation, bloberror.ConditionNotMet, bloberror.BlobAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	there, err = s.settled(ctx, to)
	if err == nil && there.why != "" {
		err = fmt.Errorf("azure's copy %s", there.why)
	}
	return err == nil, err
}

// target is a key that something is copied to.
type target struct {
	etag *azcore.ETag // nil: there is nothing
	id   string       // of the upload that it was
	why  string       // how its copy ended when it failed
}

func (t target) is(id string) bool { return t.etag != nil && t.why == "" && t.id == id }

func (t target) unchanged() *az.ModifiedAccessConditions {
	if t.etag == nil {
		return &az.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	}
	return &az.ModifiedAccessConditions{IfMatch: t.etag}
}

// settled looks at a key, and waits for the end of a copy that is under way.
func (s *Store) settled(ctx context.Context, key *az.Client) (target, error) {
	const longest = 5 * time.Second
	pause := 20 * time.Millisecond
	for began := time.Now(); ; pause = min(2*pause, longest) {
		r, err := key.GetProperties(ctx, nil)
		switch {
		case azstorage.HasStatus(err, http.StatusNotFound):
			return target{}, nil
		case err != nil:
			return target{}, err
		case r.CopyStatus == nil || *r.CopyStatus != az.CopyStatusTypePending:
			t := target{etag: r.ETag, id: metadata(r.Metadata, stagedAs)}
			if !whole(r.CopyStatus) {
				t.why = "ended as " + string(*r.CopyStatus)
				if r.CopyStatusDescription != nil {
					t.why += ": " + *r.CopyStatusDescription
				}
			}
			return t, nil
		case time.Since(began) > copyPatience:
			return target{}, fmt.Errorf("azure's copy is not done after %s", copyPatience)
		}
		if err := interrupt.Pause(ctx, pause); err != nil {
			return target{}, err
		}
	}
}

// metadata finds a value by its name, which the service may spell in capitals.
func metadata(all map[string]*string, name string) string {
	for k, v := range all {
		if strings.EqualFold(k, name) && v != nil {
			return *v
		}
	}
	return ""
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

// Discard implements blob.Stager.
func (s *Store) Discard(ctx context.Context, id string) error {
	name, err := staged(id)
	if err != nil {
		return err
	}
	s.forget(name)
	return s.drop(ctx, name)
}
