// Package tracks finds the tracks of an MP4 or QuickTime file that are neither pictures nor sound, and reads their
// samples. It follows the tables of the file (ISO/IEC 14496-12, section 8), also those of fragments, and never reads the pictures. Memory is
// bounded by MaxTable and MaxSample, whatever the file says.
package tracks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/abema/go-mp4"
)

// ErrFile means that the boxes or the tables of a file are broken. Compare with errors.Is.
var ErrFile = errors.New("broken MP4 file")

// Limits of what is read.
const (
	MaxTable  = 16 << 20 // bytes of one table of a track
	MaxSample = 1 << 20  // bytes of one sample; larger ones are left out
	maxTracks = 64
	maxEntry  = 4096 // bytes of a sample description
	// MaxIndex is the most bytes that are read of the boxes and tables of one file.
	MaxIndex = 128 << 20
	maxSteps = 1 << 18 // jumps from box to box
)

// index reads the boxes of a file, within limits for all of them together.
type index struct {
	*io.SectionReader
	bytes, steps int
}

// errLarge is an index that is larger than any camera writes.
var errLarge = fmt.Errorf("its index has more than %d bytes or %d boxes", MaxIndex, maxSteps/4)

// Read reads within the limit.
func (x *index) Read(b []byte) (int, error) {
	if x.bytes <= 0 {
		return 0, errLarge
	}
	n, err := x.SectionReader.Read(b[:min(len(b), x.bytes)])
	x.bytes -= n
	return n, err
}

// Seek counts the jumps: there are up to four for a box.
func (x *index) Seek(offset int64, whence int) (int64, error) {
	if x.steps--; x.steps < 0 {
		return 0, errLarge
	}
	return x.SectionReader.Seek(offset, whence)
}

// Track is a track with data. It is safe for concurrent use when its reader is.
type Track struct {
	Format  string // four letters of the first sample description, such as "djmd"
	Handler string // four letters of the handler, such as "meta"
	Entry   []byte // the first sample description behind its four letters, at most 4096 bytes

	r         io.ReaderAt
	file      int64
	timescale int64
	shift     int64 // of the edit list, in units of the timescale
	stts      *mp4.Stts
	stsc      *mp4.Stsc
	stsz      *mp4.Stsz
	chunks    []uint64

	id         uint32
	fragmented bool                // further samples are in fragments
	usual      map[uint32]defaults // of samples in fragments, by track
}

// Find returns the tracks with data of the file of size bytes in r, in the order of the file. Pictures, sound and empty
// tracks are left out. Its error wraps ErrFile where the file has no readable index.
func Find(r io.ReaderAt, size int64) ([]*Track, error) {
	in := &index{SectionReader: io.NewSectionReader(r, 0, size), bytes: MaxIndex, steps: maxSteps}
	boxes, err := mp4.ExtractBoxes(in, nil, []mp4.BoxPath{{mp4.BoxTypeMoov(), mp4.BoxTypeMvhd()}, {mp4.BoxTypeMoov(),
		mp4.BoxTypeTrak()}, {mp4.BoxTypeMoov(), mp4.BoxTypeMvex(), mp4.BoxTypeTrex()}})
	if err != nil && len(boxes) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(boxes) == 0 {
		return nil, fmt.Errorf("%w: it has no index (moov)", ErrFile)
	}
	var all []*Track
	movie := int64(0)
	usual := map[uint32]defaults{}
	for _, b := range boxes {
		if b.Type == mp4.BoxTypeTrex() {
			if x, err := payload[*mp4.Trex](in, b); err == nil && len(usual) < maxTracks {
				usual[x.TrackID] = defaults{x.DefaultSampleDuration, x.DefaultSampleSize}
			}
			continue
		}
		if b.Type == mp4.BoxTypeMvhd() {
			if h, err := payload[*mp4.Mvhd](in, b); err == nil {
				movie = int64(h.Timescale)
			}
			continue
		}
		if len(all) == maxTracks {
			break
		}
		t := &Track{r: r, file: size}
		if err := t.read(in, b, movie); err != nil {
			return all, fmt.Errorf("%w: track %d: %w", ErrFile, len(all)+1, err)
		}
		if t.stsz != nil && t.Handler != "vide" && t.Handler != "soun" && t.Format != "" {
			all = append(all, t)
		}
	}
	for _, t := range all {
		_, t.fragmented = usual[t.id]
		t.usual = usual
	}
	return all, nil
}

