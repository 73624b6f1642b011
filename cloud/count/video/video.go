// Package video describes decoded footage: the description of a clip, a decoded frame, and the classes of faults of
// footage. It is pure Go and does no I/O; the decoders are in the packages below it.
package video

import (
	"errors"
	"fmt"
	"image"
	"time"
)

// Classes of faults. An error of a decoder wraps exactly one of them and tells an operator what is wrong with the file.
// Compare with errors.Is.
var (
	// ErrEmpty marks a file of zero bytes.
	ErrEmpty = errors.New("file is empty")
	// ErrNotVideo marks content that is not a video container, whatever its file name.
	ErrNotVideo = errors.New("not a video")
	// ErrTruncated marks footage that is shorter than its headers announce.
	ErrTruncated = errors.New("video is cut short")
	// ErrDecode marks a video container that cannot be decoded for another reason: damage, no video stream, or a codec
	// that this build does not have.
	ErrDecode = errors.New("video cannot be decoded")
	// ErrLimit marks footage that is larger, longer or more expensive to decode than the configured limits.
	ErrLimit = errors.New("video exceeds a limit")
)

// Info is what the headers of a clip announce. Headers can be wrong; only decoded frames are certain.
type Info struct {
	Width, Height int           // pixels, of the decoded frames
	FPS           float64       // frames per second, 0 when unknown
	Frames        int           // announced number of frames, 0 when unknown
	Duration      time.Duration // 0 when unknown
	Codec         string        // FourCC in lower case such as h264, hvc1; empty when unknown
	Container     string        // mp4, mkv, avi or ts
	PixelFormat   string        // such as yuv420p10le
	Rotation      int           // degrees counterclockwise by which a player turns the picture; frames are not turned
	TimeBase      [2]int        // unit of the time stamps as a fraction of a second, 0/0 when unknown
	Created       time.Time     // when the recording began, by the container; zero when unknown
	Streams       []Stream      // of the container, in its order
}

// Stream is one stream of a container.
type Stream struct {
	Type          string // video, audio, data, subtitle or attachment
	Codec         string // such as h264; none when unknown
	Name          string // of its handler
	Width, Height int    // pixels; 0 for other streams than video
	Frames        int    // by the index, 0 when unknown
	Cover         bool   // a still picture for players
	Chosen        bool   // the one that is decoded
}

// Span is a part of a clip.
type Span struct {
	From, To time.Duration // from the start of the clip
}

// Jump is a place where the time stamps do not fit the frames.
type Jump struct {
	At time.Duration // from the start of the clip
	By time.Duration // what the time stamps jump by; negative for a clock that restarts
}

// Size is a change of the size of the picture.
type Size struct {
	At            time.Duration // from the start of the clip
	Width, Height int           // pixels, from then on
}

// Reading is what decoding has found out about a clip.
type Reading struct {
	Decoded   int           // frames
	Damaged   int           // decoded frames whose data is damaged
	Lost      int           // packets that cannot be decoded
	LostAtEnd int           // of them, after the last decoded frame
	Duration  time.Duration // of the decoded frames and the gaps between them
	// Gaps are the missing and damaged parts, in order, at most 100; a longer list ends with one that includes the rest.
	Gaps    []Span
	Jumps   int    // number of jumps of the time stamps
	Jumped  []Jump // the first ones, at most 20
	Resized []Size // the first ones, at most 20
}

// Frame is one decoded picture.
type Frame struct {
	Index         int           // number of the frame in the clip from 0, including skipped frames
	Time          time.Duration // from the start of the clip
	Width, Height int           // pixels
	// Pix holds Width*Height*3 bytes: rows from the top without padding, each pixel as blue, green, red.
	Pix []byte
}

// Resize makes f a picture of width x height pixels. It reuses the memory of Pix when that is large enough; the content
// is undefined then.
func (f *Frame) Resize(width, height int) {
	f.Width, f.Height = width, height
	n := width * height * 3
	if cap(f.Pix) < n {
		f.Pix = make([]byte, n)
	}
	f.Pix = f.Pix[:n]
}

// Image returns a copy of the frame as a picture.
func (f *Frame) Image() *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	for i, o := 0, 0; i+2 < len(f.Pix); i, o = i+3, o+4 {
		img.Pix[o], img.Pix[o+1], img.Pix[o+2], img.Pix[o+3] = f.Pix[i+2], f.Pix[i+1], f.Pix[i], 255
	}
	return img
}

// Validate checks that Pix fits the size of the frame.
func (f *Frame) Validate() error {
	if f.Width <= 0 || f.Height <= 0 || len(f.Pix) != f.Width*f.Height*3 {
		return fmt.Errorf("frame %d of %dx%d pixels with %d bytes, want %d", f.Index, f.Width, f.Height, len(f.Pix),
			f.Width*f.Height*3)
	}
	return nil
}
