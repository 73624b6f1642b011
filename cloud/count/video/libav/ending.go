package libav

import (
	"errors"
	"fmt"
	"io"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// Limits of an early end that still counts as a complete clip: headers are rounded, and the last frames may need later
// ones.
const (
	shortTime  = time.Second
	shortShare = 0.02
	// leastShare of the frames must be decoded.
	leastShare = 0.5
)

// end decides between a complete, a damaged and a truncated clip.
func (d *Decoder) end(e event) error {
	var last ended
	if decodeContent(e, &last) != nil {
		return errEvent
	}
	if last.ReadFailed != 0 {
		_ = d.child.wait() // it has sent its last event
		return errors.Join(fmt.Errorf("after frame %d: %w", d.frames, errRead), d.child.answers.err())
	}
	r := d.line.End()
	announced := int64(d.info.Frames)
	slack := max(2, int64(shortShare*float64(announced)))
	if total := max(announced, last.Packets); float64(d.frames) < leastShare*float64(total) && d.damaged(r, last) {
		return fmt.Errorf("only %d of %d frames can be decoded, the rest is damaged: %w", d.frames, total, video.ErrDecode)
	}
	if announced > 0 {
		if announced-last.Packets > slack && announced-int64(d.frames) > slack || int64(r.LostAtEnd) > slack {
			return d.truncated()
		}
		return io.EOF
	}
	missing := d.info.Duration - r.Duration
	if d.rep.Container != footage.TS && r.Jumps == 0 && d.info.Duration > 0 &&
		missing > max(shortTime, time.Duration(shortShare*float64(d.info.Duration))) {
		return d.truncated()
	}
	return io.EOF
}

// damaged reports whether the clip is damaged before its end.
func (d *Decoder) damaged(r video.Reading, last ended) bool {
	return last.Lost > int64(r.LostAtEnd)
}

func (d *Decoder) truncated() error {
	return fmt.Errorf("only %d of %d frames (%s of %s) can be decoded: %w", d.frames, d.info.Frames,
		d.line.Now().Round(time.Millisecond), d.info.Duration.Round(time.Millisecond), video.ErrTruncated)
}
