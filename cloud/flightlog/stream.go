package flightlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/asticode/go-astits"
)

// Limits of what of a transport stream is held in memory.
const (
	packetLen    = 188
	longPacket   = 192     // with a time in front, as camcorders write
	mostPackets  = 1 << 13 // of one unit of a stream, some 1.5 MB
	mostPrograms = 16
	mostStreams  = 16
)

// isStream reports whether a file starts with packets of a transport stream.
func isStream(start []byte) bool { return streamPacket(start) > 0 }

// streamPacket is the length of a packet; 0 for another file.
func streamPacket(start []byte) int {
	const sync = 0x47
	for _, size := range []int{packetLen, longPacket} {
		first := size - packetLen
		if len(start) > first+2*size && start[first] == sync && start[first+size] == sync &&
			start[first+2*size] == sync {
			return size
		}
	}
	return 0
}

// faultyReader keeps the error of a reader, which a demuxer does not tell from a broken packet.
type faultyReader struct {
	io.Reader
	err  error
	read int64
}

func (f *faultyReader) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	f.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// transport is what is known while a transport stream is read. The whole file is read, because it has no index, but
// only the packets of tables and metadata are kept.
type transport struct {
	*recorder
	programs map[uint16]bool
	data     map[uint16]bool
	video    map[uint16]bool
	held     map[uint16]int // packets of the unit that is read, by stream
	started  int64          // time of the first picture in units of 90 kHz, below 0 for none
	first    time.Duration  // offset of the first record
	origin   time.Time      // its wall clock
	broken   map[string]int
}

// readTransport reads the metadata of ST 0601 in a transport stream (ISO/IEC 13818-1, MISB ST 1402).
func readTransport(in io.ReaderAt, size int64) (*Log, error) {
	start := make([]byte, min(size, startLen))
	if n, err := in.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("flight log inside a video: %w", err)
	} else {
		start = start[:n]
	}
	packet := streamPacket(start)
	skip := int64(packet - packetLen)
	r := &faultyReader{Reader: io.NewSectionReader(in, skip, size-skip)}
	t := &transport{recorder: newRecorder("misb-st0601"), programs: map[uint16]bool{}, data: map[uint16]bool{},
		video: map[uint16]bool{}, held: map[uint16]int{}, started: -1, broken: map[string]int{}}
	d := astits.NewDemuxer(context.Background(), r, astits.DemuxerOptPacketSize(packet),
		astits.DemuxerOptPacketSkipper(t.skip))
	for {
		before := r.read
		data, err := d.NextData()
		switch {
		case errors.Is(err, astits.ErrNoMorePackets):
			return t.finish()
		case r.err != nil:
			return nil, fmt.Errorf("flight log inside a video: %w", r.err)
		case err != nil && r.read == before:
			return t.finish()
		case err != nil:
			t.broken["packets of the stream"]++
		default:
			t.take(data)
		}
	}
}

// skip reports whether a packet is not needed.
func (t *transport) skip(p *astits.Packet) bool {
	const programs = 0 // the stream with the list of programs
	id := p.Header.PID
	if p.Header.TransportErrorIndicator || id != programs && !t.programs[id] && !t.data[id] && (!t.video[id] ||
		t.started >= 0) {
		return true
	}
	if p.Header.PayloadUnitStartIndicator {
		t.held[id] = 0
	}
	t.held[id]++
	return t.held[id] > mostPackets
}

// take takes a table, or a unit of a stream.
func (t *transport) take(d *astits.DemuxerData) {
	switch {
	case d.PAT != nil:
		for _, p := range d.PAT.Programs {
			if p.ProgramNumber > 0 && len(t.programs) < mostPrograms {
				t.programs[p.ProgramMapID] = true
			}
		}
	case d.PMT != nil:
		for _, s := range d.PMT.ElementaryStreams {
			switch {
			case len(t.data)+len(t.video) >= mostStreams:
			case s.StreamType == astits.StreamTypePrivateData || s.StreamType == astits.StreamTypeMetadata:
				t.data[s.ElementaryPID] = true
			case s.StreamType.IsVideo():
				t.video[s.ElementaryPID] = true
			}
		}
	case d.PES != nil:
		t.unit(d.PID, d.PES)
	}
}

// unit reads a unit of a stream.
func (t *transport) unit(id uint16, p *astits.PESData) {
	at := int64(-1)
	if h := p.Header; h != nil && h.OptionalHeader != nil && h.OptionalHeader.PTS != nil {
		at = h.OptionalHeader.PTS.Base
	}
	if t.video[id] {
		if t.started < 0 && at >= 0 {
			t.started = at
		}
		return
	}
	misbPackets(p.Data, func(items map[int][]byte) {
		s := misbSample(items, t.l)
		s.Offset = t.offset(s.Time, at)
		t.l.End = max(t.l.End, s.Offset)
		t.add(s, 0)
	}, func(what string) { t.broken[what]++ })
}

// offset is the time of a record from the first picture on: by the time of its unit, else by its own clock.
func (t *transport) offset(clock time.Time, at int64) time.Duration {
	const wrap = 1 << 33 // units of 90 kHz
	if t.l.Records == 0 {
		t.origin = clock
	}
	offset := t.l.End
	switch {
	case at >= 0 && t.started >= 0:
		ticks := (at - t.started + wrap) % wrap
		if ticks > wrap/2 {
			ticks -= wrap
		}
		offset = time.Duration(ticks) * time.Second / 90000
	case !clock.IsZero() && !t.origin.IsZero():
		offset = t.first + clock.Sub(t.origin)
	}
	if t.l.Records == 0 {
		t.first = offset
	}
	return offset.Round(time.Microsecond)
}

// finish ends the reading.
func (t *transport) finish() (*Log, error) {
	for _, what := range []string{"packets of the stream", "a packet is cut", "an item is cut",
		"the checksum of a packet is wrong"} {
		if n := t.broken[what]; n > 0 {
			t.fault(0, t.l.End, "%s (%d times)", what, n)
		}
	}
	what := "the video has no metadata of MISB ST 0601"
	if len(t.data) == 0 {
		what = "the video has only pictures and sound"
	}
	l, err := t.log(what)
	if err == nil {
		l.OfVideo = true
	}
	return l, err
}
