// Package video holds what the rest of the cloud knows about decoded footage:
// the description of a clip, a decoded frame, and the classes of faults that a
// piece of footage can have. It is pure Go and does no I/O; decoders live in
// the packages below it.
package video

import (
	"errors"
	"fmt"
	"time"
)

// Classes of faults. An error of a decoder wraps exactly one of them and says
// in words, fit for an operator, what was found. Compare with errors.Is.
var (
	// ErrEmpty marks a file of zero bytes.
	ErrEmpty = errors.New("file is empty")
	// ErrNotVideo marks content that is no video container, whatever its name.
	ErrNotVideo = errors.New("not a video")
	// ErrTruncated marks footage that ends before its own headers say it does.
	ErrTruncated = errors.New("video is cut short")
	// ErrDecode marks a video container that cannot be decoded for another
	// reason: damaged, no video stream, or a codec this build does not have.
	ErrDecode = errors.New("video cannot be decoded")
)

// Info describes a clip as its headers announce it. Headers can be wrong: only
// the frames that come out of a decoder are certain.
type Info struct {
	Width, Height int           // pixels, of the decoded frames
	FPS           float64       // frames per second, 0 when not known
	Frames        int           // announced number of frames, 0 when not known
	Duration      time.Duration // 0 when not known
	Codec         string        // FourCC in lower case such as h264, hvc1; empty when not known
	Container     string        // mp4, mkv, avi or ts
}

// Frame is one decoded picture.
type Frame struct {
	Index         int           // number of the frame in the clip, from 0, skipped frames counted
	Time          time.Duration // from the start of the clip
	Width, Height int           // pixels
	// Pix holds Width*Height*3 bytes in rows from the top, blue, green and red
	// of each pixel in this order, without padding.
	Pix []byte
}

// Resize makes f hold a picture of width x height pixels. Pix keeps its memory
// where that is large enough; its content is undefined then.
func (f *Frame) Resize(width, height int) {
	f.Width, f.Height = width, height
	n := width * height * 3
	if cap(f.Pix) < n {
		f.Pix = make([]byte, n)
	}
	f.Pix = f.Pix[:n]
}

// Validate checks that Pix fits the size of the frame.
func (f *Frame) Validate() error {
	if f.Width <= 0 || f.Height <= 0 || len(f.Pix) != f.Width*f.Height*3 {
		return fmt.Errorf("frame %d of %dx%d pixels with %d bytes, want %d", f.Index, f.Width, f.Height, len(f.Pix), f.Width*f.Height*3)
	}
	return nil
}
