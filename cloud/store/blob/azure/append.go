package azure

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // the service checks a block against it; no secret depends on it
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	az "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"cattlecounter/cloud/store/azstorage"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
)

// joinTime is what an append that was canceled still takes to keep what arrived.
const joinTime = 30 * time.Second

// Append implements blob.Stager. Memory is Concurrency+1 blocks.
func (s *Store) Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	name, err := staged(id)
	if err != nil {
		return 0, err
	}
	n, err := s.grow(ctx, name, offset, r)
	if err != nil {
		err = fmt.Errorf("append to %s: %w", id, err)
	}
	return n, err
}

func (s *Store) grow(ctx context.Context, name string, offset int64, r io.Reader) (int64, error) {
	st, err := s.load(ctx, name)
	if errors.Is(err, errOvertaken) {
		st, err = s.load(ctx, name)
	}
	if err != nil {
		return 0, err
	}
	if end := size(st.blocks); offset != end {
		return 0, fmt.Errorf("at %d, staged are %d bytes: %w", offset, end, blob.ErrOffset)
	}
	keep, from := tail(st.blocks)
	if from < offset {
		again, err := s.open(ctx, name, from, offset-from)
		if err != nil {
			return 0, err
		}
		defer again.Close()
		r = io.MultiReader(&exactly{again, offset - from}, r)
	}
	base := &stage{etag: st.etag, blocks: keep}
	sent, err := s.send(ctx, name, from, r, block.id)
	if size(sent) <= offset { // nothing new
		return 0, err
	}
	// What arrived counts, also when the caller has gone.
	joining, cancel := context.WithTimeout(context.WithoutCancel(ctx), joinTime)
	defer cancel()
	joined, failed := s.join(joining, name, base, sent)
	if errors.Is(failed, errOvertaken) {
		joined, failed = s.load(joining, name)
	}
	if failed != nil {
		return 0, errors.Join(err, failed)
	}
	return min(size(joined.blocks), size(sent)) - offset, err
}

// exactly is a reader whose early end is an error.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(b []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// send sends what r yields as blocks from an offset on, named by id, up to
// Concurrency at a time, and returns those in a row that the service has. The error
// is r's, ctx's or the service's, nil at r's end.
func (s *Store) send(ctx context.Context, name string, at int64, r io.Reader, id func(block) string) ([]block, error) {
	f := &flight{free: make(chan struct{}, Concurrency), done: map[int64]block{}}
	began, ended := at, error(nil)
	src := &source{r: interrupt.Reader(ctx, r)}
	for ended == nil && f.failed() == nil {
		buf := s.buffer(blockSize(at))
		n, err := io.ReadFull(src, buf)
		if ended = err; src.ended() {
			ended = io.EOF
		}
		if n == 0 {
			s.give(buf)
			continue
		}
		b := block{at, int64(n)}
		at += b.length
		f.begin()
		go func() {
			sending, cancel := detach(ctx)
			defer cancel()
			err := s.stageBlock(sending, name, id(b), buf[:n])
			if err == nil { // else the transport may still read it
				s.give(buf)
			}
			f.end(b, err)
		}()
	}
	f.wait()
	if errors.Is(ended, io.EOF) {
		ended = nil
	}
	return f.row(began), errors.Join(ended, f.failed())
}

// detach is ctx, and joinTime more once it has ended: a block that is on its way
// arrives.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var timer *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(joinTime, func() { cancel(context.Cause(ctx)) })
	})
	return out, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel(nil)
	}
}

// stageBlock sends one block.
func (s *Store) stageBlock(ctx context.Context, name, id string, content []byte) error {
	check := checked(content)
	err := undamaged(func() error {
		return s.holder.Heal(ctx, func() error {
			_, err := s.box.NewBlockBlobClient(name).StageBlock(ctx, id, streaming.NopCloser(bytes.NewReader(content)),
				&blockblob.StageBlockOptions{TransactionalValidation: check, LeaseAccessConditions: s.held(name)})
			return err
		})
	})
	return explain(ctx, err)
}

// checked has the service compare what arrives with its sum.
func checked(content []byte) az.TransferValidationType {
	sum := md5.Sum(content) //nolint:gosec // see above
	return az.TransferValidationTypeMD5(sum[:])
}

// undamaged sends again what arrived damaged. The emulator calls a wrong sum an
// invalid operation.
func undamaged(send func() error) error {
	for try := 1; ; try++ {
		err := send()
		if !bloberror.HasCode(err, bloberror.MD5Mismatch, bloberror.InvalidOperation) || try > azstorage.Retries {
			return err
		}
	}
}

func (s *Store) buffer(size int64) []byte {
	if size == firstBlock {
		select {
		case b := <-s.free:
			return b
		default:
		}
	}
	return make([]byte, size)
}

func (s *Store) give(b []byte) {
	if len(b) != firstBlock {
		return
	}
	select {
	case s.free <- b:
	default: // enough are kept
	}
}

// flight is the blocks on their way.
type flight struct {
	free chan struct{} // one for each on its way
	wg   sync.WaitGroup

	mu   sync.Mutex
	done map[int64]block
	err  error
}

func (f *flight) begin() {
	f.free <- struct{}{}
	f.wg.Add(1)
}

func (f *flight) end(b block, err error) {
	f.mu.Lock()
	if err != nil {
		f.err = errors.Join(f.err, fmt.Errorf("block at %d: %w", b.offset, err))
	} else {
		f.done[b.offset] = b
	}
	f.mu.Unlock()
	<-f.free
	f.wg.Done()
}

func (f *flight) wait() { f.wg.Wait() }

func (f *flight) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// row returns the blocks from an offset on, up to the first that is missing.
func (f *flight) row(from int64) []block {
	f.mu.Lock()
	defer f.mu.Unlock()
	blocks := make([]block, 0, len(f.done))
	for _, b := range f.done {
		blocks = append(blocks, b)
	}
	return chain(from, blocks)
}
