package azure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/shared/interrupt"
)

// graceTime is how long a canceled append may take to commit the blocks that arrived.
const graceTime = 30 * time.Second

// Append implements blob.Stager. Memory is Concurrency+1 blocks.
func (s *Store) Append(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	name, err := staged(id)
	if err != nil {
		return 0, err
	}
	n, err := s.appendAt(ctx, name, offset, r)
	if err != nil {
		err = fmt.Errorf("append to %s: %w", id, err)
	}
	return n, err
}

func (s *Store) appendAt(ctx context.Context, name string, offset int64, r io.Reader) (int64, error) {
	st, err := s.loadStage(ctx, name)
	if errors.Is(err, errStageChanged) {
		st, err = s.loadStage(ctx, name)
	}
	if err != nil {
		return 0, err
	}
	if end := size(st.blocks); offset != end {
		return 0, fmt.Errorf("at %d, staged are %d bytes: %w", offset, end, blob.ErrOffset)
	}
	keep, from := mergeableTail(st.blocks, s.mergeFrom)
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
	// Blocks that arrived count, also when the caller has canceled.
	joining, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	joined, failed := s.join(joining, name, base, sent)
	if errors.Is(failed, errStageChanged) {
		joined, failed = s.loadStage(joining, name)
	}
	if failed != nil {
		return 0, errors.Join(err, failed)
	}
	return min(size(joined.blocks), size(sent)) - offset, err
}

// exactly is a reader of left bytes. An earlier end of r is an error.
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

// send sends what r yields as blocks from an offset on, up to Concurrency at a time. id
// names the blocks. It returns the blocks without a gap that the service has. The error
// is that of r, ctx or the service, and nil at the end of r. It returns after all its
// goroutines have ended.
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
			s.recycle(buf)
			continue
		}
		b := block{at, int64(n)}
		at += b.length
		f.begin()
		go func() {
			sending, cancel := withGrace(ctx)
			defer cancel()
			err := s.stageBlock(sending, name, id(b), buf[:n])
			if err == nil { // otherwise the transport may still read the buffer
				s.recycle(buf)
			}
			f.end(b, err)
		}()
	}
	f.wait()
	if errors.Is(ended, io.EOF) {
		ended = nil
	}
	return f.contiguous(began), errors.Join(ended, f.failed())
}

// withGrace returns a context that ends graceTime after ctx, so that a block that is
// being sent still arrives.
func withGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var timer *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(graceTime, func() { cancel(context.Cause(ctx)) })
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
	err := retryDamaged(func() error {
		check := s.checksums.of(content)
		return s.resource.Recreating(ctx, func() error {
			var answer *http.Response
			resp, err := s.box.NewBlockBlobClient(name).StageBlock(policy.WithCaptureResponse(ctx, &answer), id,
				streaming.NopCloser(bytes.NewReader(content)),
				&blockblob.StageBlockOptions{TransactionalValidation: check, LeaseAccessConditions: s.leaseCondition(name)})
			if err != nil {
				return err
			}
			return s.checksums.learn(answer, check, resp.ContentCRC64)
		})
	})
	return explain(ctx, err)
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

func (s *Store) recycle(b []byte) {
	if len(b) != firstBlock {
		return
	}
	select {
	case s.free <- b:
	default: // enough idle buffers
	}
}

// flight tracks the blocks that are being sent.
type flight struct {
	free chan struct{} // one element for each block that is being sent
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

// contiguous returns the blocks from an offset on, up to the first gap.
func (f *flight) contiguous(from int64) []block {
	f.mu.Lock()
	defer f.mu.Unlock()
	blocks := make([]block, 0, len(f.done))
	for _, b := range f.done {
		blocks = append(blocks, b)
	}
	return contiguousFrom(from, blocks)
}
