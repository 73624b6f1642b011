package opencv

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/container"
	"cattlecounter/cloud/count/video/stream"
)

// arriving is a file whose reads take a while.
type arriving struct {
	io.ReaderAt
	pieces atomic.Int32
}

func (a *arriving) ReadAt(b []byte, at int64) (int, error) {
	a.pieces.Add(1)
	<-time.After(5 * time.Millisecond)
	return a.ReaderAt.ReadAt(b, at)
}

// TestStream checks that a streamed clip has the same frames as a file, for an index at the start and at the end.
func TestStream(t *testing.T) {
	t.Setenv("http_proxy", "http://127.0.0.1:1") // must not be used
	last := clip(t, 50)
	first := ffmpeg(t, "first.mp4", "-i", last, "-c", "copy", "-movflags", "+faststart")
	for path, behind := range map[string]bool{last: true, first: false} {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if tail, ok := container.Tail(f, info.Size()); !ok || (tail < info.Size()) != behind {
			t.Errorf("%s: from byte %d of %d, %v", path, tail, info.Size(), ok)
		}
		r := &arriving{ReaderAt: f}
		frames, indexed, err := streamed(t, r, info.Size())
		if !errors.Is(err, io.EOF) || frames != 50 || indexed != 50 || r.pieces.Load() < 2 {
			t.Errorf("%d of %d frames in %d pieces, %v", frames, indexed, r.pieces.Load(), err)
		}
	}
}

// streamed decodes a streamed clip. It returns the number of decoded frames, the number in the index, and the error at
// the end.
func streamed(t *testing.T, r io.ReaderAt, size int64) (frames, indexed int, err error) {
	t.Helper()
	url, stop, err := stream.Serve(t.Context(), r, size, ".mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	d, err := OpenStream(url, r, size)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var frame video.Frame
	for err = d.Next(context.Background(), &frame, 1); err == nil; err = d.Next(context.Background(), &frame, 1) {
		frames++
	}
	return frames, d.Info().Frames, err
}

// torn fails in the last part of the pictures, as a read does after a long wait.
type torn struct {
	io.ReaderAt
	from, to int64
}

func (r torn) ReadAt(b []byte, at int64) (int, error) {
	if at >= r.to || at+int64(len(b)) <= r.from {
		return r.ReaderAt.ReadAt(b, at)
	}
	n, err := r.ReaderAt.ReadAt(b[:max(0, r.from-at)], at)
	return n, errors.Join(err, errors.New("torn"))
}

// TestStreamThatEndsEarly checks that a small missing part is an error for a stream. For a file it is not: there is
// nothing more to read.
func TestStreamThatEndsEarly(t *testing.T) {
	const whole = 300
	f, err := os.Open(ffmpeg(t, "noise.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=10,noise=alls=40:allf=t", "-c:v", "libx264", "-g", "30", "-bf", "0", "-preset", "ultrafast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tail, _ := container.Tail(f, info.Size())
	r := torn{f, tail - tail/20, tail} // about half a second
	frames, _, err := streamed(t, r, info.Size())
	if !errors.Is(err, video.ErrTruncated) || frames < whole-30 || frames > whole-3 {
		t.Errorf("%d of %d frames: %v", frames, whole, err)
	}
}
