package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/thumbnail"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

var (
	errChanged  = errors.New("file changed while it was read")
	errSource   = errors.New("card")
	errTooLarge = errors.New("telemetry is too large")
)

// read takes one file, and its sidecar, into the spool.
func (in *Ingest) read(ctx context.Context, r spool.Record) error {
	if err := sniff(r.Source.Path); err != nil {
		return err
	}
	if err := in.spool.Disk.CanHold(r.Source.Size); err != nil {
		return err
	}
	// Ask for the first chunk only: the upload may make room while the rest is read.
	if err := in.spool.Disk.MakeRoom(min(r.Source.Size, footage.ChunkSize)); err != nil {
		return err
	}
	r, err := in.spool.Captures.BeginRead(r.ID)
	if err != nil {
		return err
	}
	video, err := in.file(ctx, r.ID, spool.Video, r.Source)
	if err != nil {
		return err
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Captured: r.Source.ModTime.UTC(), Video: video}
	if r.Telemetry != nil {
		side, err := in.sidecar(ctx, r)
		if err != nil {
			return err
		}
		m.Telemetry = side
	}
	if m.Thumbnail, err = in.thumbnail(r); err != nil {
		return err
	}
	if r, err = in.spool.Captures.Commit(m); err != nil {
		return err
	}
	in.log.Info("footage spooled", "footage", r.ID, "name", r.Name, "bytes", video.Size, "sha256", video.SHA256.String(),
		"state", string(r.State), "duplicate_of", string(r.DuplicateOf))
	return nil
}

// sidecar reads the telemetry. Without it the footage is worth less, but not
// nothing: a sidecar that is gone, changed or too large is left out.
func (in *Ingest) sidecar(ctx context.Context, r spool.Record) (*footage.File, error) {
	if r.Telemetry.Size > wire.MaxTelemetry {
		in.log.Warn("telemetry left out", "footage", r.ID, "err", errTooLarge, "bytes", r.Telemetry.Size)
		return nil, nil
	}
	f, err := in.file(ctx, r.ID, spool.Telemetry, *r.Telemetry)
	if errors.Is(err, errSource) || errors.Is(err, errChanged) || errors.Is(err, os.ErrNotExist) {
		in.log.Warn("telemetry left out", "footage", r.ID, "err", err)
		return nil, nil
	}
	return &f, err
}

// thumbnail keeps the picture that the camera left of the recording. Nothing is
// lost without one: only a full or broken spool is an error.
func (in *Ingest) thumbnail(r spool.Record) (*footage.File, error) {
	p, err := thumbnail.Find(r.Source.Path)
	if err != nil {
		if !errors.Is(err, thumbnail.ErrNone) {
			in.log.Warn("thumbnail left out", "footage", r.ID, "err", err)
		}
		return nil, nil
	}
	name := strings.TrimSuffix(r.Name, filepath.Ext(r.Name)) + ".jpg"
	sum, size := footage.Sum(p.JPEG), int64(len(p.JPEG))
	c := footage.Chunk{Size: size, SHA256: sum}
	if err := in.spool.Content.PutChunk(r.ID, spool.Thumbnail, c, p.JPEG); err != nil {
		return nil, err
	}
	in.log.Debug("thumbnail spooled", "footage", r.ID, "from", p.From, "bytes", size)
	return &footage.File{Name: name, Size: size, SHA256: sum, Chunks: []footage.Chunk{c}}, nil
}

// sniff looks at the first bytes, never at the name. The error wraps
// footage.ErrNotVideo.
func sniff(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open: %w: %w", err, errSource)
	}
	defer f.Close()
	head := make([]byte, footage.SniffLen)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read: %w: %w", err, errSource)
	}
	_, err = footage.Sniff(head[:n])
	return err
}

// file reads one file whole, chunk by chunk, and checks before and after that
// it is the file that was captured.
func (in *Ingest) file(ctx context.Context, id footage.ID, p spool.Part, src spool.Source) (footage.File, error) {
	f, err := os.Open(src.Path)
	if err != nil {
		return footage.File{}, fmt.Errorf("open: %w: %w", err, errSource)
	}
	defer f.Close()
	if err := unchanged(f, src); err != nil {
		return footage.File{}, err
	}
	out := footage.File{Name: filepath.Base(src.Path), Size: src.Size}
	whole := sha256.New()
	for at := int64(0); at < src.Size; {
		if ctx.Err() != nil {
			return footage.File{}, context.Cause(ctx)
		}
		c, err := in.chunk(f, id, p, len(out.Chunks), min(src.Size-at, footage.ChunkSize), whole)
		if err != nil {
			return footage.File{}, err
		}
		out.Chunks = append(out.Chunks, c)
		if at += c.Size; p == spool.Video {
			in.spool.Captures.SetRead(id, at)
		}
	}
	// A byte beyond the end, or another size or time, or another file under the name.
	if n, _ := f.Read(in.buf[:1]); n > 0 {
		return footage.File{}, fmt.Errorf("it grew beyond %d bytes: %w", src.Size, errChanged)
	}
	if err := unchanged(f, src); err != nil {
		return footage.File{}, err
	}
	whole.Sum(out.SHA256[:0])
	return out, nil
}

func (in *Ingest) chunk(f io.Reader, id footage.ID, p spool.Part, index int, size int64, whole hash.Hash) (footage.Chunk, error) {
	if in.buf == nil {
		in.buf = make([]byte, footage.ChunkSize)
	}
	b := in.buf[:size]
	if n, err := io.ReadFull(f, b); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return footage.Chunk{}, fmt.Errorf("it ends %d bytes early: %w", size-int64(n), errChanged)
	} else if err != nil {
		return footage.Chunk{}, fmt.Errorf("read: %w: %w", err, errSource)
	}
	whole.Write(b)
	c := footage.Chunk{Index: index, Size: size, SHA256: footage.Sum(b)}
	return c, in.spool.Content.PutChunk(id, p, c, b)
}

// unchanged compares the open file, and what its name means now, with the capture.
func unchanged(f *os.File, src spool.Source) error {
	open, err := f.Stat()
	if err != nil {
		return fmt.Errorf("stat: %w: %w", err, errSource)
	}
	named, err := os.Stat(src.Path)
	if err != nil {
		return fmt.Errorf("stat: %w: %w", err, errSource)
	}
	if !os.SameFile(open, named) || open.Size() != src.Size || !open.ModTime().Equal(src.ModTime) {
		return fmt.Errorf("%d bytes of %s, captured with %d bytes of %s: %w",
			open.Size(), open.ModTime().UTC().Format("2006-01-02 15:04:05.000"), src.Size, src.ModTime.UTC().Format("2006-01-02 15:04:05.000"), errChanged)
	}
	return nil
}
