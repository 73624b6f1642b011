package count

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/count/condition"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	viewW, viewH   = 480, 320
	groundW        = 1600
	pixelsPerFrame = 4
	fps            = 30
)

// clip is a camera that pans over a noisy ground with animals at known places. It is both the decoder and a perfect
// detector.
type clip struct {
	info    video.Info
	ground  []byte
	animals [][2]int
	frames  int
	fault   error // after the last frame, nil for io.EOF
	next    int
	closed  bool
	pixel   func(v byte) (b, g, r byte) // the color of the ground at a brightness
}

// soil is the color of the ground in daylight.
func soil(v byte) (b, g, r byte) { return v / 2, v / 4 * 3, v }

func newClip(frames int) *clip {
	rng := rand.New(rand.NewPCG(5, 5))
	c := &clip{
		info:   video.Info{Width: viewW, Height: viewH, FPS: fps, Frames: frames, Codec: "h264", Container: "mp4"},
		ground: make([]byte, groundW*viewH), frames: frames, pixel: soil,
	}
	// Blocks of noise: texture that is still visible at a smaller scale.
	const block = 8
	for y := 0; y < viewH; y += block {
		for x := 0; x < groundW; x += block {
			v := byte(rng.IntN(256))
			for i := range block * block {
				if px := x + i%block; px < groundW {
					c.ground[(y+i/block)*groundW+px] = v
				}
			}
		}
	}
	for i := range 20 {
		c.animals = append(c.animals, [2]int{40 + i*60, 60 + (i*97)%200})
	}
	return c
}

func (c *clip) Info() video.Info { return c.info }
func (c *clip) Close() error     { c.closed = true; return nil }

func (c *clip) Reading() video.Reading {
	return video.Reading{Decoded: min(c.next, c.frames), Duration: time.Duration(min(c.next, c.frames)) * time.Second / fps}
}

func (c *clip) Step() time.Duration { return time.Second / fps }

func (c *clip) Next(_ context.Context, f *video.Frame, every int) error {
	if c.next >= c.frames {
		if c.fault != nil {
			return c.fault
		}
		return io.EOF
	}
	f.Resize(viewW, viewH)
	f.Index, f.Time = c.next, time.Duration(c.next)*time.Second/fps
	x0 := c.next * pixelsPerFrame
	for y := range viewH {
		for x := range viewW {
			v := c.ground[y*groundW+x0+x]
			i := (y*viewW + x) * 3
			f.Pix[i], f.Pix[i+1], f.Pix[i+2] = c.pixel(v)
		}
	}
	c.next += every
	return nil
}

func (c *clip) Look(_ context.Context, tiles []detect.Region) ([]detect.Box, error) {
	var boxes []detect.Box
	for _, a := range c.animals {
		x := float32(a[0] - tiles[0].Frame.Index*pixelsPerFrame)
		if x < -10 || x > viewW+10 {
			continue
		}
		b := detect.Box{
			X1: max(0, x-20), X2: min(viewW, x+20), Y1: float32(a[1] - 12), Y2: float32(a[1] + 12), Score: 0.7, Label: "cow",
		}
		for _, t := range tiles {
			if int(b.X1) >= t.X && int(b.X2) <= t.X+t.Width && int(b.Y1) >= t.Y && int(b.Y2) <= t.Y+t.Height {
				boxes = append(boxes, b)
				break
			}
		}
	}
	return boxes, nil
}

func (c *clip) counter(o Options) *Counter {
	o.Open = func(context.Context, Source) (Decoder, error) { return c, nil }
	o.Detector = c
	o.Model = report.Model{Name: "truth", Threshold: 0.25}
	if o.SampleFPS == 0 {
		o.SampleFPS = 3
	}
	return New(o)
}

// inView is the number of animals that the camera shows in plain view.
func (c *clip) inView() int {
	n := 0
	end := (c.frames-1)*pixelsPerFrame + viewW
	for _, a := range c.animals {
		if a[0] < end-40 {
			n++
		}
	}
	return n
}