// payload reads the content of a box.
func payload[T mp4.IBox](in io.ReadSeeker, b *mp4.BoxInfo) (T, error) {
	var none T
	if b.Size-b.HeaderSize > MaxTable {
		return none, fmt.Errorf("box %s of %d bytes, at most %d", b.Type, b.Size, MaxTable)
	}
	if _, err := b.SeekToPayload(in); err != nil {
		return none, err
	}
	box, _, err := mp4.UnmarshalAny(in, b.Type, b.Size-b.HeaderSize, b.Context)
	if err != nil {
		return none, fmt.Errorf("box %s: %w", b.Type, err)
	}
	got, ok := box.(T)
	if !ok {
		return none, fmt.Errorf("box %s is none", b.Type)
	}
	return got, nil
}

// read reads the tables of a track.
func (t *Track) read(in io.ReadSeeker, trak *mp4.BoxInfo, movie int64) error {
	mdia, stbl := mp4.BoxTypeMdia(), mp4.BoxPath{mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl()}
	of := func(kind mp4.BoxType) mp4.BoxPath { return append(append(mp4.BoxPath{}, stbl...), kind) }
	boxes, err := mp4.ExtractBoxes(in, trak, []mp4.BoxPath{{mp4.BoxTypeTkhd()}, {mdia, mp4.BoxTypeHdlr()}, {mdia, mp4.BoxTypeMdhd()},
		{mp4.BoxTypeEdts(), mp4.BoxTypeElst()}, of(mp4.BoxTypeStsd()), of(mp4.BoxTypeStts()), of(mp4.BoxTypeStsc()),
		of(mp4.BoxTypeStsz()), of(mp4.BoxTypeStco()), of(mp4.BoxTypeCo64())})
	if err != nil {
		return err
	}
	var edits *mp4.Elst
	for _, b := range boxes {
		if t.Handler == "vide" || t.Handler == "soun" { // their tables are long
			return nil
		}
		var err error
		switch b.Type {
		case mp4.BoxTypeTkhd():
			var h *mp4.Tkhd
			if h, err = payload[*mp4.Tkhd](in, b); err == nil {
				t.id = h.TrackID
			}
		case mp4.BoxTypeHdlr():
			var h *mp4.Hdlr
			if h, err = payload[*mp4.Hdlr](in, b); err == nil {
				t.Handler = string(h.HandlerType[:])
			}
		case mp4.BoxTypeMdhd():
			var h *mp4.Mdhd
			if h, err = payload[*mp4.Mdhd](in, b); err == nil {
				t.timescale = int64(h.Timescale)
			}
		case mp4.BoxTypeElst():
			edits, err = payload[*mp4.Elst](in, b)
		case mp4.BoxTypeStsd():
			err = t.describe(in, b)
		case mp4.BoxTypeStts():
			t.stts, err = payload[*mp4.Stts](in, b)
		case mp4.BoxTypeStsc():
			t.stsc, err = payload[*mp4.Stsc](in, b)
		case mp4.BoxTypeStsz():
			t.stsz, err = payload[*mp4.Stsz](in, b)
		case mp4.BoxTypeStco():
			var c *mp4.Stco
			if c, err = payload[*mp4.Stco](in, b); err == nil {
				for _, at := range c.ChunkOffset {
					t.chunks = append(t.chunks, uint64(at))
				}
			}
		case mp4.BoxTypeCo64():
			var c *mp4.Co64
			if c, err = payload[*mp4.Co64](in, b); err == nil {
				t.chunks = c.ChunkOffset
			}
		}
		if err != nil {
			return err
		}
	}
	if t.stsz != nil && (t.timescale <= 0 || t.stts == nil || t.stsc == nil) {
		return errors.New("it has no tables of times and places")
	}
	t.edit(edits, movie)
	return nil
}

// describe reads the first sample description.
func (t *Track) describe(in io.ReadSeeker, b *mp4.BoxInfo) error {
	const head = 8 // version, flags, number of entries
	if _, err := b.SeekToPayload(in); err != nil {
		return err
	}
	buf := make([]byte, min(b.Size-b.HeaderSize, maxEntry+head+8))
	if _, err := io.ReadFull(in, buf); err != nil {
		return err
	}
	if len(buf) < head+8 {
		return nil
	}
	size := min(uint64(binary.BigEndian.Uint32(buf[head:])), uint64(len(buf)-head))
	t.Format = string(buf[head+4 : head+8])
	if size > 8 {
		t.Entry = buf[head+8 : head+int(size)]
	}
	return nil
}

