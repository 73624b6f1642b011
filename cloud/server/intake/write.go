package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	// saveEvery is how many bytes go between two saved hash states, and so what
	// is read again at most after a crash.
	saveEvery = 64 << 20
	// saveAfter saves on slow links too: those who watch see the upload move, and
	// the session does not expire.
	saveAfter = 2 * time.Second
)

// WriteChunk implements handler.Upload. Bytes are durable in the blob store
// before they count; they are hashed on their way. With a checksum all of them
// count or none.
func (up *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	x := exchangeFrom(ctx)
	ctx = detached(ctx)
	body := newPump(src, up.in.locks.stopped(up.u.ID))
	defer body.close(x.interrupt)
	take := func() (int64, error) { return up.take(ctx, body) }
	if x.check != nil {
		take = func() (int64, error) { return up.takeChecked(ctx, x.check, body) }
	}
	n, err := take()
	x.bytes += n
	up.in.metrics.bytes.Add(float64(n))
	if errors.Is(err, blob.ErrNotFound) { // it was there when the request began
		err = fmt.Errorf("%w: %w", blob.ErrTaken, err)
	}
	switch {
	case err != nil:
		return n, x.fail(err)
	case body.stopped.Load() && !up.complete() && x.check == nil:
		return n, x.fail(interruptedProblem())
	}
	up.tell(x)
	return n, nil
}

// take appends the body to the session and returns how much of it is durable.
func (up *upload) take(ctx context.Context, body io.Reader) (int64, error) {
	began := up.offset
	head, err := up.recognise(ctx, body)
	if err != nil {
		return 0, err
	}
	sum, err := up.in.hashAt(ctx, up.u, up.offset)
	if err != nil {
		return 0, err
	}
	src := io.TeeReader(io.MultiReader(bytes.NewReader(head), body), sum)
	for {
		p := &stretch{r: src, left: saveEvery, until: up.in.now().Add(saveAfter), now: up.in.now}
		n, err := up.in.blobs.Append(ctx, up.u.ID, up.offset, p)
		up.offset += n
		if sum.offset != up.offset {
			// Not all that was hashed is durable: the saved state counts again.
			return up.offset - began, err
		}
		if err := up.save(ctx, sum); err != nil {
			return up.offset - began, err
		}
		if err != nil || p.ended {
			up.in.rollings.put(up.u.ID, sum)
			return up.offset - began, err
		}
	}
}

// stretch is the part of a body between two saves: it ends after so many bytes
// or, with the first bytes that come later, after its time.
type stretch struct {
	r     io.Reader
	left  int64
	until time.Time
	now   func() time.Time
	took  bool
	ended bool // the body itself is at its end, or failed
}

func (p *stretch) Read(b []byte) (int, error) {
	if p.left <= 0 || p.took && p.now().After(p.until) {
		return 0, io.EOF
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	p.took = p.took || n > 0
	p.ended = err != nil
	return n, err
}

// save notes the hash state.
func (up *upload) save(ctx context.Context, sum *rolling) error {
	if sum.offset == up.u.Offset {
		return nil
	}
	state, err := sum.state()
	if err != nil {
		return err
	}
	if err := up.in.received.SaveOffset(ctx, up.u.ID, sum.offset, state); err != nil {
		return err
	}
	up.u.Offset, up.u.HashState, up.u.Updated = sum.offset, state, up.in.now()
	return nil
}

// recognise finds out which container a video is in, from its first bytes, and
// returns those that it read from the body to do so. Content that is no video
// is refused as soon as that is certain, and the session dropped.
func (up *upload) recognise(ctx context.Context, body io.Reader) ([]byte, error) {
	if up.u.BlobKey != "" {
		return nil, nil
	}
	head, err := up.stagedHead(ctx)
	if err != nil {
		return nil, err
	}
	have := len(head)
	if have < footage.SniffLen {
		more := make([]byte, footage.SniffLen-have)
		n, err := io.ReadFull(body, more)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		head = append(head, more[:n]...)
	}
	all := !up.u.Deferred && int64(len(head)) >= up.u.Size
	return head[have:], up.judge(ctx, head, all || len(head) >= footage.SniffLen)
}

// stagedHead reads the first bytes that are durable.
func (up *upload) stagedHead(ctx context.Context) ([]byte, error) {
	n := min(up.offset, footage.SniffLen)
	if n == 0 {
		return nil, nil
	}
	r, err := up.in.blobs.OpenStaged(ctx, up.u.ID, 0, n)
	if err != nil {
		return nil, err
	}
	head, err := io.ReadAll(r)
	return head, errors.Join(err, r.Close())
}

// judge notes where a recognised video goes. What is not recognised is refused
// when certain says that more bytes would not help.
func (up *upload) judge(ctx context.Context, head []byte, certain bool) error {
	container, err := footage.Sniff(head)
	switch {
	case err == nil:
		key := wire.VideoKey(up.u.Footage, up.u.ID, container)
		if err := up.in.received.SetKey(ctx, up.u.ID, key); err != nil {
			return err
		}
		up.u.BlobKey = key
		return nil
	case !certain:
		return nil
	}
	return up.in.refuse(ctx, up.u, problem.New(wire.SlugNotAVideo, "%s is no MP4, MOV, MKV, AVI or TS video, whatever its name says. Check the file on the card.", up.u.Name).Because(err))
}

// refuse drops a session for good.
func (in *Intake) refuse(ctx context.Context, u ledger.Upload, p *problem.Error) error {
	if err := in.discard(ctx, u); err != nil {
		return p.Because(errors.Join(p.Unwrap(), err)) // the sweep drops it later
	}
	return p
}
