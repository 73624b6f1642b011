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
	"cattlecounter/shared/tracing"
	"cattlecounter/shared/wire"
)

const (
	// saveEvery is the number of bytes between two saved hash states. After a crash at
	// most so many bytes are read again.
	saveEvery = 64 << 20
	// saveAfter is the time between two saves on slow links: the page shows progress,
	// and the session does not expire.
	saveAfter = 2 * time.Second
)

// WriteChunk implements handler.Upload. Bytes are hashed on their way and are durable in
// the blob store before they count. With a checksum all of them count, or none.
func (up *upload) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	x := exchangeFrom(ctx)
	ctx, span := tracing.Receive(detached(ctx), x.parent, "receive", up.u.Footage)
	body := newPump(src, up.in.locks.stopped(up.u.ID))
	defer body.close(x.interrupt)
	write := func() (int64, error) { return up.append(ctx, body) }
	if x.check != nil {
		write = func() (int64, error) { return up.appendChecked(ctx, x.check, body) }
	}
	n, err := write()
	span.Number("offset", offset)
	span.Number("bytes", n)
	span.End(err)
	x.bytes += n
	up.in.metrics.bytes.Add(float64(n))
	if errors.Is(err, blob.ErrNotFound) { // another request took the staged bytes over
		err = fmt.Errorf("%w: %w", blob.ErrTaken, err)
	}
	switch {
	case err != nil:
		return n, x.fail(err)
	case body.stopped.Load() && !up.complete() && x.check == nil:
		return n, x.fail(interruptedProblem())
	}
	up.describe(x)
	return n, nil
}

// append adds the body to the session and returns how many bytes of it are durable.
func (up *upload) append(ctx context.Context, body io.Reader) (int64, error) {
	began := up.offset
	if err := up.in.mayAppend(); err != nil {
		return 0, err
	}
	head, err := up.sniffContainer(ctx, body)
	if err != nil {
		return 0, err
	}
	sum, err := up.in.hashAt(ctx, up.u, up.offset)
	if err != nil {
		return 0, err
	}
	src := io.TeeReader(io.MultiReader(bytes.NewReader(head), body), sum)
	for {
		p := &bodyPart{r: src, left: saveEvery, until: up.in.now().Add(saveAfter), now: up.in.now}
		n, err := up.in.blobs.Append(ctx, up.u.ID, up.offset, p)
		up.offset += n
		if sum.offset != up.offset {
			// Not all hashed bytes are durable: the next request starts from the saved state.
			return up.offset - began, err
		}
		if err := up.save(ctx, sum); err != nil {
			return up.offset - began, err
		}
		if err == nil && !p.ended {
			err = up.in.mayAppend()
		}
		if err != nil || p.ended {
			up.in.rollings.put(up.u.ID, sum)
			return up.offset - began, err
		}
	}
}

// bodyPart is the part of a body between two saves. It ends after left bytes, or with
// the first bytes that arrive after until.
type bodyPart struct {
	r        io.Reader
	left     int64
	until    time.Time
	now      func() time.Time
	received bool
	ended    bool // the body itself has ended or failed
}

func (p *bodyPart) Read(b []byte) (int, error) {
	if p.left <= 0 || p.received && p.now().After(p.until) {
		return 0, io.EOF
	}
	n, err := p.r.Read(b[:min(int64(len(b)), p.left)])
	p.left -= int64(n)
	p.received = p.received || n > 0
	p.ended = err != nil
	return n, err
}

// save stores the hash state in the ledger.
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

// sniffContainer finds the container of a video by its first bytes and returns the bytes
// that it read from the body for that. Content that is certainly not a video is refused,
// and its session deleted.
func (up *upload) sniffContainer(ctx context.Context, body io.Reader) ([]byte, error) {
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
	return head[have:], up.chooseKey(ctx, head, all || len(head) >= footage.SniffLen)
}

// stagedHead reads the first durable bytes.
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

// chooseKey sets the blob key of a recognised video. Content that is not recognised is
// refused when certain says that more bytes would not help.
func (up *upload) chooseKey(ctx context.Context, head []byte, certain bool) error {
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
	return up.in.refuse(ctx, up.u, problem.New(wire.SlugNotAVideo,
		"%s is not an MP4, MOV, MKV, AVI or TS video, whatever its name says. Check the file on the card.", up.u.Name).
		Because(err))
}

// refuse deletes a session and returns the problem.
func (in *Intake) refuse(ctx context.Context, u ledger.Upload, p *problem.Error) error {
	if err := in.deleteSession(ctx, u); err != nil {
		return p.Because(errors.Join(p.Unwrap(), err)) // Run deletes it later
	}
	return p
}