// edit applies the edit list: an empty edit delays the track, and a media time cuts its start.
func (t *Track) edit(e *mp4.Elst, movie int64) {
	if e == nil {
		return
	}
	for i := range e.Entries {
		media := e.GetMediaTime(i)
		if media < 0 && movie > 0 {
			t.shift += int64(float64(min(e.GetSegmentDuration(i),
				math.MaxInt32)) * float64(t.timescale) / float64(movie))
			continue
		}
		t.shift -= media
		return
	}
}

// Sample is one sample of a track.
type Sample struct {
	At, Length time.Duration // from the first picture on; Length is 0 for the last one of some files
	Data       []byte        // valid until the next sample
}

// Each calls do for every sample in order, first those of the index and then those of fragments. It stops at the first error
// of do and returns it. A sample that lies outside of the file, as in a cut one, ends the track with an error that wraps
// ErrFile. So do samples with more bytes than the file.
func (t *Track) Each(do func(Sample) error) error {
	read := &samples{t: t}
	clock, err := t.eachIndexed(read, do)
	if err != nil || !t.fragmented {
		return err
	}
	f := fragments{t: t, do: do, clock: clock, read: read}
	return t.eachMoof(f.moof)
}

// eachIndexed reads the samples that are in the index, and returns the time behind the last one.
func (t *Track) eachIndexed(read *samples, do func(Sample) error) (at int64, err error) {
	var (
		entry   int
		inEntry uint32
		n       = 0
	)
	for c, offset := range t.chunks {
		for range t.perChunk(c) {
			if n >= t.count() {
				return at, nil
			}
			for entry < len(t.stts.Entries) && inEntry >= t.stts.Entries[entry].SampleCount {
				entry, inEntry = entry+1, 0
			}
			if entry == len(t.stts.Entries) {
				return at, nil
			}
			size, delta := t.size(n), int64(t.stts.Entries[entry].SampleDelta)
			if err := read.one(offset, size, at, delta, do); err != nil {
				return at, err
			}
			offset, at, n, inEntry = offset+uint64(size), at+delta, n+1, inEntry+1
		}
	}
	return at, nil
}

// samples reads samples of a track into one buffer.
type samples struct {
	t     *Track
	buf   []byte
	n     int
	total int64
}

// one reads a sample of size bytes at a byte of the file and calls do for it. Empty and too large ones are left out.
func (s *samples) one(offset uint64, size uint32, at, delta int64, do func(Sample) error) error {
	t := s.t
	s.n++
	if size > MaxSample || size == 0 {
		return nil
	}
	if offset > uint64(t.file) || uint64(t.file)-offset < uint64(size) {
		return fmt.Errorf("%w: sample %d of track %s lies outside of the file", ErrFile, s.n, t.Format)
	}
	if s.total += int64(size); s.total > t.file {
		return fmt.Errorf("%w: the samples of track %s overlap", ErrFile, t.Format)
	}
	if len(s.buf) < int(size) {
		s.buf = make([]byte, max(int(size), 4096))
	}
	if _, err := t.r.ReadAt(s.buf[:size], int64(offset)); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("sample %d of track %s: %w", s.n, t.Format, err)
	}
	return do(Sample{At: t.duration(at + t.shift), Length: t.duration(delta), Data: s.buf[:size]})
}

// duration turns units of the track into time.
func (t *Track) duration(units int64) time.Duration {
	return time.Duration(float64(units) / float64(t.timescale) * float64(time.Second)).Round(time.Microsecond)
}

// Empty reports whether the track has no sample in the index of the file, and the file says that it has no fragments.
func (t *Track) Empty() bool { return t.count() == 0 && !t.fragmented }

// count is how many samples the track has, as its table of sizes and the size of the file allow.
func (t *Track) count() int {
	if t.stsz.SampleSize != 0 {
		return int(min(int64(t.stsz.SampleCount), t.file/int64(t.stsz.SampleSize)))
	}
	return len(t.stsz.EntrySize)
}

func (t *Track) size(n int) uint32 {
	if t.stsz.SampleSize != 0 {
		return t.stsz.SampleSize
	}
	return t.stsz.EntrySize[n]
}

// perChunk is how many samples a chunk has (section 8.7.4: runs of chunks, by the first of each, from 1).
func (t *Track) perChunk(chunk int) uint32 {
	lo, hi := 0, len(t.stsc.Entries)
	for lo < hi {
		if mid := (lo + hi) / 2; int64(t.stsc.Entries[mid].FirstChunk) <= int64(chunk)+1 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0
	}
	return t.stsc.Entries[lo-1].SamplesPerChunk
}
