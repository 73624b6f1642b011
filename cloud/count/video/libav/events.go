package libav

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/count/video/timeline"
)

// Kinds of events (events.c).
const (
	eventInfo    = 'I' // JSON: opened
	eventFrames  = 'F' // records
	eventPicture = 'P' // records; the picture of the last one is in the memory
	eventEnd     = 'E' // JSON: the last one of a clip
	eventFault   = 'X' // JSON: the last one of a clip that cannot be decoded
)

// mostEvent bounds the content of an event in bytes.
const mostEvent = 256 << 10

// event is one message of a child. The child may be captured by its input, so nothing in it is trusted.
type event struct {
	kind    byte
	records []timeline.Record
	content []byte // JSON
}

var errEvent = fmt.Errorf("the decoder sent a message that is not valid: %w", video.ErrDecode)

// eventReader reads events from a pipe.
type eventReader struct {
	file *os.File
	r    io.Reader
}

func newEventReader(f *os.File) *eventReader { return &eventReader{file: f, r: f} }

// next reads one event. expired is called after each deadline of the file; the read continues unless it returns an
// error.
func (e *eventReader) next(expired func() error) (event, error) {
	var head [5]byte
	if err := e.full(head[:], expired); err != nil {
		return event{}, err
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if n > mostEvent {
		return event{}, errEvent
	}
	content := make([]byte, n)
	if err := e.full(content, expired); err != nil {
		return event{}, err
	}
	return parseEvent(head[0], content)
}

func (e *eventReader) full(b []byte, expired func() error) error {
	for n := 0; n < len(b); {
		m, err := e.r.Read(b[n:])
		n += m
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := expired(); err != nil {
				return err
			}
		case err != nil && n < len(b):
			return err
		}
	}
	return nil
}

// Flags of a record (child.h).
const (
	flagDamaged = 1
	flagLost    = 2
)

const recordSize = 24

// century is the longest time stamp that is believed, so that sums of times stay within their range.
const century = 100 * 366 * 24 * time.Hour

func parseEvent(kind byte, content []byte) (event, error) {
	e := event{kind: kind}
	switch kind {
	case eventInfo, eventEnd, eventFault:
		e.content = content
		return e, nil
	case eventFrames, eventPicture:
	default:
		return event{}, errEvent
	}
	if len(content) == 0 || len(content)%recordSize != 0 {
		return event{}, errEvent
	}
	for b := content; len(b) > 0; b = b[recordSize:] {
		r, ok := parseRecord(b)
		if !ok {
			return event{}, errEvent
		}
		e.records = append(e.records, r)
	}
	if kind == eventPicture && e.records[len(e.records)-1].Lost {
		return event{}, errEvent
	}
	return e, nil
}

// parseRecord reads one record. ok is false for a frame without a size.
func parseRecord(b []byte) (r timeline.Record, ok bool) {
	flags := binary.LittleEndian.Uint32(b[16:])
	r = timeline.Record{
		Width: int(binary.LittleEndian.Uint32(b[8:])), Height: int(binary.LittleEndian.Uint32(b[12:])),
		Damaged: flags&flagDamaged != 0, Lost: flags&flagLost != 0,
	}
	if pts := int64(binary.LittleEndian.Uint64(b)); pts > -int64(century) && pts < int64(century) {
		r.At, r.Timed = time.Duration(pts), true
	}
	return r, r.Lost || r.Width > 0 && r.Height > 0 && r.Width < math.MaxInt32 && r.Height < math.MaxInt32
}

// opened is the content of eventInfo.
type opened struct {
	Seccomp  int           `json:"seccomp"`
	Landlock int           `json:"landlock"`
	Width    int           `json:"width"`
	Height   int           `json:"height"`
	Codec    string        `json:"codec"`
	Pixels   string        `json:"pixel_format"`
	Created  string        `json:"created"`
	Rate     float64       `json:"rate"` // frames per second, as FFmpeg guesses
	Step     time.Duration `json:"step"` // median of the index
	Frames   int64         `json:"frames"`
	Duration time.Duration `json:"duration"`
	Rotation int           `json:"rotation"`
	TimeBase [2]int        `json:"time_base"`
	Streams  []struct {
		Type   string `json:"type"`
		Codec  string `json:"codec"`
		Tag    string `json:"tag"`
		Name   string `json:"name"`
		Width  int    `json:"width"`
		Height int    `json:"height"`
		Frames int64  `json:"frames"`
		Cover  int    `json:"cover"`
		Chosen int    `json:"chosen"`
	} `json:"streams"`
}

// ended is the content of eventEnd.
type ended struct {
	Packets    int64 `json:"packets"`
	Lost       int64 `json:"lost"`
	ReadFailed int   `json:"read_failed"`
}

// decodeContent reads the JSON of an event.
func decodeContent(e event, into any) error {
	if err := json.Unmarshal(e.content, into); err != nil {
		return errEvent
	}
	return nil
}

// ErrHost marks an error of the machine or its configuration: the kernel refuses the isolation, or the hardware that
// the configuration names cannot decode. Another machine may decode the clip.
var ErrHost = errors.New("this machine cannot decode as configured")

// errRead marks a clip that cannot be read to its end.
var errRead = errors.New("the clip cannot be read")

// classes are the classes of eventFault (child.h).
var classes = map[string]error{
	"decode": video.ErrDecode, "not-video": video.ErrNotVideo, "limit": video.ErrLimit, "memory": video.ErrLimit,
	"hardware": ErrHost, "isolation": ErrHost, "read": errRead,
}

// fault is the error in eventFault.
func fault(e event) error {
	var f struct{ Class, Reason string }
	if decodeContent(e, &f) != nil || classes[f.Class] == nil {
		return errEvent
	}
	return fmt.Errorf("%s: %w", printable(f.Reason), classes[f.Class])
}
