package capturetime

import (
	"encoding/binary"
	"io"
	"math/bits"
	"time"
)

// Element IDs of Matroska (RFC 9559 section 27).
const (
	idSegment = 0x18538067
	idInfo    = 0x1549A966
	idDateUTC = 0x4461
	idCluster = 0x1F43B675
)

// maxElements bounds the elements that are read. The date stands before the first cluster.
const maxElements = 1024

// matroskaEpoch is where DateUTC counts its nanoseconds from (RFC 9559 section 5.1.2.11).
var matroskaEpoch = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)

// inMatroska returns the DateUTC of the segment.
func inMatroska(r io.ReaderAt, size int64) (time.Time, bool) {
	at, end := int64(0), size
	for range maxElements {
		id, from, next, ok := element(r, at, end)
		if !ok {
			return time.Time{}, false
		}
		switch id {
		case idSegment, idInfo:
			at, end = from, next
			continue
		case idCluster:
			return time.Time{}, false
		case idDateUTC:
			return dateUTC(r, from, next)
		}
		at = next
	}
	return time.Time{}, false
}

// dateUTC reads a date of eight bytes.
func dateUTC(r io.ReaderAt, from, next int64) (time.Time, bool) {
	var b [8]byte
	if next-from != int64(len(b)) {
		return time.Time{}, false
	}
	if _, err := r.ReadAt(b[:], from); err != nil {
		return time.Time{}, false
	}
	ns := int64(binary.BigEndian.Uint64(b[:])) // a signed number by the format
	if ns == 0 {
		return time.Time{}, false // not set
	}
	return matroskaEpoch.Add(time.Duration(ns)), true
}

// element reads the header of the element at an offset (RFC 8794 section 6). An element of unknown size, as in a live
// recording, reaches to the end.
func element(r io.ReaderAt, at, end int64) (id uint64, from, next int64, ok bool) {
	id, n, ok := vint(r, at, end, 4)
	if !ok {
		return 0, 0, 0, false
	}
	size, m, ok := vint(r, at+n, end, 8)
	if !ok {
		return 0, 0, 0, false
	}
	from = at + n + m
	mark := uint64(1) << (7 * m)
	size &^= mark
	if size == mark-1 {
		return id, from, end, true
	}
	if size > uint64(end-from) {
		return 0, 0, 0, false
	}
	return id, from, from + int64(size), true
}

// vint reads a number of variable length with its length mark.
func vint(r io.ReaderAt, at, end, most int64) (v uint64, n int64, ok bool) {
	var b [8]byte
	if at >= end {
		return 0, 0, false
	}
	if _, err := r.ReadAt(b[:1], at); err != nil || b[0] == 0 {
		return 0, 0, false
	}
	n = int64(bits.LeadingZeros8(b[0])) + 1
	if n > most || n > end-at {
		return 0, 0, false
	}
	if n > 1 {
		if _, err := r.ReadAt(b[1:n], at+1); err != nil {
			return 0, 0, false
		}
	}
	for _, c := range b[:n] {
		v = v<<8 | uint64(c)
	}
	return v, n, true
}