func TestCount(t *testing.T) {
	c := newClip(200)
	var reported []job.Progress
	out, err := c.counter(Options{}).Count(t.Context(), Source{Name: "a.mp4", Size: 9, Telemetry: true}, func(p job.Progress) {
		reported = append(reported, p)
	})
	if err != nil {
		t.Fatal(err)
	}
	r := out.Result
	if want := c.inView(); r.Count.Unique != want || r.Count.ByClass["cow"] != want || len(r.Tracks) != want {
		t.Errorf("count %+v with %d tracks, want %d", r.Count, len(r.Tracks), want)
	}
	if r.Video.Every != 5 || r.Video.Steps != 40 || r.Video.Analysed > 20 || r.Video.Tiles != r.Video.Analysed || r.Video.Frames != 200 || len(r.Visible) != 7 {
		t.Errorf("video %+v, %d seconds", r.Video, len(r.Visible))
	}
	if len(r.Warnings) != 0 {
		t.Errorf("warnings %+v", r.Warnings)
	}
	if _, err := jpeg.Decode(bytes.NewReader(out.Still)); err != nil {
		t.Errorf("still: %v", err)
	}
	if !c.closed {
		t.Error("the decoder was not closed")
	}
	for i, p := range reported {
		if i > 0 && (p.FramesDone < reported[i-1].FramesDone || p.Count < reported[i-1].Count || p.Percent < reported[i-1].Percent) {
			t.Errorf("progress goes backwards: %+v after %+v", p, reported[i-1])
		}
	}
	if len(reported) == 0 || reported[0].FramesTotal != 200 {
		t.Errorf("progress %+v", reported)
	}
}

func TestEveryOverridesSampling(t *testing.T) {
	c := newClip(60)
	out, err := c.counter(Options{Every: 4}).Count(t.Context(), Source{Name: "a.mp4"}, nil)
	if err != nil || out.Result.Video.Every != 4 || out.Result.Video.Analysed != 15 {
		t.Errorf("%+v %v", out.Result.Video, err)
	}
}

func TestFootageFaults(t *testing.T) {
	cut := newClip(50)
	cut.fault = fmt.Errorf("50 of 200 frames: %w", video.ErrTruncated)
	if _, err := cut.counter(Options{}).Count(t.Context(), Source{Name: "a.mp4"}, nil); !errors.Is(err, video.ErrTruncated) || !IsFootageFault(err) {
		t.Errorf("cut short: %v", err)
	}
	none := newClip(0)
	if _, err := none.counter(Options{}).Count(t.Context(), Source{Name: "a.mp4"}, nil); !errors.Is(err, video.ErrDecode) {
		t.Errorf("no frame: %v", err)
	}
	refuse := New(Options{Open: func(context.Context, Source) (Decoder, error) { return nil, video.ErrNotVideo }})
	if _, err := refuse.Count(t.Context(), Source{Name: "a.txt"}, nil); !errors.Is(err, video.ErrNotVideo) {
		t.Errorf("not a video: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := newClip(50).counter(Options{}).Count(ctx, Source{Name: "a.mp4"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	c := newClip(30)
	c.info.FPS, c.info.Frames = 0, 0
	out, err := c.counter(Options{}).Count(t.Context(), Source{Name: "a.mp4"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, w := range out.Result.Warnings {
		got[w.Code] = true
	}
	if !got[report.NoTelemetry] || !got[report.Sparse] || !got[report.NoFrameRate] || got[report.CameraLost] {
		t.Errorf("%+v", out.Result.Warnings)
	}
	if out.Result.Video.Frames != 30 {
		t.Errorf("%d frames, want all decoded ones", out.Result.Video.Frames)
	}
}

// TestConditionWarnings warns of clips for which the model was not made, and names the seconds.
func TestConditionWarnings(t *testing.T) {
	black := func(byte) (b, g, r byte) { return 4, 4, 4 }
	white := func(byte) (b, g, r byte) { return 250, 252, 254 }
	gray := func(v byte) (b, g, r byte) { return v, v, v }
	for code, pixel := range map[condition.Code]func(byte) (b, g, r byte){
		condition.Underexposed: black, condition.Overexposed: white, condition.Gray: gray,
	} {
		c := newClip(100)
		c.pixel = pixel
		text := conditionText(t, c, code)
		if !strings.HasPrefix(text, "in the whole clip ") || !strings.Contains(text, "the model was not made for such") {
			t.Errorf("%s: %q", code, text)
		}
	}
	c := newClip(280)
	c.pixel = func(v byte) (b, g, r byte) {
		if second := c.next / fps; second >= 3 && second < 6 {
			return white(v)
		}
		return soil(v)
	}
	text := conditionText(t, c, condition.Overexposed)
	if !strings.HasPrefix(text, "seconds 3 to 6: the picture is almost white; ") {
		t.Errorf("a part: %q", text)
	}
}

// conditionText counts a clip and returns the text of the warning with the code.
func conditionText(t *testing.T, c *clip, code condition.Code) string {
	t.Helper()
	out, err := c.counter(Options{}).Count(t.Context(), Source{Name: "a.mp4", Telemetry: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range out.Result.Warnings {
		if w.Code == string(code) {
			return w.Text
		}
	}
	t.Errorf("no warning %s in %+v", code, out.Result.Warnings)
	return ""
}
