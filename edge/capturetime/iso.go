package capturetime

import (
	"encoding/binary"
	"io"
	"math"
	"time"
)

const (
	maxBoxes = 4096 // read in one file
	maxDepth = 4
)

// isoEpoch is where ISO media files count their seconds from (ISO/IEC 14496-12 section 8.2.2).
var isoEpoch = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)

// inISO returns the creation time of the movie header, or the first one of a track or its media. Cameras leave some of
// them at zero.
func inISO(r io.ReaderAt, size int64) (time.Time, bool) {
	s := isoSearch{r: r, left: maxBoxes}
	s.walk(0, size, 0)
	return s.found, !s.found.IsZero()
}

type isoSearch struct {
	r     io.ReaderAt
	left  int // boxes that may still be read
	found time.Time
}

// walk visits the boxes in [at, end) until it has found a time.
func (s *isoSearch) walk(at, end int64, depth int) {
	for s.found.IsZero() && s.left > 0 && at <= end-8 {
		s.left--
		kind, from, next, ok := s.header(at, end)
		if !ok {
			return
		}
		switch kind {
		case "moov", "trak", "mdia":
			if depth < maxDepth {
				s.walk(from, next, depth+1)
			}
		case "mvhd", "tkhd", "mdhd":
			s.found = s.creation(from, next)
		}
		at = next
	}
}

// header reads the header of the box at an offset: its kind, where its content begins and where the next box begins.
func (s *isoSearch) header(at, end int64) (kind string, from, next int64, ok bool) {
	var h [16]byte
	if _, err := s.r.ReadAt(h[:8], at); err != nil {
		return "", 0, 0, false
	}
	from = at + 8
	size := uint64(binary.BigEndian.Uint32(h[:4]))
	switch size {
	case 0: // the box reaches to the end
		size = uint64(end - at)
	case 1:
		if _, err := s.r.ReadAt(h[8:], at+8); err != nil {
			return "", 0, 0, false
		}
		size, from = binary.BigEndian.Uint64(h[8:]), at+16
	}
	if size > math.MaxInt64 || int64(size) > end-at || at+int64(size) < from {
		return "", 0, 0, false
	}
	return string(h[4:8]), from, at + int64(size), true
}

// creation reads the creation time of a header box, the zero time where it is not set. Its first byte is the version:
// 0 has 32 bits, 1 has 64.
func (s *isoSearch) creation(from, next int64) time.Time {
	var b [12]byte
	n := min(int64(len(b)), next-from)
	if n < 8 {
		return time.Time{}
	}
	if _, err := s.r.ReadAt(b[:n], from); err != nil {
		return time.Time{}
	}
	seconds := uint64(binary.BigEndian.Uint32(b[4:8]))
	if b[0] == 1 {
		if n < int64(len(b)) {
			return time.Time{}
		}
		seconds = binary.BigEndian.Uint64(b[4:12])
	}
	const most = 1 << 33 // beyond the year 2170; a larger number is no time, and overflows a Duration
	if seconds == 0 || seconds > most {
		return time.Time{}
	}
	return isoEpoch.Add(time.Duration(seconds) * time.Second)
}
