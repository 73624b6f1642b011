// Package opencv decodes and encodes video through OpenCV and its FFmpeg libraries. Build it with the tags
// gocv_specific_modules and gocv_videoio: Debian's OpenCV lacks parts that the other modules of gocv need.
package opencv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"gocv.io/x/gocv"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/container"
)

// Decoder reads the frames of one clip. It belongs to one goroutine at a time. The caller must call Close. Each opened
// file leaks a little memory inside FFmpeg (github.com/opencv/opencv/issues/26725), so a process that decodes thousands
// of clips should watch its memory and restart.
type Decoder struct {
	capture *gocv.VideoCapture
	mat     gocv.Mat
	info    video.Info
	rep     container.Report

	grabbed  int           // frames taken from the capture
	last     time.Duration // time of the last grabbed frame
	step     time.Duration // between the last two frames with a known time
	first    bool          // mat holds frame 0, decoded by Open and not yet returned
	streamed bool          // a slow read may end the clip early
	err      error         // end of the clip; permanent
}

// Open checks the structure of a file, opens it and decodes its first frame. The error wraps one of the classes of
// package video, except when the file cannot be opened; it does not name the file. A file that is certainly truncated
// is an error here, before any work. Open ignores rotation marks.
func Open(path string) (*Decoder, error) {
	rep, err := container.CheckFile(path)
	if err != nil {
		return nil, err
	}
	return open(path, rep)
}

// OpenStream is Open for a clip that may still be downloading. FFmpeg reads it from url; r has the same bytes. A read
// may wait for up to half a minute. After a longer wait OpenCV reports the end of the clip, and Next returns
// video.ErrTruncated: try such a clip again when the download is complete.
func OpenStream(url string, r io.ReaderAt, size int64) (*Decoder, error) {
	rep, err := container.Check(r, size)
	if err != nil {
		return nil, err
	}
	bypassProxy()
	d, err := open(url, rep)
	if err == nil {
		d.streamed = true
	}
	return d, err
}

// bypassProxy makes FFmpeg read from this machine without a proxy. With http_proxy set FFmpeg would ask the proxy
// unless no_proxy names the address.
var bypassProxy = sync.OnceFunc(func() {
	const name = "no_proxy"
	_ = os.Setenv(name, strings.TrimPrefix(os.Getenv(name)+",127.0.0.1", ",")) // it fails only for malformed names
})

func open(path string, rep container.Report) (*Decoder, error) {
	silenceFFmpeg()
	capture, err := gocv.VideoCaptureFileWithAPI(path, gocv.VideoCaptureFFmpeg)
	d := &Decoder{capture: capture, mat: gocv.NewMat(), rep: rep}
	if err != nil || !capture.IsOpened() {
		d.Close()
		return nil, fmt.Errorf("the file has no video stream that this build can decode%s: %w", codecNote(rep.Codec),
			video.ErrDecode)
	}
	if !d.read() {
		d.Close()
		return nil, fmt.Errorf("no frame can be decoded%s: %w", codecNote(rep.Codec), video.ErrDecode)
	}
	d.first = true
	d.describe()
	return d, nil
}

func codecNote(codec string) string {
	if codec == "" {
		return ""
	}
	return fmt.Sprintf(" (codec %s)", printable(codec))
}

// silenceFFmpeg turns off the messages of FFmpeg on standard error. OpenCV reads the variable when it opens a file. An
// operator can set the variable to get the messages. -8 is AV_LOG_QUIET.
var silenceFFmpeg = sync.OnceFunc(func() {
	const name = "OPENCV_FFMPEG_LOGLEVEL"
	if os.Getenv(name) == "" {
		_ = os.Setenv(name, "-8") // it fails only for malformed names
	}
})

// describe fills info after the first frame has been decoded.
func (d *Decoder) describe() {
	d.info = video.Info{Width: d.mat.Cols(), Height: d.mat.Rows(), Container: string(d.rep.Container),
		Frames: d.rep.Frames, Duration: d.rep.Duration}
	if fps := d.capture.Get(gocv.VideoCaptureFPS); fps > 0 && fps < maxFPS {
		d.info.FPS = fps
	}
	if n := d.capture.Get(gocv.VideoCaptureFrameCount); d.info.Frames == 0 && n > 0 && n < math.MaxInt32 {
		d.info.Frames = int(n)
	}
	if d.info.Duration == 0 && d.info.FPS > 0 {
		d.info.Duration = time.Duration(float64(d.info.Frames) / d.info.FPS * float64(time.Second))
	}
	d.info.Codec = strings.ToLower(printable(fourCC(d.capture.Get(gocv.VideoCaptureFOURCC))))
	if d.info.Codec == "" {
		d.info.Codec = strings.ToLower(printable(d.rep.Codec))
	}
}

