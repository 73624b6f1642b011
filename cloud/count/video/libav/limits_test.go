package libav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
)

var longClip []byte

// long is a clip whose decoding takes some seconds.
func long(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "long.mp4")
	if longClip != nil {
		if err := os.WriteFile(path, longClip, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var err error
	if longClip, err = os.ReadFile(makeLong(t)); err != nil {
		t.Fatal(err)
	}
	return long(t)
}

func makeLong(t *testing.T) string {
	return ffmpeg(t, "long.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=20", "-c:v", "libx264", "-preset",
		"ultrafast", "-pix_fmt", "yuv420p")
}

// decodeWith reads a clip to its end.
func decodeWith(t *testing.T, c Config, path string) (frames int, err error) {
	t.Helper()
	d, err := Open(t.Context(), c, path)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	var f video.Frame
	for err == nil {
		frames++
		err = d.Next(t.Context(), &f, 1)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return frames - 1, err
}

func TestLimits(t *testing.T) {
	path := long(t)
	for name, c := range map[string]struct {
		set  func(*Limits)
		text string
	}{
		"pixels":   {func(l *Limits) { l.Pixels = 640 * 480 }, "1280x720"},
		"frames":   {func(l *Limits) { l.Frames = 100 }, "100 are allowed"},
		"duration": {func(l *Limits) { l.Duration = 5 * time.Second }, "20s long, at most 5s"},
		"memory":   {func(l *Limits) { l.Memory = 12 << 20 }, "memory"},
	} {
		limits := DefaultLimits()
		c.set(&limits)
		n, err := decodeWith(t, Config{Limits: limits}, path)
		if !errors.Is(err, video.ErrLimit) || !isFault(err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %d frames, %v", name, n, err)
		}
	}
	if n, err := decodeWith(t, Config{}, path); n != 600 || err != nil {
		t.Errorf("without limits: %d frames, %v", n, err)
	}
}

// TestProcessorLimit decodes noise, which costs several seconds of processor time.
func TestProcessorLimit(t *testing.T) {
	path := ffmpeg(t, "noise.mp4", "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30:duration=8,noise=alls=60:allf=t", "-c:v",
		"libx264", "-preset", "ultrafast", "-crf", "15", "-pix_fmt", "yuv420p")
	limits := DefaultLimits()
	limits.CPU = time.Second
	n, err := decodeWith(t, Config{Limits: limits}, path)
	if !errors.Is(err, video.ErrLimit) || !strings.Contains(err.Error(), "processor time") {
		t.Errorf("%d frames, %v", n, err)
	}
	if n > 180 {
		t.Errorf("%d of 240 frames were decoded within a second; the clip is too cheap for this test", n)
	}
}

// TestLimitWhileDecoding checks the limits on a stream, whose headers announce neither a length nor a number of frames.
func TestLimitWhileDecoding(t *testing.T) {
	path := ffmpeg(t, "long.ts", "-i", long(t), "-c", "copy")
	for text, set := range map[string]func(*Limits){
		"more than 100 frames": func(l *Limits) { l.Frames = 100 },
		"longer than 5s":       func(l *Limits) { l.Duration = 5 * time.Second },
	} {
		limits := DefaultLimits()
		set(&limits)
		n, err := decodeWith(t, Config{Limits: limits}, path)
		if !errors.Is(err, video.ErrLimit) || !strings.Contains(err.Error(), text) || n < 90 {
			t.Errorf("%s: %d frames, %v", text, n, err)
		}
	}
}

// TestGiantPicture checks that a small file with a giant picture is refused before it takes memory, also when the
// header of the container lies about the size.
func TestGiantPicture(t *testing.T) {
	giant := ffmpeg(t, "giant.mp4", "-f", "lavfi", "-i", "color=size=12000x12000:rate=25", "-frames:v", "2", "-c:v", "libx264",
		"-preset", "ultrafast", "-pix_fmt", "yuv420p")
	b, err := os.ReadFile(giant)
	if err != nil {
		t.Fatal(err)
	}
	lie := strings.ReplaceAll(string(b), "\x2e\xe0\x2e\xe0", "\x00\x40\x00\x30") // the size in the sample entry
	if lie == string(b) {
		t.Fatal("the size is not in the header")
	}
	lying := giant + ".mp4"
	if err := os.WriteFile(lying, []byte(lie), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{giant, lying} {
		began := time.Now()
		_, err := decodeWith(t, Config{}, path)
		if !errors.Is(err, video.ErrLimit) && !errors.Is(err, video.ErrDecode) || !isFault(err) {
			t.Errorf("%s: %v", path, err)
		}
		t.Logf("%v after %v", err, time.Since(began).Round(time.Millisecond))
	}
}

// TestStall checks that a decoder without progress is ended.
func TestStall(t *testing.T) {
	d, err := Open(t.Context(), Config{}, long(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.config.Limits.Stall = 300 * time.Millisecond
	if err := d.child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	err = d.Next(t.Context(), new(video.Frame), 1)
	if !errors.Is(err, video.ErrLimit) || !strings.Contains(err.Error(), "no frame was decoded within 300ms") {
		t.Errorf("got %v", err)
	}
	if d.child.cmd.ProcessState == nil {
		t.Error("the child still runs")
	}
}

// TestDeath checks that the end of the child is an error of the clip, with the reason.
func TestDeath(t *testing.T) {
	path := long(t)
	for signal, want := range map[syscall.Signal]error{
		syscall.SIGSEGV: video.ErrDecode, syscall.SIGABRT: video.ErrDecode, syscall.SIGKILL: video.ErrLimit,
		syscall.SIGXCPU: video.ErrLimit,
	} {
		d, err := Open(t.Context(), Config{}, path)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.child.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			err = d.Next(t.Context(), new(video.Frame), 1)
		}
		if !errors.Is(err, want) || !isFault(err) {
			t.Errorf("%v: got %v, want %v", signal, err, want)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCancelWhileDecoding checks that the end of a context ends a running Next.
func TestCancelWhileDecoding(t *testing.T) {
	d, err := Open(t.Context(), Config{}, long(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	defer stop.Stop()
	if err := d.Next(ctx, new(video.Frame), 1); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// slow is a clip whose reads are controlled by a test.
type slow struct {
	io.ReaderAt
	read func(at int64) error
}

func (s slow) ReadAt(b []byte, at int64) (int, error) {
	if err := s.read(at); err != nil {
		return 0, err
	}
	return s.ReaderAt.ReadAt(b, at)
}

func stream(t *testing.T, c Config, path string, read func(at int64) error) (frames int, err error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenStream(t.Context(), c, slow{f, read}, info.Size())
	if err != nil {
		return 0, err
	}
	defer d.Close()
	var frame video.Frame
	for err = d.Next(t.Context(), &frame, 1); err == nil; err = d.Next(t.Context(), &frame, 1) {
		frames++
	}
	return frames, err
}

// TestStreamWaits checks that waiting for bytes is no lack of progress.
func TestStreamWaits(t *testing.T) {
	limits := DefaultLimits()
	limits.Stall = 4 * time.Second
	waited := false
	frames, err := stream(t, Config{Limits: limits}, long(t), func(at int64) error {
		if at > 1<<20 && !waited {
			waited = true
			<-time.After(limits.Stall * 5 / 4)
		}
		return nil
	})
	if !errors.Is(err, io.EOF) || frames != 600 || !waited {
		t.Errorf("%d frames, waited %v: %v", frames, waited, err)
	}
}

// TestStreamFault checks that a failed read is not a fault of the footage: the bytes may be there at the next attempt.
func TestStreamFault(t *testing.T) {
	broken := errors.New("connection reset")
	path := long(t)
	for _, from := range []int64{1 << 10, 1 << 20} {
		frames, err := stream(t, Config{}, path, func(at int64) error {
			if at > from {
				return fmt.Errorf("at %d: %w", at, broken)
			}
			return nil
		})
		if !errors.Is(err, broken) || isFault(err) || frames >= 600 {
			t.Errorf("from byte %d: %d frames, %v", from, frames, err)
		}
	}
}
