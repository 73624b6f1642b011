package ground

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Blobs reads what is stored; every blob.Store implements it.
type Blobs interface {
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
	Stat(ctx context.Context, key string) (blob.Info, error)
}

// Footage reads the ledger's footage; *ledger.Catalog implements it.
type Footage interface {
	Get(ctx context.Context, id footage.ID) (ledger.FootageView, error)
	ListDuplicates(ctx context.Context, id footage.ID, limit int) ([]ledger.Footage, error)
}

// Logs finds flight logs of stored footage: the file that came with it, else what the drone wrote into the video. It is
// safe for concurrent use.
type Logs struct {
	Blobs   Blobs
	Footage Footage
}

const mostCopies = 20 // duplicates whose logs are looked for

// Key returns the blob key of the log that came with footage, "" without one. Footage with the same content has the same
// log: a copy that came with a log gives it to the others.
func (l Logs) Key(ctx context.Context, f ledger.Footage) (string, error) {
	if f.TelemetryKey != "" {
		return f.TelemetryKey, nil
	}
	if f.DuplicateOf != "" {
		original, err := l.Footage.Get(ctx, f.DuplicateOf)
		if err != nil || original.TelemetryKey != "" {
			return original.TelemetryKey, err
		}
	}
	copies, err := l.Footage.ListDuplicates(ctx, f.Original(), mostCopies)
	for _, c := range copies {
		if c.TelemetryKey != "" {
			return c.TelemetryKey, err
		}
	}
	return "", err
}

// Find reads the log of footage. length is that of the video, 0 when it is not known. The log is nil unless its state is
// LogOK. The error is one of the storage or the ledger.
func (l Logs) Find(ctx context.Context, f ledger.Footage, length time.Duration) (*flightlog.Log, ledger.FlightLog, error) {
	log, found, err := l.read(ctx, f)
	if log == nil || err != nil {
		return nil, found, err
	}
	found = ledger.FlightLog{State: ledger.LogOK, Dialect: log.Dialect, Fixes: log.Fixes()}
	if found.Fixes == 0 {
		found.State, found.Why = ledger.LogNoFix, "none of its records has a position"
		return nil, found, nil
	}
	captured := f.Captured
	if log.Zone == flightlog.Local && !captured.IsZero() {
		_, offset := captured.In(zoneAt(log).location).Zone()
		captured = captured.Add(time.Duration(offset) * time.Second)
	}
	if length > 0 || log.OfVideo {
		if why := place.Fit(log, captured, length); why != "" {
			found.State, found.Why = ledger.LogDoesNotFit, why
			return nil, found, nil
		}
	}
	if len(log.Faults) > 0 {
		found.Why = log.Faults[0].String()
	}
	return log, found, nil
}

// read reads the log that came with footage, else the one inside its video.
func (l Logs) read(ctx context.Context, f ledger.Footage) (*flightlog.Log, ledger.FlightLog, error) {
	missing := ledger.FlightLog{State: ledger.LogMissing, Why: "no flight log came with the video, and none is inside of it"}
	key, err := l.Key(ctx, f)
	if err != nil {
		return nil, missing, err
	}
	if key != "" {
		b, err := ReadBlob(ctx, l.Blobs, key, wire.MaxTelemetry)
		if errors.Is(err, blob.ErrNotFound) {
			return nil, missing, nil
		}
		if err != nil {
			return nil, missing, err
		}
		log, err := flightlog.Read(key, bytes.NewReader(b))
		return log, unusable(err), nil
	}
	if f.BlobKey == "" {
		return nil, missing, nil
	}
	info, err := l.Blobs.Stat(ctx, f.BlobKey)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, missing, nil
	}
	if err != nil {
		return nil, missing, err
	}
	r := newBlobReader(ctx, l.Blobs, f.BlobKey, info.Size)
	log, err := flightlog.ReadVideo(r, info.Size)
	switch {
	case r.failed != nil:
		return nil, missing, r.failed
	case err == nil:
		return log, ledger.FlightLog{}, nil
	case noFix(err):
		return nil, unusable(err), nil
	}
	return nil, missing, nil
}

