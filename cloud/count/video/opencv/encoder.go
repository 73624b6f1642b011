// Package opencv encodes video through OpenCV. Build it with the tags gocv_specific_modules and gocv_videoio: Debian's
// OpenCV lacks parts that the other modules of gocv need.
package opencv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"gocv.io/x/gocv"

	"cattlecounter/cloud/count/video"
)

// ErrEncode marks a clip that cannot be written.
var ErrEncode = errors.New("video cannot be written")

// codecs for an MP4 file, by preference: H.264, which browsers play, if the build has an encoder for it; else MPEG-4
// part 2.
var codecs = []string{"avc1", "mp4v"}

// maxFPS is above the rate of any camera.
const maxFPS = 1000

// silenceFFmpeg turns off the messages of FFmpeg on standard error. OpenCV reads the variable when it opens a file. An
// operator can set the variable to get the messages. -8 is AV_LOG_QUIET.
var silenceFFmpeg = sync.OnceFunc(func() {
	const name = "OPENCV_FFMPEG_LOGLEVEL"
	if os.Getenv(name) == "" {
		_ = os.Setenv(name, "-8") // it fails only for malformed names
	}
})

// Encoder writes frames into an MP4 file. It belongs to one goroutine at a time. Close completes the file.
type Encoder struct {
	path          string
	width, height int
	codec         string
	writer        *gocv.VideoWriter
}

// Create starts a clip and replaces an existing file. Width and height must be even, because the codecs require it. The
// error wraps ErrEncode.
func Create(path string, width, height int, fps float64) (*Encoder, error) {
	if width <= 0 || height <= 0 || width%2 != 0 || height%2 != 0 || !(fps > 0 && fps < maxFPS) {
		return nil, fmt.Errorf("%s: %dx%d pixels at %v frames per second, want even sides and a rate below %d: %w",
			path, width, height, fps, maxFPS, ErrEncode)
	}
	// OpenCV returns no reason for an error. The usual reason is a place that cannot be written; this shows it.
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrEncode)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrEncode)
	}
	silenceFFmpeg()
	for _, codec := range codecs {
		w, err := gocv.VideoWriterFileWithAPI(path, gocv.VideoCaptureFFmpeg, codec, fps, width, height, true)
		if err == nil && w.IsOpened() {
			return &Encoder{path: path, width: width, height: height, codec: codec, writer: w}, nil
		}
		if w != nil {
			_ = w.Close() // nothing has been written
		}
	}
	return nil, fmt.Errorf("%s: OpenCV has no encoder for any of %v: %w", path, codecs, ErrEncode)
}

// Codec is the FourCC of the codec in use.
func (e *Encoder) Codec() string { return e.codec }

// Write appends a frame. The error wraps ErrEncode.
func (e *Encoder) Write(f *video.Frame) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("%s: %w: %w", e.path, err, ErrEncode)
	}
	if f.Width != e.width || f.Height != e.height {
		return fmt.Errorf("%s: frame %d of %dx%d pixels in a clip of %dx%d: %w", e.path, f.Index, f.Width, f.Height,
			e.width, e.height, ErrEncode)
	}
	m, err := gocv.NewMatFromBytes(f.Height, f.Width, gocv.MatTypeCV8UC3, f.Pix)
	if err != nil {
		return fmt.Errorf("%s: frame %d: %w: %w", e.path, f.Index, err, ErrEncode)
	}
	err = errors.Join(e.writer.Write(m), m.Close())
	if err != nil {
		return fmt.Errorf("%s: frame %d: %w: %w", e.path, f.Index, err, ErrEncode)
	}
	return nil
}

// Close completes the file. Calling it twice is safe.
func (e *Encoder) Close() error {
	if e.writer == nil {
		return nil
	}
	err := e.writer.Close()
	e.writer = nil
	return err
}

// Encode writes the frames that next gives, up to its io.EOF, into the MP4 file path. Sides and rate are as in Create.
// Errors are those of Create, Write and next.
func Encode(ctx context.Context, path string, width, height int, fps float64,
	next func(context.Context, *video.Frame) error) error {
	enc, err := Create(path, width, height, fps)
	if err != nil {
		return err
	}
	defer enc.Close()
	var f video.Frame
	for {
		err := next(ctx, &f)
		if errors.Is(err, io.EOF) {
			return enc.Close()
		}
		if err != nil {
			return err
		}
		if err := enc.Write(&f); err != nil {
			return err
		}
	}
}
