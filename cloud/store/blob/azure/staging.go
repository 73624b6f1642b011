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

// stage is the cached state of a staged upload. It is valid as long as the blob has the
// same ETag.
type stage struct {
	etag   azcore.ETag
	blocks []block // committed, in their order
}

// maxStages limits the uploads in the cache. Each needs memory for its list of blocks.
const maxStages = 256

func (s *Store) remember(name string, st *stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.stages[name]; !known && len(s.stages) >= maxStages {
		for other := range s.stages { // any one; the service still has its state
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

// Stage implements blob.Stager. An empty blob marks the begin of the upload.
func (s *Store) Stage(ctx context.Context, id string) error {
	name, err := staged(id)
	if err != nil {
		return err
	}
	err = s.resource.Recreating(ctx, func() error {
		_, err := s.box.NewBlockBlobClient(name).Upload(ctx, streaming.NopCloser(&empty{}), &blockblob.UploadOptions{
			AccessConditions: &az.AccessConditions{ModifiedAccessConditions: target{}.unchanged()}})
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

// loadStage returns the state of a staged upload. It commits blocks that an append sent
// and did not commit because its process ended.
func (s *Store) loadStage(ctx context.Context, name string) (*stage, error) {
	p, err := s.getProperties(ctx, name)
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
			return nil, fmt.Errorf("%s has a block %q of %d bytes that another program wrote", name, *b.Name, *b.Size)
		}
		st.blocks = append(st.blocks, at)
	}
	var loose []block
	for _, b := range list.UncommittedBlocks {
		if at, ok := parseBlock(*b.Name, *b.Size); ok {
			loose = append(loose, at)
		}
	}
	if more := contiguousFrom(size(st.blocks), loose); len(more) > 0 {
		return s.join(ctx, name, st, more)
	}
	s.remember(name, st)
	return st, nil
}

// errStageChanged means that another replica has changed the upload meanwhile.
var errStageChanged = errors.New("the upload was changed by another server")

// join commits more blocks to the upload, whose state must still be st.
func (s *Store) join(ctx context.Context, name string, st *stage, more []block) (*stage, error) {
	next := &stage{blocks: append(st.blocks[:len(st.blocks):len(st.blocks)], more...)}
	if len(next.blocks) > maxBlocks {
		return nil, fmt.Errorf("%s has %d blocks, a blob can have %d", name, len(next.blocks), maxBlocks)
	}
	r, err := s.box.NewBlockBlobClient(name).CommitBlockList(ctx, ids(next.blocks), &blockblob.CommitBlockListOptions{
		AccessConditions: &az.AccessConditions{LeaseAccessConditions: s.leaseCondition(name),
			ModifiedAccessConditions: &az.ModifiedAccessConditions{IfMatch: &st.etag}}})
	if err != nil {
		s.forget(name)
		if bloberror.HasCode(err, bloberror.ConditionNotMet, bloberror.InvalidBlockList) {
			// Either another process was faster, or this request succeeded and its answer
			// was lost. The next loadStage shows which.
			return nil, errStageChanged
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
	st, err := s.loadStage(ctx, name)
	if errors.Is(err, errStageChanged) {
		st, err = s.loadStage(ctx, name)
	}
	if err != nil {
		return 0, fmt.Errorf("staged upload %s: %w", id, err)
	}
	return size(st.blocks), nil
}

// OpenStaged implements blob.Stager.
func (s *Store) OpenStaged(ctx context.Context, id string, offset, length int64) (io.ReadCloser, error) {
	if _, err := s.Staged(ctx, id); err != nil { // commits blocks that a crash left
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
		return s.Stat(ctx, key) // an earlier call did the commit
	}
	if err != nil {
		return blob.Info{}, err
	}
	return s.moveTo(ctx, id, name, key)
}

// copyTime limits a copy within one account. Usually it takes seconds, also for hundreds
// of gigabytes, but the service does not guarantee that.
const copyTime = 30 * time.Minute

// stagedKey is the metadata key of a committed blob for the id of its upload.
const stagedKey = "staged"

// commitTries limits the attempts when other servers write to the same key.
const commitTries = 10

// moveTo copies a staged blob to its key within the account and deletes the staged blob.
// It ignores the end of ctx, because the service removes the old blob of the key when a
// copy begins. A copy begins only when the key is unchanged since awaitCopy read it. So
// of two servers that finish one upload, the second cannot undo the work of the first.
func (s *Store) moveTo(ctx context.Context, id, name, key string) (blob.Info, error) {
	ctx = context.WithoutCancel(ctx)
	from, err := s.sourceURL(ctx, name)
	done := false
	for try := 0; err == nil && !done && try < commitTries; try++ {
		done, err = s.copyOnce(ctx, id, from, s.box.NewBlobClient(key))
	}
	if err == nil && !done {
		err = errStageChanged // the staged blob stays, so that the next request can repeat this
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("commit %s: %w", key, explain(ctx, err))
	}
	if err := s.deleteBlob(ctx, name); err != nil {
		return blob.Info{}, err
	}
	s.forget(name)
	return s.Stat(ctx, key)
}

// copyOnce copies unless the key already has the upload. It reports false when another
// server changed the key meanwhile.
func (s *Store) copyOnce(ctx context.Context, id, from string, to *az.Client) (bool, error) {
	there, err := s.awaitCopy(ctx, to)
	if err != nil || there.is(id) {
		return err == nil, err
	}
	as := id
	_, err = to.StartCopyFromURL(ctx, from, &az.StartCopyFromURLOptions{Metadata: map[string]*string{stagedKey: &as},
		AccessConditions: &az.AccessConditions{ModifiedAccessConditions: there.unchanged()}})
	if bloberror.HasCode(err, bloberror.PendingCopyOperation, bloberror.ConditionNotMet, bloberror.BlobAlreadyExists) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	there, err = s.awaitCopy(ctx, to)
	if err == nil && there.why != "" {
		err = fmt.Errorf("the copy by Azure %s", there.why)
	}
	return err == nil, err
}

// target is the state of the key that a staged blob is copied to.
type target struct {
	etag *azcore.ETag // nil without a blob
	id   string       // of the upload that was copied there
	why  string       // the reason why its copy failed, else ""
}

func (t target) is(id string) bool { return t.etag != nil && t.why == "" && t.id == id }

func (t target) unchanged() *az.ModifiedAccessConditions {
	if t.etag == nil {
		return &az.ModifiedAccessConditions{IfNoneMatch: to.Ptr(azcore.ETagAny)}
	}
	return &az.ModifiedAccessConditions{IfMatch: t.etag}
}

// awaitCopy returns the state of a key after the end of a copy that may be running.
func (s *Store) awaitCopy(ctx context.Context, key *az.Client) (target, error) {
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
			t := target{etag: r.ETag, id: metadata(r.Metadata, stagedKey)}
			if !copyComplete(r.CopyStatus) {
				t.why = "ended as " + string(*r.CopyStatus)
				if r.CopyStatusDescription != nil {
					t.why += ": " + *r.CopyStatusDescription
				}
			}
			return t, nil
		case time.Since(began) > copyTime:
			return target{}, fmt.Errorf("the copy by Azure is not complete after %s", copyTime)
		}
		if err := interrupt.Pause(ctx, pause); err != nil {
			return target{}, err
		}
	}
}

// metadata returns a value by its name. The service may change the case of names.
func metadata(all map[string]*string, name string) string {
	for k, v := range all {
		if strings.EqualFold(k, name) && v != nil {
			return *v
		}
	}
	return ""
}

// sourceURL returns the address of a staged blob for a copy. With the account's key the
// request can read within the account. An identity needs a signed link. The emulator
// checks such a link by reading the whole blob.
func (s *Store) sourceURL(ctx context.Context, name string) (string, error) {
	if s.keyed {
		return s.box.NewBlobClient(name).URL(), nil
	}
	return s.link(ctx, name, copyTime)
}

// Discard implements blob.Stager.
func (s *Store) Discard(ctx context.Context, id string) error {
	name, err := staged(id)
	if err != nil {
		return err
	}
	s.forget(name)
	return s.deleteBlob(ctx, name)
}