// maxFPS is above the rate of any camera. FFmpeg returns the time base, 90,000 for example, for an unknown rate.
const maxFPS = 1000

func fourCC(v float64) string {
	if !(v > 0 && v <= math.MaxUint32) {
		return ""
	}
	n := uint32(v)
	return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
}

// printable drops the unprintable bytes of a name in a damaged header.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}

// Info returns what the headers announce. The frame size is that of the first decoded frame.
func (d *Decoder) Info() video.Info { return d.info }

// Next fills f with the next frame: frame 0 first, then every every-th one (0 and 1 mean all). The frames between are
// decoded, because later ones depend on them, but not converted. After the last frame it returns io.EOF. For a clip
// that ends clearly before its announced end it returns video.ErrTruncated with the place. Both errors are permanent.
// Next reuses the memory of f.
func (d *Decoder) Next(ctx context.Context, f *video.Frame, every int) error {
	if d.err != nil {
		return d.err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if !d.first {
		for range every - 1 {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if !d.grab() {
				return d.end()
			}
		}
		if !d.read() {
			return d.end()
		}
	}
	d.first = false
	return d.copyTo(f)
}

// grab decodes one frame without converting it. The binding returns no result, but the position moves only with a
// frame.
func (d *Decoder) grab() bool {
	if err := d.capture.Grab(1); err != nil {
		return false
	}
	if int(d.capture.Get(gocv.VideoCapturePosFrames)) <= d.grabbed {
		return false
	}
	d.advance()
	return true
}

// read decodes one frame into mat.
func (d *Decoder) read() bool {
	if !d.capture.Read(&d.mat) || d.mat.Empty() {
		return false
	}
	d.advance()
	return true
}

// advance counts a frame and records its time. OpenCV returns 0 as the time of the last frames of a clip, those that
// are still in the codec at the end of the data. They get times at the pace of the frames before them.
func (d *Decoder) advance() {
	at := time.Duration(d.capture.Get(gocv.VideoCapturePosMsec) * float64(time.Millisecond))
	switch {
	case d.grabbed > 0 && at > d.last:
		d.step = at - d.last
	case d.grabbed > 0:
		if d.step == 0 {
			d.step = d.nominalStep()
		}
		at = d.last + d.step
	}
	d.last = max(at, 0)
	d.grabbed++
}

// nominalStep is the time between frames by the header.
func (d *Decoder) nominalStep() time.Duration {
	if d.info.FPS > 0 {
		return time.Duration(float64(time.Second) / d.info.FPS)
	}
	return time.Second / 30
}

func (d *Decoder) copyTo(f *video.Frame) error {
	if d.mat.Type() != gocv.MatTypeCV8UC3 {
		d.err = fmt.Errorf("frame %d has the pixel format %v: %w", d.grabbed-1, d.mat.Type(), video.ErrDecode)
		return d.err
	}
	pixels, err := d.mat.DataPtrUint8()
	if err != nil {
		d.err = fmt.Errorf("frame %d: %w: %w", d.grabbed-1, err, video.ErrDecode)
		return d.err
	}
	f.Index, f.Time = d.grabbed-1, d.last
	f.Resize(d.mat.Cols(), d.mat.Rows())
	copy(f.Pix, pixels)
	return nil
}

// Limits of an early end that still counts as a complete clip: headers are rounded, and the last frames may need later
// ones.
const (
	shortTime  = time.Second
	shortShare = 0.02
)

// end decides between a complete and a truncated clip, by the time of the last frame and, when the container has an
// index of frames, by their number. One of the two matches for every intact clip, whatever its edits and frame rates
// are.
func (d *Decoder) end() error {
	d.err = io.EOF
	missing := d.info.Duration - d.last
	enoughTime := d.info.Duration == 0 || missing <= max(shortTime, time.Duration(shortShare*float64(d.info.Duration)))
	lost := d.info.Frames - d.grabbed
	enoughFrames := d.info.Frames > 0 && float64(lost) <= max(2, shortShare*float64(d.info.Frames))
	whole := enoughTime || enoughFrames
	if d.streamed && d.info.Frames > 0 { // a read that waited too long looks like a slightly early end
		whole = lost <= 2
	}
	if !whole {
		d.err = fmt.Errorf("only %d of %d frames (%s of %s) can be decoded: %w", d.grabbed, d.info.Frames,
			d.last.Round(time.Millisecond), d.info.Duration.Round(time.Millisecond), video.ErrTruncated)
	}
	return d.err
}

// Close frees the decoder. Calling it twice is safe.
func (d *Decoder) Close() error {
	if d.capture == nil {
		return nil
	}
	err := d.capture.Close()
	d.capture = nil
	return errors.Join(err, d.mat.Close())
}
