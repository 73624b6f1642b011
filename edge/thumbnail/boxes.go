package thumbnail

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"cattlecounter/shared/footage"
)

// maxBoxes bounds the walk through one level of a recording.
const maxBoxes = 4096

// holders are the boxes that are walked into, with the bytes that come before
// their first child: DJI keeps pictures in moov/udta, iTunes' way is a cover in
// moov/udta/meta/ilst or moov/meta/ilst, where QuickTime's meta has no version.
var holders = map[string]uint64{"moov": 0, "udta": 0, "meta": 4, "ilst": 0, "covr": 0}

// pictures are the boxes that hold one, with the bytes that come before it. DJI
// has two, snal and tnal. A cover's data box has a type and a locale.
var pictures = map[string]uint64{"snal": 0, "tnal": 0, "data": 8}

// box is one box of an ISO media file (ISO/IEC 14496-12 section 4.2).
type box struct {
	kind     string
	from, to uint64 // of its content
}

// embedded returns the largest picture in a recording, and its box. The error is
// ErrNone, or that of reading.
func embedded(r io.ReaderAt, size int64) ([]byte, string, error) {
	var best []byte
	kind := ""
	err := walk(r, box{to: uint64(max(size, 0))}, func(b box, before uint64) error {
		length := b.to - b.from
		if length <= before || length-before > footage.MaxThumbnail || length-before <= uint64(len(best)) {
			return nil
		}
		picture := make([]byte, length-before)
		if _, err := r.ReadAt(picture, int64(b.from+before)); err != nil {
			return err
		}
		if check(picture) == nil {
			best, kind = picture, b.kind
		}
		return nil
	})
	switch {
	case best != nil:
		return best, kind, nil
	case err == nil || errors.Is(err, io.EOF): // a file that ends early has none
		err = ErrNone
	}
	return nil, "", err
}

// walk gives every picture box below a box to take.
func walk(r io.ReaderAt, in box, take func(box, uint64) error) error {
	at := in.from
	for range maxBoxes {
		b, next, ok, err := read(r, at, in.to)
		if err != nil || !ok {
			return err
		}
		if before, ok := pictures[b.kind]; ok && in.kind != "" {
			if err := take(b, before); err != nil {
				return err
			}
		} else if before, ok := holders[b.kind]; ok && b.kind != in.kind {
			if b.kind == "meta" && plain(r, b) {
				before = 0
			}
			b.from = min(b.from+before, b.to)
			if err := walk(r, b, take); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// plain reports whether a meta box begins with its children, as QuickTime's does.
func plain(r io.ReaderAt, b box) bool {
	var h [8]byte
	if b.to-b.from < uint64(len(h)) {
		return false
	}
	_, err := r.ReadAt(h[:], int64(b.from))
	return err == nil && string(h[4:8]) == "hdlr"
}

// read reads the header of the box at a place, and says where the next one is;
// ok is false at the end or where boxes make no sense any more.
func read(r io.ReaderAt, at, end uint64) (b box, next uint64, ok bool, err error) {
	var h [16]byte
	if end < 8 || at > end-8 {
		return box{}, 0, false, nil
	}
	if _, err := r.ReadAt(h[:8], int64(at)); err != nil {
		return box{}, 0, false, err
	}
	b = box{kind: string(h[4:8]), from: at + 8, to: end}
	switch total := uint64(binary.BigEndian.Uint32(h[:4])); total {
	case 0: // to the end
	case 1:
		if end-at < 16 {
			return box{}, 0, false, nil
		}
		if _, err := r.ReadAt(h[8:], int64(at+8)); err != nil {
			return box{}, 0, false, err
		}
		b.from += 8
		total = binary.BigEndian.Uint64(h[8:])
		if total > math.MaxInt64 {
			return box{}, 0, false, nil
		}
		b.to = at + total
	default:
		b.to = at + total
	}
	return b, b.to, b.to >= b.from && b.to <= end && b.to > at, nil
}