// videoGone reports whether the video of footage was removed. Retention deletes the blob before the ledger forgets it.
func (l Logs) videoGone(ctx context.Context, f ledger.Footage) (bool, error) {
	if f.BlobKey == "" {
		return true, nil
	}
	_, err := l.Blobs.Stat(ctx, f.BlobKey)
	if errors.Is(err, blob.ErrNotFound) {
		return true, nil
	}
	return false, err
}

// unusable is the state of a log that could not be read.
func unusable(err error) ledger.FlightLog {
	switch {
	case err == nil:
		return ledger.FlightLog{}
	case noFix(err):
		return ledger.FlightLog{State: ledger.LogNoFix, Why: reason(err)}
	}
	return ledger.FlightLog{State: ledger.LogUnreadable, Why: reason(err)}
}

// noFix reports whether a log has records and none of them a position. flightlog has one class for both faults.
func noFix(err error) bool {
	return errors.Is(err, flightlog.ErrNoLog) &&
		(strings.Contains(err.Error(), "has a position") || strings.Contains(err.Error(), "no position"))
}

func reason(err error) string {
	return strings.TrimPrefix(err.Error(), flightlog.ErrNoLog.Error()+": ")
}

// ReadBlob reads a blob of at most most bytes. A longer one is an error.
func ReadBlob(ctx context.Context, blobs Blobs, key string, most int64) ([]byte, error) {
	r, err := blobs.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("blob %s has more than %d bytes", key, most)
	}
	return b, nil
}

// blockSize is what one request of a blobReader reads: a remote storage takes longer to answer than to send it.
const blockSize = 256 << 10

// blobReader reads a video by blocks and keeps the last one. It is not safe for concurrent use.
type blobReader struct {
	open   func(at int64) (io.ReadCloser, error) // reads a block of the blob
	size   int64
	block  []byte
	at     int64 // of block in the blob
	failed error // of the storage: it says nothing about the video
}

// newBlobReader reads within ctx.
func newBlobReader(ctx context.Context, blobs Blobs, key string, size int64) *blobReader {
	return &blobReader{size: size, open: func(at int64) (io.ReadCloser, error) { return blobs.Open(ctx, key, at, blockSize) }}
}

// ReadAt implements io.ReaderAt.
func (r *blobReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at < 0 || at >= r.size {
			return n, io.EOF
		}
		if at < r.at || at >= r.at+int64(len(r.block)) {
			if err := r.load(at / blockSize * blockSize); err != nil {
				r.failed = err
				return n, err
			}
			if at >= r.at+int64(len(r.block)) {
				return n, io.ErrUnexpectedEOF
			}
		}
		n += copy(p[n:], r.block[at-r.at:])
	}
	return n, nil
}

func (r *blobReader) load(at int64) error {
	body, err := r.open(at)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(body, blockSize))
	if err := errors.Join(err, body.Close()); err != nil {
		return err
	}
	r.block, r.at = b, at
	return nil
}

// Limits of what a count left, in bytes.
const (
	maxResult = 64 << 20
	maxTrace  = 128 << 20
)

// Length returns how long the video of counted footage is, 0 for footage without a count.
func (l Logs) Length(ctx context.Context, v ledger.FootageView) (time.Duration, error) {
	doc, err := l.result(ctx, v)
	return lengthOf(doc), err
}

// result reads the result document of footage; nil for footage without a count of its own.
func (l Logs) result(ctx context.Context, v ledger.FootageView) ([]byte, error) {
	if v.Job == nil || v.Job.ResultKey == "" || v.Job.Footage != v.Original() {
		return nil, nil
	}
	b, err := ReadBlob(ctx, l.Blobs, v.Job.ResultKey, maxResult)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func lengthOf(result []byte) time.Duration {
	var doc struct {
		Video struct {
			Duration float64 `json:"duration_seconds"`
		} `json:"video"`
	}
	if json.Unmarshal(result, &doc) != nil {
		return 0 // a damaged result is reported where it is read
	}
	return time.Duration(doc.Video.Duration * float64(time.Second))
}
