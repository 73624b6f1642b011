package libav

// #include <stdlib.h>
// #include "encode.h"
import "C"

import (
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"time"
	"unsafe"
)

// ErrEncode marks a video that cannot be written.
var ErrEncode = errors.New("video cannot be written")

// EncoderConfig describes the video that an Encoder writes. All fields are required.
type EncoderConfig struct {
	Width, Height  int     // pixels, even
	Rate           float64 // usual pictures per second; the pictures have their own times
	BytesPerMinute int64   // the most that a minute takes on average, above a short burst
}

// Encoder writes the pictures of this program into an H.264 MP4 file that browsers play and seek: yuv420p, the index
// first, a key frame at least every 2 seconds. It runs in this process: unlike a decoder it reads nothing from outside.
// It belongs to one goroutine at a time. The caller must call Close, which completes the file.
type Encoder struct {
	path   string
	config EncoderConfig
	c      *C.struct_encoder
	last   time.Duration // time of the last picture, -1 before the first
}

const (
	keySeconds = 2
	whyBytes   = 256
)

// Create starts a video and replaces an existing file. The error wraps ErrEncode.
func Create(path string, c EncoderConfig) (*Encoder, error) {
	if c.Width <= 0 || c.Height <= 0 || c.Width%2 != 0 || c.Height%2 != 0 || !(c.Rate > 0 && c.Rate < maxFPS) ||
		c.BytesPerMinute <= 0 {
		return nil, fmt.Errorf("%s: %dx%d pixels, %v pictures per second, %d bytes per minute: want even sides, a rate "+
			"below %d and bytes: %w", path, c.Width, c.Height, c.Rate, c.BytesPerMinute, maxFPS, ErrEncode)
	}
	// FFmpeg would take a name such as pipe:1 for a protocol, and its reasons are poorer.
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrEncode)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrEncode)
	}
	name := C.CString("file:" + path)
	defer C.free(unsafe.Pointer(name))
	bits := c.BytesPerMinute * 8 / 60
	var why [whyBytes]C.char
	e := C.cattle_encoder_open(name, C.int(c.Width), C.int(c.Height), C.double(c.Rate), C.int64_t(bits),
		C.int(max(1, int(math.Round(keySeconds*c.Rate)))), &why[0], whyBytes)
	if e == nil {
		return nil, fmt.Errorf("%s: %s: %w", path, C.GoString(&why[0]), ErrEncode)
	}
	return &Encoder{path: path, config: c, c: e, last: -1}, nil
}

// Write appends a picture, which is shown from at on, the time from the start of the clip. Times must grow by a
// millisecond or more. It does not retain img. The error wraps ErrEncode.
func (e *Encoder) Write(img *image.RGBA, at time.Duration) error {
	if e.c == nil {
		return fmt.Errorf("%s: %w: %w", e.path, os.ErrClosed, ErrEncode)
	}
	w, h := e.config.Width, e.config.Height
	if img.Rect != image.Rect(0, 0, w, h) || img.Stride != 4*w || len(img.Pix) != 4*w*h {
		return fmt.Errorf("%s: picture at %v has %v pixels in a video of %dx%d: %w", e.path, at, img.Rect, w, h, ErrEncode)
	}
	var why [whyBytes]C.char
	if C.cattle_encoder_write(e.c, (*C.uint8_t)(&img.Pix[0]), C.int64_t(at.Milliseconds()), &why[0], whyBytes) != 0 {
		return fmt.Errorf("%s: picture at %v: %s: %w", e.path, at, C.GoString(&why[0]), ErrEncode)
	}
	e.last = at
	return nil
}

// Close completes the file. The last picture is shown for one usual step. Calling Close twice is safe. The error wraps
// ErrEncode.
func (e *Encoder) Close() error {
	if e.c == nil {
		return nil
	}
	end := e.last + time.Duration(float64(time.Second)/e.config.Rate)
	var why [whyBytes]C.char
	code := C.cattle_encoder_close(e.c, C.int64_t(end.Milliseconds()), &why[0], whyBytes)
	e.c = nil
	if code != 0 {
		return fmt.Errorf("%s: %s: %w", e.path, C.GoString(&why[0]), ErrEncode)
	}
	return nil
}
