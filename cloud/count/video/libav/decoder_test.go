package libav

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/opencv"
)

// clip writes frames frames of 64x48 pixels; the blue value counts them.
func clip(t *testing.T, frames int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	e, err := opencv.Create(path, 64, 48, 25)
	if err != nil {
		t.Fatal(err)
	}
	var f video.Frame
	f.Resize(64, 48)
	for i := range frames {
		for p := range f.Pix {
			f.Pix[p] = byte(i * 3)
		}
		f.Index = i
		if err := e.Write(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// ffmpeg writes a clip with Debian's tool into a temporary folder.
func ffmpeg(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	runFFmpeg(t, nil, append(args, path)...)
	return path
}

// decode reads a clip to its end.
func decode(t *testing.T, path string, every int) (info video.Info, indices []int, times []time.Duration, err error) {
	t.Helper()
	d, err := Open(t.Context(), Config{}, path)
	if err != nil {
		return info, nil, nil, err
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	var f video.Frame
	for {
		if err := d.Next(t.Context(), &f, every); err != nil {
			if again := d.Next(t.Context(), &f, every); !errors.Is(again, err) {
				t.Errorf("after the error %v Next returned %v", err, again)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return d.Info(), indices, times, err
		}
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		indices, times = append(indices, f.Index), append(times, f.Time)
	}
}

func TestRoundTrip(t *testing.T) {
	path := clip(t, 50)
	info, indices, times, err := decode(t, path, 1)
	if err != nil {
		t.Fatal(err)
	}
	if info.Width != 64 || info.Height != 48 || info.FPS != 25 || info.Frames != 50 || info.Duration != 2*time.Second || info.Container != "mp4" || info.Codec == "" {
		t.Errorf("%+v", info)
	}
	for i := range indices {
		if indices[i] != i || times[i].Round(time.Millisecond) != time.Duration(i)*40*time.Millisecond {
			t.Errorf("frame %d has index %d and time %v", i, indices[i], times[i])
		}
	}
	if len(indices) != 50 {
		t.Errorf("%d frames", len(indices))
	}
}

func TestPixels(t *testing.T) {
	d, err := Open(t.Context(), Config{}, clip(t, 50))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var f video.Frame
	for range 5 {
		if err := d.Next(t.Context(), &f, 10); err != nil {
			t.Fatal(err)
		}
		if got, want := float64(f.Pix[0]), float64(f.Index*3); math.Abs(got-want) > 4 {
			t.Errorf("frame %d shows %v, want %v", f.Index, got, want)
		}
	}
	if f.Index != 40 {
		t.Errorf("fifth frame is %d", f.Index)
	}
	if err := d.Next(t.Context(), &f, 10); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

func TestCancel(t *testing.T) {
	d, err := Open(t.Context(), Config{}, clip(t, 5))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cause := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := d.Next(ctx, new(video.Frame), 1); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if err := d.Next(t.Context(), new(video.Frame), 1); err != nil {
		t.Errorf("Next after a canceled call: %v", err)
	}
}

func TestFormats(t *testing.T) {
	src := []string{"-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=3", "-pix_fmt", "yuv420p"}
	with := func(args ...string) []string { return append(append([]string{}, src...), args...) }
	for name, args := range map[string][]string{
		"bframes.mp4":    with("-c:v", "libx264", "-bf", "3"),
		"faststart.mp4":  with("-c:v", "libx264", "-movflags", "+faststart"),
		"fragmented.mp4": with("-c:v", "libx264", "-movflags", "+frag_keyframe+empty_moov"),
		"plain.mkv":      with("-c:v", "libx264"),
		"plain.avi":      with("-c:v", "mpeg4"),
		"plain.ts":       with("-c:v", "libx264"),
		"hevc10.mov":     {"-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=3", "-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-x265-params", "log-level=none"},
		// Half of the frames are dropped, so the announced rate does not fit their times.
		"variable.mkv": {"-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=3", "-vf", "select='lt(n,30)+not(mod(n,5))'", "-fps_mode", "vfr", "-c:v", "libx264"},
		"variable.mp4": {"-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=3", "-vf", "select='lt(n,30)+not(mod(n,5))'", "-fps_mode", "vfr", "-c:v", "libx264"},
	} {
		t.Run(name, func(t *testing.T) {
			info, indices, times, err := decode(t, ffmpeg(t, name, args...), 1)
			if err != nil {
				t.Fatal(err)
			}
			want := 90
			if strings.HasPrefix(name, "variable") {
				want = 42
			}
			last := times[len(times)-1].Seconds()
			if math.Abs(float64(len(indices)-want)) > 1 || last < 2.8 || last > 3.05 {
				t.Errorf("%d frames, want %d; the last at %.3f s; %+v", len(indices), want, last, info)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(clip(t, 50))
	if err != nil {
		t.Fatal(err)
	}
	fast, err := os.ReadFile(ffmpeg(t, "fast.mp4", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=30:duration=5", "-c:v", "libx264", "-movflags", "+faststart"))
	if err != nil {
		t.Fatal(err)
	}
	sound := ffmpeg(t, "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1")
	damaged := append([]byte{}, fast...)
	clear(damaged[len(damaged)/4:])
	for name, c := range map[string]struct {
		path string
		want error
		text string // in the error
	}{
		"empty":      {write("empty.mp4", nil), video.ErrEmpty, "0 bytes"},
		"text":       {write("text.mp4", []byte("This is not a video in spite of its name.")), video.ErrNotVideo, "This is not "},
		"folder":     {folder, video.ErrNotVideo, "not a regular file"},
		"absent":     {filepath.Join(folder, "absent.mp4"), os.ErrNotExist, "absent.mp4"},
		"no index":   {write("noindex.mp4", whole[:len(whole)/2]), video.ErrTruncated, ""},
		"cut":        {write("cut.mp4", fast[:len(fast)/2]), video.ErrTruncated, "bytes of the pictures"},
		"sound only": {sound, video.ErrDecode, "no video stream"},
		"damaged":    {write("damaged.mp4", damaged), video.ErrTruncated, "of 150 frames"},
	} {
		_, indices, _, err := decode(t, c.path, 1)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v after %d frames, want %v", name, err, len(indices), c.want)
		}
		t.Logf("%s: %v", name, err)
	}
}
