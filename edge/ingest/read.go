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
	"time"

	"cattlecounter/edge/capturetime"
	"cattlecounter/edge/cardfile"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/thumbnail"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

var (
	errChanged  = errors.New("file changed while it was read")
	errSource   = errors.New("card error")
	errTooLarge = errors.New("telemetry is too large")
	// errOther means that the file is another recording than the footage that is read again.
	errOther = errors.New("the card has another recording under the name of this footage")
)

// read reads one file and its sidecar into the spool.
func (in *Ingest) read(ctx context.Context, r spool.Record) error {
	if err := checkContent(r); err != nil {
		return err
	}
	if err := in.spool.Disk.CanHold(r.Source.Size); err != nil {
		return err
	}
	// The first chunk must fit; the upload may free space while the rest is read.
	if err := in.spool.Disk.MakeRoom(min(r.Source.Size, footage.ChunkSize)); err != nil {
		return err
	}
	before, err := in.spooledBefore(r)
	if err != nil {
		return err
	}
	if r, err = in.spool.Captures.BeginRead(r.ID); err != nil {
		return err
	}
	video, err := in.readFile(ctx, r.ID, spool.Video, r.Source, before)
	if err != nil {
		return err
	}
	if !r.SHA256.IsZero() && video.SHA256 != r.SHA256 {
		return fmt.Errorf("%w: its sha256 is %s, that of the footage %s", errOther, video.SHA256, r.SHA256)
	}
	m := footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID, Video: video, TelemetryOf: r.LogOf}
	if r.LogOf == "" {
		if err := in.addCompanions(ctx, r, &m); err != nil {
			return err
		}
	}
	if r, err = in.spool.Captures.Commit(m); err != nil {
		return err
	}
	in.log.Info("footage spooled", "footage", r.ID, "name", r.Name, "bytes", video.Size, "sha256", video.SHA256.String(),
		"state", string(r.State), "duplicate_of", string(r.DuplicateOf), "telemetry_of", string(r.LogOf))
	return nil
}

// spooledBefore returns the description of content that was spooled before and is read again because of damage, nil
// without such content.
func (in *Ingest) spooledBefore(r spool.Record) (*footage.File, error) {
	if r.SHA256.IsZero() {
		return nil, nil
	}
	m, err := in.spool.Content.Manifest(r.ID)
	switch {
	case errors.Is(err, spool.ErrNotFound), errors.Is(err, spool.ErrDamaged):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &m.Video, nil
}

// addCompanions adds telemetry, thumbnail and capture time of a video to its manifest.
func (in *Ingest) addCompanions(ctx context.Context, r spool.Record, m *footage.Manifest) (err error) {
	if r.Telemetry != nil {
		if m.Telemetry, err = in.readTelemetry(ctx, r); err != nil {
			return err
		}
	}
	if m.Thumbnail, err = in.spoolThumbnail(r); err != nil {
		return err
	}
	m.Captured, m.CapturedFrom = in.captureTime(r)
	return nil
}

// captureTime finds out when a video was recorded.
func (in *Ingest) captureTime(r spool.Record) (time.Time, footage.TimeSource) {
	now, trusted := in.clock()
	rec := capturetime.Recording{Name: filepath.Base(r.Source.Path), ModTime: r.Source.ModTime, Size: r.Source.Size}
	if r.Telemetry != nil {
		rec.LogPath = r.Telemetry.Path
	}
	if f, err := os.Open(r.Source.Path); err == nil {
		defer f.Close()
		rec.Video = f
	}
	at, from := capturetime.Find(rec, capturetime.Options{Now: now, Trusted: trusted})
	if from != footage.FromFile {
		in.log.Warn("the file has an implausible date; set the clock of the camera", "footage", r.ID, "name", r.Name,
			"file_time", r.Source.ModTime.UTC(), "captured", at, "captured_from", string(from))
	}
	return at, from
}

// readTelemetry reads the sidecar. Footage without telemetry is still useful: a sidecar that is missing, changed or
// too large is left out. The result is then nil without an error, and the watcher offers the sidecar again.
func (in *Ingest) readTelemetry(ctx context.Context, r spool.Record) (*footage.File, error) {
	if r.Telemetry.Size > wire.MaxTelemetry {
		in.log.Warn("telemetry left out; the video is spooled without it", "footage", r.ID, "err", errTooLarge,
			"bytes", r.Telemetry.Size)
		return nil, nil
	}
	f, err := in.readFile(ctx, r.ID, spool.Telemetry, *r.Telemetry, nil)
	if errors.Is(err, errSource) || errors.Is(err, errChanged) || errors.Is(err, os.ErrNotExist) {
		in.log.Warn("telemetry left out for now; the video is spooled without it", "footage", r.ID, "err", err)
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

// checkContent reads the first bytes of a video, whatever its name is, and the size of a flight log. The error wraps
// footage.ErrNotVideo for a file that is no video.
func checkContent(r spool.Record) error {
	if r.LogOf != "" {
		if r.Source.Size > wire.MaxTelemetry {
			return fmt.Errorf("%w: %d bytes, the cloud accepts %d", errTooLarge, r.Source.Size, int64(wire.MaxTelemetry))
		}
		return nil
	}
	f, err := os.Open(r.Source.Path)
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

// readFile reads one whole file, chunk by chunk. It checks before and after that this is the captured file; otherwise
// the error wraps errChanged. Where before is not nil, a chunk with another digest ends the read with errOther, so
// that the undamaged content of the footage is not overwritten.
func (in *Ingest) readFile(ctx context.Context, id footage.ID, p spool.Part, src spool.Source, before *footage.File,
) (footage.File, error) {
	f, err := os.Open(src.Path)
	if err != nil {
		return footage.File{}, fmt.Errorf("%w: %w", errSource, err)
	}
	defer f.Close()
	if err := checkUnchanged(f, src); err != nil {
		return footage.File{}, err
	}
	out := footage.File{Name: footage.SafeBase(src.Path), Size: src.Size}
	whole := sha256.New()
	for at := int64(0); at < src.Size; {
		if ctx.Err() != nil {
			return footage.File{}, context.Cause(ctx)
		}
		c, err := in.readChunk(f, id, p, len(out.Chunks), min(src.Size-at, footage.ChunkSize), whole, before)
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
	before *footage.File) (footage.Chunk, error) {
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
	if before != nil && (index >= len(before.Chunks) || before.Chunks[index] != c) {
		return footage.Chunk{}, fmt.Errorf("%w: chunk %d differs", errOther, index)
	}
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
	if src.Print.IsZero() {
		return nil
	}
	sum, err := cardfile.Print(f, src.Size)
	if err != nil {
		return fmt.Errorf("%w: %w", errSource, err)
	}
	if sum != src.Print {
		return fmt.Errorf("%w: its content differs from that of the captured file", errChanged)
	}
	return nil
}
