package tracks

import (
	"encoding/binary"
	"fmt"
)

// A file of fragments (ISO/IEC 14496-12, section 8.8) has its samples in runs (trun) of movie fragments (moof) behind the
// index. They are read one fragment after the other, each time the samples are asked for, so that memory stays bounded. The
// index of segments (sidx) is not needed: the boxes follow each other.

const (
	maxMoof      = 8 << 20   // bytes of one fragment's boxes
	maxFragments = 1 << 19   // boxes of the file itself
	maxMoofs     = 256 << 20 // bytes of all fragments' boxes
)

// defaults of samples in fragments, by track (trex, tfhd).
type defaults struct{ duration, size uint32 }

// childBoxes calls do for the boxes in b. Damaged sizes end it.
func childBoxes(b []byte, do func(kind string, payload []byte)) {
	for len(b) >= 8 {
		size, head := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		if size == 1 && len(b) >= 16 {
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size == 0 {
			size = uint64(len(b))
		}
		if size < head || size > uint64(len(b)) {
			return
		}
		do(string(b[4:8]), b[head:size])
		b = b[size:]
	}
}

// eachMoof calls do for the boxes moof of the file, in order, with their place and content, which is valid until the next.
func (t *Track) eachMoof(do func(at int64, b []byte) error) error {
	var head [16]byte
	var buf []byte
	sum := int64(0)
	at := int64(0)
	for range maxFragments {
		if t.file-at < 8 {
			return nil
		}
		n := min(16, t.file-at)
		if _, err := t.r.ReadAt(head[:n], at); err != nil {
			return fmt.Errorf("boxes at byte %d: %w", at, err)
		}
		size, start := int64(binary.BigEndian.Uint32(head[:])), int64(8)
		switch {
		case size == 1 && n == 16:
			size, start = int64(binary.BigEndian.Uint64(head[8:])), 16
		case size == 0:
			size = t.file - at
		}
		if size < start {
			return fmt.Errorf("%w: a box of %d bytes at byte %d", ErrFile, size, at)
		}
		if string(head[4:8]) == "moof" {
			if size > t.file-at {
				return fmt.Errorf("%w: the fragment at byte %d lies outside of the file", ErrFile, at)
			}
			if sum += size; size > maxMoof || sum > maxMoofs {
				return fmt.Errorf("%w: the fragments have more than %d bytes of boxes", ErrFile, maxMoofs)
			}
			if int64(len(buf)) < size-start {
				buf = make([]byte, size-start)
			}
			if _, err := t.r.ReadAt(buf[:size-start], at+start); err != nil {
				return fmt.Errorf("fragment at byte %d: %w", at, err)
			}
			if err := do(at, buf[:size-start]); err != nil {
				return err
			}
		}
		if size > t.file-at {
			return nil // the last pictures of a file that is cut
		}
		at += size
	}
	return fmt.Errorf("%w: it has more than %d boxes", ErrFile, maxFragments)
}

// run is a run of samples of a fragment.
type run struct {
	entries              []byte
	count                uint32
	stride               int // bytes of an entry
	hasDuration, hasSize bool
	usual                defaults
}

// sample is the duration and the size of a sample.
func (r *run) sample(i uint32) (duration, size uint32) {
	duration, size = r.usual.duration, r.usual.size
	e := r.entries[int(i)*r.stride:]
	if r.hasDuration {
		duration, e = binary.BigEndian.Uint32(e), e[4:]
	}
	if r.hasSize {
		size = binary.BigEndian.Uint32(e)
	}
	return duration, size
}

// bytes is how many bytes all samples have.
func (r *run) bytes() (sum uint64) {
	if !r.hasSize {
		return uint64(r.count) * uint64(r.usual.size)
	}
	for i := range r.count {
		_, size := r.sample(i)
		sum += uint64(size)
	}
	return sum
}

// newRun reads a box trun. offset is that of its first sample from the base, and given is false where it follows the run
// before. ok is false for a damaged one.
func newRun(b []byte, usual defaults) (r run, offset int64, given, ok bool) {
	const offsetFlag, firstFlag, durationFlag, sizeFlag, flagsFlag, timeFlag = 1, 4, 0x100, 0x200, 0x400, 0x800
	if len(b) < 8 {
		return r, 0, false, false
	}
	flags := binary.BigEndian.Uint32(b) & 0xffffff
	r = run{count: binary.BigEndian.Uint32(b[4:]), usual: usual, hasDuration: flags&durationFlag != 0, hasSize: flags&sizeFlag != 0}
	b = b[8:]
	for _, f := range []uint32{offsetFlag, firstFlag} {
		if flags&f == 0 {
			continue
		}
		if len(b) < 4 {
			return r, 0, false, false
		}
		if f == offsetFlag {
			offset, given = int64(int32(binary.BigEndian.Uint32(b))), true
		}
		b = b[4:]
	}
	for _, f := range []uint32{durationFlag, sizeFlag, flagsFlag, timeFlag} {
		if flags&f != 0 {
			r.stride += 4
		}
	}
	if uint64(r.count)*uint64(r.stride) > uint64(len(b)) {
		return r, 0, false, false
	}
	r.entries = b
	return r, offset, given, true
}

// fragments walks the runs of the track in all fragments.
type fragments struct {
	t     *Track
	do    func(Sample) error
	clock int64 // decode time of the next sample, in units of the timescale
	read  *samples
}

// moof reads a fragment, which begins at a byte of the file.
func (f *fragments) moof(start int64, b []byte) (err error) {
	end := start // of the data of the track before, which is the base of the next where none is given
	childBoxes(b, func(kind string, traf []byte) {
		if kind == "traf" && err == nil {
			end, err = f.traf(start, end, traf)
		}
	})
	return err
}

// traf reads a track of a fragment and returns where its data ends.
func (f *fragments) traf(start, before int64, b []byte) (end int64, err error) {
	const baseFlag, describedFlag, durationFlag, sizeFlag, moofFlag = 1, 2, 8, 0x10, 0x20000
	base, mine, known := before, false, false
	var usual defaults
	end = before
	childBoxes(b, func(kind string, p []byte) {
		if err != nil || len(p) < 8 {
			return
		}
		switch kind {
		case "tfhd":
			flags := binary.BigEndian.Uint32(p) & 0xffffff
			id := binary.BigEndian.Uint32(p[4:])
			usual, mine, known = f.t.usual[id], id == f.t.id, true
			if flags&moofFlag != 0 {
				base = start
			}
			p = p[8:]
			for _, field := range []struct {
				flag uint32
				size int
				set  func([]byte)
			}{
				{baseFlag, 8, func(v []byte) { base = int64(binary.BigEndian.Uint64(v) & (1<<62 - 1)) }},
				{describedFlag, 4, func([]byte) {}},
				{durationFlag, 4, func(v []byte) { usual.duration = binary.BigEndian.Uint32(v) }},
				{sizeFlag, 4, func(v []byte) { usual.size = binary.BigEndian.Uint32(v) }},
			} {
				if flags&field.flag == 0 {
					continue
				}
				if len(p) < field.size {
					return
				}
				field.set(p)
				p = p[field.size:]
			}
			end = base
		case "tfdt":
			if !mine {
				return
			}
			if p[0] == 1 && len(p) >= 12 {
				f.clock = int64(binary.BigEndian.Uint64(p[4:]) & (1<<60 - 1))
			} else {
				f.clock = int64(binary.BigEndian.Uint32(p[4:]))
			}
		case "trun":
			r, offset, given, ok := newRun(p, usual)
			if !ok || !known {
				err = fmt.Errorf("%w: a run of samples of the fragment at byte %d is damaged", ErrFile, start)
				return
			}
			if given {
				end = base + offset
			}
			if mine {
				err = f.run(&r, end)
			}
			end += int64(min(r.bytes(), 1<<60))
		}
	})
	return end, err
}

// run reads the samples of a run whose data begins at a byte of the file.
func (f *fragments) run(r *run, at int64) error {
	for i := range r.count {
		duration, size := r.sample(i)
		if !r.hasSize && !r.hasDuration && (size == 0 || size > MaxSample) {
			f.clock += int64(min(uint64(r.count-i)*uint64(duration), 1<<60))
			return nil // none of them is read
		}
		if at < 0 {
			return fmt.Errorf("%w: a sample of track %s lies before the file", ErrFile, f.t.Format)
		}
		if err := f.read.one(uint64(at), size, f.clock, int64(duration), f.do); err != nil {
			return err
		}
		f.clock, at = f.clock+int64(duration), at+int64(size)
	}
	return nil
}
