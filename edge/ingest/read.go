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
	errSource   = errors.New("card error")
	errTooLarge = errors.New("telemetry is too large")
)

// read reads one file and its sidecar into the spool.
func (in *Ingest) read(ctx context.Context, r spool.Record) error {
	if err := checkVideo(r.Source.Path); err != nil {
		return err
	}
	if err := in.spool.Disk.CanHold(r.Source.Size); err != nil {
		return err
	}
	// The first chunk must fit; the upload may free space while the rest is read.
	if err := in.spool.Disk.MakeRoom(min(r.Source.Size, footage.ChunkSize)); err != nil {
		return err
	}
	r, err := in.spool.Captures.BeginRead(r.ID)
	if err != nil {
		return err
	}
	video, err := in.readFile(ctx, r.ID, spool.Video, r.Source)
	if err != nil {
		return err
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Captured: r.Source.ModTime.UTC(), Video: video}
	if r.Telemetry != nil {
		if m.Telemetry, err = in.readTelemetry(ctx, r); err != nil {
			return err
		}
	}
	if m.Thumbnail, err = in.spoolThumbnail(r); err != nil {
		return err
	}
	if r, err = in.spool.Captures.Commit(m); err != nil {
		return err
	}
	in.log.Info("footage spooled", "footage", r.ID, "name", r.Name, "bytes", video.Size, "sha256", video.SHA256.String(),
		"state", string(r.State), "duplicate_of", string(r.DuplicateOf))
	return nil
}

// readTelemetry reads the sidecar. Footage without telemetry is still useful, so a missing,
// changed or too large sidecar is left out: the result is nil, without an error.
func (in *Ingest) readTelemetry(ctx context.Context, r spool.Record) (*footage.File, error) {
	if r.Telemetry.Size > wire.MaxTelemetry {
		in.log.Warn("telemetry left out; the video is spooled without it", "footage", r.ID, "err", errTooLarge, "bytes", r.Telemetry.Size)
		return nil, nil
	}
	f, err := in.readFile(ctx, r.ID, spool.Telemetry, *r.Telemetry)
	if errors.Is(err, errSource) || errors.Is(err, errChanged) || errors.Is(err, os.ErrNotExist) {
		in.log.Warn("telemetry left out; the video is spooled without it", "footage", r.ID, "err", err)
		return nil, nil
	}
	return &f, err
}

// spoolThumbnail stores the camera's own picture of the recording. The result is nil when
// there is none; only a full or broken spool is an error.
func (in *Ingest) spoolThumbnail(r spool.Record) (*footage.File, error) {
	p, err := thumbnail.Find(r.Source.Path)
	if err != nil {
		if !errors.Is(err, thumbnail.ErrNone) {
			in.log.Warn("thumbnail left out; the video is spooled without it", "footage", r.ID, "err", err)
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

// checkVideo reads the first bytes, whatever the name is. The error wraps footage.ErrNotVideo
// for a file that is no video.
func checkVideo(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	defer f.Close()
	head := make([]byte, footage.SniffLen)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	_, err = footage.Sniff(head[:n])
	return err
}

// readFile reads one whole file, chunk by chunk. It checks before and after that this is the
// captured file; otherwise the error wraps errChanged.
func (in *Ingest) readFile(ctx context.Context, id footage.ID, p spool.Part, src spool.Source) (footage.File, error) {
	f, err := os.Open(src.Path)
	if err != nil {
		return footage.File{}, fmt.Errorf("%w: %w", errSource, err)
	}
	defer f.Close()
	if err := checkUnchanged(f, src); err != nil {
		return footage.File{}, err
	}
	out := footage.File{Name: filepath.Base(src.Path), Size: src.Size}
	whole := sha256.New()
	for at := int64(0); at < src.Size; {
		if ctx.Err() != nil {
			return footage.File{}, context.Cause(ctx)
		}
		c, err := in.readChunk(f, id, p, len(out.Chunks), min(src.Size-at, footage.ChunkSize), whole)
		if err != nil {
			return footage.File{}, err
		}
		out.Chunks = append(out.Chunks, c)
		if at += c.Size; p == spool.Video {
			in.spool.Captures.SetRead(id, at)
		}
	}
	// Signs of a change: a byte beyond the end, another size or time, another file under the name.
	if n, _ := f.Read(in.buf[:1]); n > 0 {
		return footage.File{}, fmt.Errorf("%w: it is longer than the captured %d bytes", errChanged, src.Size)
	}
	if err := checkUnchanged(f, src); err != nil {
		return footage.File{}, err
	}
	whole.Sum(out.SHA256[:0])
	return out, nil
}

// readChunk reads the next size bytes of f into the spool and into the digest of the whole file.
func (in *Ingest) readChunk(f io.Reader, id footage.ID, p spool.Part, index int, size int64, whole hash.Hash,
) (footage.Chunk, error) {
	if in.buf == nil {
		in.buf = make([]byte, footage.ChunkSize)
	}
	b := in.buf[:size]
	if n, err := io.ReadFull(f, b); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return footage.Chunk{}, fmt.Errorf("%w: it ends %d bytes early", errChanged, size-int64(n))
	} else if err != nil {
		return footage.Chunk{}, fmt.Errorf("%w: %w", errSource, err)
	}
	whole.Write(b)
	c := footage.Chunk{Index: index, Size: size, SHA256: footage.Sum(b)}
	return c, in.spool.Content.PutChunk(id, p, c, b)
}

// checkUnchanged compares the open file, and the file that its path names now, with the capture.
func checkUnchanged(f *os.File, src spool.Source) error {
	open, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	named, err := os.Stat(src.Path)
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	if !os.SameFile(open, named) || open.Size() != src.Size || !open.ModTime().Equal(src.ModTime) {
		const layout = "2006-01-02 15:04:05.000"
		return fmt.Errorf("%w: it has %d bytes of %s, captured were %d bytes of %s", errChanged,
			open.Size(), open.ModTime().UTC().Format(layout), src.Size, src.ModTime.UTC().Format(layout))
	}
	return nil
}
