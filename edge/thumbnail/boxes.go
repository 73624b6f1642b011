package thumbnail

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"cattlecounter/shared/footage"
)

// maxBoxes bounds the boxes that are read on one level of a recording.
const maxBoxes = 4096

// containers are the boxes with boxes in them, and the number of bytes before the first
// child. DJI has pictures in moov/udta. iTunes has a cover in moov/udta/meta/ilst or
// moov/meta/ilst. QuickTime's meta box has no version, so no bytes before its first child.
var containers = map[string]uint64{"moov": 0, "udta": 0, "meta": 4, "ilst": 0, "covr": 0}

// pictures are the boxes with a picture, and the number of bytes before it. DJI has two,
// snal and tnal. A cover's data box begins with a type and a locale.
var pictures = map[string]uint64{"snal": 0, "tnal": 0, "data": 8}

// box is one box of an ISO media file (ISO/IEC 14496-12 section 4.2).
type box struct {
	kind     string
	from, to uint64 // offsets of its content in the file
}

// embedded returns the largest picture in a recording and the kind of its box. The error is
// ErrNone without a picture, or the read error.
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
		if checkJPEG(picture) == nil {
			best, kind = picture, b.kind
		}
		return nil
	})
	switch {
	case best != nil:
		return best, kind, nil
	case err == nil || errors.Is(err, io.EOF): // also for a file that ends early
		err = ErrNone
	}
	return nil, "", err
}

// walk calls visit for every picture box inside a box, with the bytes before the picture.
func walk(r io.ReaderAt, in box, visit func(b box, before uint64) error) error {
	at := in.from
	for range maxBoxes {
		b, next, ok, err := readHeader(r, at, in.to)
		if err != nil || !ok {
			return err
		}
		if before, ok := pictures[b.kind]; ok && in.kind != "" {
			if err := visit(b, before); err != nil {
				return err
			}
		} else if before, ok := containers[b.kind]; ok && b.kind != in.kind {
			if b.kind == "meta" && isQuickTimeMeta(r, b) {
				before = 0
			}
			b.from = min(b.from+before, b.to)
			if err := walk(r, b, visit); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// isQuickTimeMeta reports whether a meta box begins with its first child, as in QuickTime.
func isQuickTimeMeta(r io.ReaderAt, b box) bool {
	var h [8]byte
	if b.to-b.from < uint64(len(h)) {
		return false
	}
	_, err := r.ReadAt(h[:], int64(b.from))
	return err == nil && string(h[4:8]) == "hdlr"
}

// readHeader reads the header of the box at an offset and returns the offset of the next one.
// ok is false at the end, and where the bytes are no valid box.
func readHeader(r io.ReaderAt, at, end uint64) (b box, next uint64, ok bool, err error) {
	var h [16]byte
	if end < 8 || at > end-8 {
		return box{}, 0, false, nil
	}
	if _, err := r.ReadAt(h[:8], int64(at)); err != nil {
		return box{}, 0, false, err
	}
	b = box{kind: string(h[4:8]), from: at + 8, to: end}
	switch total := uint64(binary.BigEndian.Uint32(h[:4])); total {
	case 0: // the box reaches to the end
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
