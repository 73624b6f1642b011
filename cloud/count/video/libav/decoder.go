package libav

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/container"
	"cattlecounter/cloud/count/video/timeline"
)

// Decoder reads the frames of one clip from its child process. It belongs to one goroutine at a time. The caller must
// call Close.
type Decoder struct {
	config  Config
	child   *child
	info    video.Info
	rep     container.Report
	line    *timeline.Timeline
	first   bool          // no frame was asked for yet
	frames  int           // decoded
	lost    int           // packets without a frame
	waited  time.Duration // for the child, without its waits for bytes
	skipped int           // wanted pictures that were damaged, since the last one that was not
	err     error
}

// Open checks the structure of a file and opens it. The error wraps one of the classes of package video, or ErrHost,
// except when the file cannot be opened; it does not name the file. A file that is certainly truncated is an error
// here, before any work. Open ignores rotation marks.
func Open(ctx context.Context, c Config, path string) (*Decoder, error) {
	rep, err := container.CheckFile(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return open(ctx, c, rep, f, nil, info.Size())
}

// OpenStream is Open for size bytes of r, which may still be arriving: a read may wait as long as it needs. A read that
// fails ends the clip with the error of the read.
func OpenStream(ctx context.Context, c Config, r io.ReaderAt, size int64) (*Decoder, error) {
	rep, err := container.Check(r, size)
	if err != nil {
		return nil, err
	}
	return open(ctx, c, rep, nil, r, size)
}

func open(ctx context.Context, c Config, rep container.Report, f *os.File, r io.ReaderAt, size int64) (*Decoder, error) {
	c = c.complete()
	ch, err := start(c, rep.Container, f, r, size)
	if err != nil {
		return nil, err
	}
	d := &Decoder{config: c, child: ch, rep: rep, first: true}
	if err := d.readInfo(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// readInfo waits for the description of the clip.
func (d *Decoder) readInfo(ctx context.Context) error {
	e, err := d.next(ctx)
	if err != nil {
		return err
	}
	var o opened
	if e.kind != eventInfo || decodeContent(e, &o) != nil || o.Width <= 0 || o.Height <= 0 ||
		int64(o.Width)*int64(o.Height) > d.config.Limits.Pixels {
		return errEvent
	}
	d.info = describe(o, d.rep)
	if err := d.config.Limits.check(d.info); err != nil {
		return err
	}
	d.line = timeline.New(d.info.FPS)
	return d.child.size(o.Width, o.Height)
}

// maxFPS is above the rate of any camera. FFmpeg guesses the time base, 90,000 for example, for an unknown rate.
const maxFPS = 1000

// describe chooses between the sources of each value. The median step of the index is the rate of a camera even when
// one time stamp jumps by hours, which spoils every mean.
func describe(o opened, rep container.Report) video.Info {
	i := video.Info{
		Width: o.Width, Height: o.Height, Container: string(rep.Container), Codec: strings.ToLower(printable(rep.Codec)),
		Frames: rep.Frames, Duration: rep.Duration, Rotation: o.Rotation, TimeBase: o.TimeBase,
		PixelFormat: printable(o.Pixels),
	}
	i.FPS = frameRate(o)
	if o.Frames > 0 && o.Frames < 1<<31 {
		i.Frames = int(o.Frames)
	}
	if i.Duration == 0 && o.Duration > 0 {
		i.Duration = o.Duration
	}
	if i.Codec == "" {
		i.Codec = printable(o.Codec)
	}
	if t, err := time.Parse(time.RFC3339, o.Created); err == nil {
		i.Created = t
	}
	for _, s := range o.Streams {
		i.Streams = append(i.Streams, video.Stream{
			Type: printable(s.Type), Codec: printable(s.Codec), Name: printable(s.Name), Width: s.Width, Height: s.Height,
			Frames: int(min(s.Frames, 1<<31-1)), Cover: s.Cover != 0, Chosen: s.Chosen != 0,
		})
		if s.Chosen != 0 && i.Codec == "" {
			i.Codec = strings.ToLower(printable(s.Tag))
		}
	}
	return i
}

// frameRate is the median rate of the index, or FFmpeg's guess when that is the same but exact, or without an index.
func frameRate(o opened) float64 {
	guess := o.Rate
	if !(guess > 0 && guess < maxFPS) {
		guess = 0
	}
	median := float64(time.Second) / float64(o.Step)
	if o.Step <= 0 || median >= maxFPS || math.Abs(guess-median) < 0.01*median {
		return guess
	}
	return median
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

// Reading returns what was read so far; after the end of the clip, all of it.
func (d *Decoder) Reading() video.Reading { return d.line.Reading() }

// Step is the usual time between the last frames.
func (d *Decoder) Step() time.Duration { return d.line.Step() }

// Next fills f with the next frame: frame 0 first, then every every-th one (0 and 1 mean all). The frames between are
// decoded, because later ones depend on them, but not converted. Frames of another size are scaled to that of the first
// one. In the place of a damaged frame Next returns the next whole one within about a second. After the last frame it
// returns io.EOF. For a clip that ends clearly before its announced end it returns video.ErrTruncated with the place.
// Both errors are permanent. Next reuses the memory of f. While the caller works on f, the child decodes on with this
// every, so a change takes effect one frame later.
func (d *Decoder) Next(ctx context.Context, f *video.Frame, every int) error {
	if d.err != nil {
		return d.err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := d.nextPicture(ctx, f, max(1, every)); err != nil {
		d.err = err
		d.child.kill()
	}
	return d.err
}

func (d *Decoder) nextPicture(ctx context.Context, f *video.Frame, every int) error {
	if d.first {
		d.first = false
		d.order(1)
	}
	for {
		e, err := d.next(ctx)
		if err != nil {
			return err
		}
		switch e.kind {
		case eventFrames, eventPicture:
			if err := d.add(e.records); err != nil {
				return err
			}
			if e.kind == eventFrames {
				continue
			}
			if d.skipDamaged(e.records[len(e.records)-1]) {
				d.order(1)
				continue
			}
			f.Index, f.Time = d.frames-1, d.line.Now()
			f.Resize(d.info.Width, d.info.Height)
			copy(f.Pix, d.child.picture)
			d.order(every)
			return nil
		case eventEnd:
			return d.end(e)
		default:
			return errEvent
		}
	}
}

// skipDamaged reports whether a picture is worth less than a later one: damaged pictures show ghosts, and a camera that
// seems to stand still. They are usually whole again at the next key frame. After a second of damage they are used all
// the same, because some clips have few key frames.
func (d *Decoder) skipDamaged(r timeline.Record) bool {
	if !r.Damaged {
		d.skipped = 0
		return false
	}
	d.skipped++
	return d.frames > 1 && float64(d.skipped) <= 1.1*float64(time.Second)/float64(d.line.Step())
}

// order asks for a picture. A child that has ended is noticed by the next read.
func (d *Decoder) order(n int) {
	_ = d.child.order(n) // see above
}

// add adds records to the timeline, within the limits.
func (d *Decoder) add(records []timeline.Record) error {
	for _, r := range records {
		d.line.Add(r)
		if r.Lost {
			d.lost++
		} else {
			d.frames++
		}
	}
	switch l := d.config.Limits; {
	case int64(d.frames) > l.Frames, int64(d.lost) > l.Frames:
		return fmt.Errorf("more than %d frames: %w", l.Frames, video.ErrLimit)
	case d.line.Now() > l.Duration:
		return fmt.Errorf("longer than %v: %w", l.Duration, video.ErrLimit)
	}
	return nil
}

// slowFrame is the longest mean time for a frame. On one slow core 8K needs a quarter of it. The first frames may take
// Limits.Stall more.
const slowFrame = 2 * time.Second

// next reads one event within the limits of time. Time in which the child waits for bytes does not count.
func (d *Decoder) next(ctx context.Context) (event, error) {
	began, read := time.Now(), d.child.answers.spent()
	e, err := d.nextEvent(ctx)
	d.waited += max(0, time.Since(began)-(d.child.answers.spent()-read))
	if most := d.config.Limits.Stall + time.Duration(d.frames)*slowFrame; err == nil && d.waited > most {
		return event{}, fmt.Errorf("decoding %d frames takes more than %v: %w", d.frames, most, video.ErrLimit)
	}
	return e, err
}

func (d *Decoder) nextEvent(ctx context.Context) (event, error) {
	file := d.child.events.file
	deadline := func() { _ = file.SetReadDeadline(time.Now().Add(d.config.Limits.Stall)) } // a pipe has deadlines
	deadline()
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	e, err := d.child.events.next(func() error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.child.answers.waiting():
			if deadline(); ctx.Err() != nil { // it may have ended before the new deadline
				return context.Cause(ctx)
			}
			return nil
		}
		return fmt.Errorf("no frame was decoded within %v after frame %d: %w", d.config.Limits.Stall, d.frames, video.ErrLimit)
	})
	switch {
	case errors.Is(err, io.EOF):
		return event{}, d.child.death()
	case err != nil:
		return event{}, err
	case e.kind == eventFault:
		err = fault(e)
		if errors.Is(err, errRead) {
			_ = d.child.wait() // it has sent its last event
			return event{}, errors.Join(err, d.child.answers.err())
		}
		return event{}, err
	}
	return e, nil
}

// Close ends the child and frees the decoder. It waits for a running read of a stream. Calling it twice is safe.
func (d *Decoder) Close() error {
	if d.child == nil {
		return nil
	}
	err := d.child.close()
	d.child = nil
	if d.err == nil {
		d.err = os.ErrClosed
	}
	return err
}
