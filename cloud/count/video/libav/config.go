package libav

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/settings"
)

// Limits bound what one clip can use. A clip beyond them fails with video.ErrLimit.
type Limits struct {
	Pixels   int64             // of a picture
	Frames   int64             // of the clip
	Duration time.Duration     // of the clip
	Memory   settings.ByteSize // of the decoder
	CPU      time.Duration     // processor time of the decoder
	Stall    time.Duration     // without a decoded frame, while the decoder neither waits for bytes nor for its parent
}

// DefaultLimits admit hours of 8K footage.
func DefaultLimits() Limits {
	return Limits{
		Pixels: 50e6, Frames: 5e6, Duration: 12 * time.Hour, Memory: 4 << 30, CPU: 48 * time.Hour, Stall: time.Minute,
	}
}

// Config says how to decode. The zero value decodes by the processor with DefaultLimits and full isolation.
type Config struct {
	Limits  Limits // zero: DefaultLimits
	Threads int    // 0: one per core, at most 16
	// Hardware decodes by a GPU: "cuda" (NVDEC) or "vaapi"; empty is the processor. A machine without it is an error.
	Hardware string
	Device   string // of the hardware, such as 0 or /dev/dri/renderD128; empty: the first one
	// Relaxed decodes even when the kernel cannot isolate the decoder.
	Relaxed bool
}

// check compares the limits with what the headers announce. The duration in a header is not used where there is a number
// of frames, nor for a stream: one wrong time stamp makes it days.
func (l Limits) check(i video.Info) error {
	length := i.Duration
	switch {
	case i.Frames > 0 && i.FPS > 0:
		length = time.Duration(min(float64(i.Frames)/i.FPS, century.Seconds()) * float64(time.Second))
	case i.Container == string(footage.TS):
		length = 0
	}
	switch {
	case int64(i.Frames) > l.Frames:
		return fmt.Errorf("%d frames, at most %d are allowed: %w", i.Frames, l.Frames, video.ErrLimit)
	case length > l.Duration:
		return fmt.Errorf("%v long, at most %v are allowed: %w", length.Round(time.Second), l.Duration, video.ErrLimit)
	}
	return nil
}

func (c Config) complete() Config {
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	if c.Threads <= 0 {
		const most = 16 // each thread holds pictures
		c.Threads = min(runtime.NumCPU(), most)
	}
	return c
}

// Isolation is what the kernel of this machine takes away from a decoder.
type Isolation struct {
	Seccomp  bool // calls other than those of decoding
	Landlock int  // files; the version of the kernel's interface, 0 without
}

// Check reports how a decoder on this machine is isolated. It returns ErrHost for a machine that cannot decode as c
// says.
func Check(ctx context.Context, c Config) (Isolation, error) {
	ch, err := start(c.complete(), footage.MP4, nil, bytes.NewReader(nil), 0, "check")
	if err != nil {
		return Isolation{}, err
	}
	d := &Decoder{config: c.complete(), child: ch}
	defer d.Close()
	e, err := d.next(ctx)
	if err != nil {
		return Isolation{}, err
	}
	var i struct{ Seccomp, Landlock int }
	if e.kind != eventEnd || decodeContent(e, &i) != nil {
		return Isolation{}, errEvent
	}
	return Isolation{Seccomp: i.Seccomp != 0, Landlock: i.Landlock}, nil
}
