package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// boxes is the outer structure of an MP4, with boxes of these kinds in this order.
func boxes(kinds ...string) string {
	var b []byte
	for _, k := range kinds {
		content := strings.Repeat(k, 1000)
		if k == "ftyp" {
			content = "isom\x00\x00\x02\x00isom"
		}
		b = binary.BigEndian.AppendUint32(b, uint32(8+len(content)))
		b = append(append(b, k...), content...)
	}
	return string(b)
}

// slowStore is a remote store. A test controls its downloads that start at byte 0.
type slowStore struct {
	blob.Store
	open func(io.Reader) io.Reader
}

func (c slowStore) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := c.Store.Open(ctx, key, offset, length)
	if err != nil || offset > 0 {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{c.open(r), r}, nil
}

// putClip records footage with this content.
func (s *stage) putClip(content string) ledger.Job {
	s.t.Helper()
	const key = "footage/f1/original.mp4"
	if _, err := s.b.Put(s.t.Context(), key, strings.NewReader(content)); err != nil {
		s.t.Fatal(err)
	}
	rec, err := s.l.Footage.Record(s.t.Context(), ledger.Footage{ID: "f1", Site: "north", Device: "d", Name: "a.mp4", Size: int64(len(content)), SHA256: footage.Sum([]byte(content)), BlobKey: key})
	if err == nil {
		err = s.q.Enqueue(s.t.Context(), rec.Job.ID)
	}
	if err == nil {
		err = s.l.Jobs.MarkQueued(s.t.Context(), rec.Job.ID)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return *rec.Job
}

// TestCountDuringTheDownload checks that the count begins with the start and the index of a clip, wherever the index
// is, and reads the rest as it arrives.
func TestCountDuringTheDownload(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		held    int64 // the download stops at this byte
		tail    int64 // the prefetched tail starts here
	}{
		"index first": {boxes("ftyp", "moov", "mdat"), 5000, 8036},
		"index last":  {boxes("ftyp", "mdat", "moov", "free"), 3000, 4028},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			j := s.putClip(c.content)
			goOn := make(chan struct{})
			w := s.worker("w", counterFunc(func(_ context.Context, src count.Source, _ func(job.Progress)) (count.Outcome, error) {
				if src.Content == nil {
					return count.Outcome{}, errors.New("no stream")
				}
				end := make([]byte, len(c.content)-int(c.tail))
				if n, err := src.Content.ReadAt(end, c.tail); n != len(end) || n > 0 && err != nil {
					t.Errorf("%d bytes of the tail: %v", n, err)
				}
				close(goOn) // the download continues
				got, err := io.ReadAll(io.NewSectionReader(src.Content, 0, src.Size))
				if err != nil || string(got) != c.content {
					t.Errorf("%d bytes read, want %d: %v", len(got), len(c.content), err)
				}
				return outcome(4), nil
			}))
			w.o.Blobs = slowStore{s.b, func(r io.Reader) io.Reader {
				return io.MultiReader(io.LimitReader(r, c.held), readerFunc(func(b []byte) (int, error) { <-goOn; return r.Read(b) }))
			}}
			s.deliver(t.Context(), w)
			if got := s.job(j.ID); got.State != job.Done || got.Attempt != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// wrongTail is a store that returns wrong bytes for requests with an offset.
type wrongTail struct{ blob.Store }

func (l wrongTail) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := l.Store.Open(ctx, key, offset, length)
	if err != nil || offset == 0 {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		copy(b[:n], bytes.ReplaceAll(b[:n], []byte("moov"), []byte("EVIL")))
		return n, err
	}), r}, nil
}

// TestWrongTailIsCountedAgain checks that a count with a wrong index is repeated with the whole file.
func TestWrongTailIsCountedAgain(t *testing.T) {
	s := newStage(t)
	content := boxes("ftyp", "mdat", "moov")
	j := s.putClip(content)
	goOn := make(chan struct{})
	calls := 0
	w := s.worker("w", counterFunc(func(_ context.Context, src count.Source, _ func(job.Progress)) (count.Outcome, error) {
		if calls++; src.Content == nil {
			return outcome(4), nil
		}
		end := make([]byte, 8)
		if _, err := src.Content.ReadAt(end, int64(len(content)-len(end))); err != nil || string(end) != "EVILEVIL" {
			t.Errorf("%q %v", end, err)
		}
		close(goOn)
		return outcome(99), nil
	}))
	w.o.Blobs = wrongTail{slowStore{s.b, func(r io.Reader) io.Reader {
		return io.MultiReader(io.LimitReader(r, 3000), readerFunc(func(b []byte) (int, error) { <-goOn; return r.Read(b) }))
	}}}
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Done || got.Progress.Count != 4 || calls != 2 {
		t.Errorf("%d calls, %+v", calls, got)
	}
}

// TestStreamedCountIsConfirmed checks that a count during the download is valid only when the download is.
func TestStreamedCountIsConfirmed(t *testing.T) {
	reset := errors.New("connection reset")
	for name, c := range map[string]struct {
		content string
		open    func(io.Reader) io.Reader
		streams bool  // the first count gets a stream
		first   error // of the first count
		calls   int
		state   job.State
		reason  string
	}{
		"no index: waits":                 {boxes("ftyp", "mdat"), nil, false, nil, 1, job.Done, ""},
		"index first":                     {boxes("ftyp", "moov", "mdat"), nil, true, nil, 1, job.Done, ""},
		"index last":                      {boxes("ftyp", "mdat", "moov"), nil, true, nil, 1, job.Done, ""},
		"more after the frames":           {boxes("ftyp", "moov", "mdat", "free"), nil, true, nil, 1, job.Done, ""},
		"a fault during the download":     {boxes("ftyp", "moov", "mdat"), nil, true, video.ErrTruncated, 2, job.Done, ""},
		"the link breaks":                 {boxes("ftyp", "moov", "mdat"), func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 5000), iotest.ErrReader(reset)) }, true, video.ErrTruncated, 1, job.Queued, "connection reset"},
		"the link breaks after the count": {boxes("ftyp", "moov", "mdat"), func(r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 5000), iotest.ErrReader(reset)) }, true, nil, 1, job.Queued, "connection reset"},
		"other bytes": {boxes("ftyp", "moov", "mdat"), func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 9000), strings.NewReader(strings.Repeat("x", 100)))
		}, true, nil, 1, job.Queued, "other bytes than were stored"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			j := s.putClip(c.content)
			calls := 0
			w := s.worker("w", counterFunc(func(_ context.Context, src count.Source, _ func(job.Progress)) (count.Outcome, error) {
				calls++
				if got := src.Content != nil; got != (c.streams && calls == 1) {
					t.Errorf("call %d: has a stream: %v", calls, got)
				}
				if calls == 1 && c.first != nil {
					return count.Outcome{}, c.first
				}
				return outcome(4), nil
			}))
			open := c.open
			if open == nil {
				open = func(r io.Reader) io.Reader { return r }
			}
			w.o.Blobs = slowStore{s.b, open}
			s.deliver(t.Context(), w)
			if got := s.job(j.ID); got.State != c.state || calls != c.calls || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("%d calls, %+v", calls, got)
			}
		})
	}
}
