package flightlog

import (
	"bytes"
	"encoding/binary"
	"io"
)

// The reader of EXIF takes a number with the denominator 0 for 0, so a coordinate whose minutes are not known would be one of
// whole degrees. undefined looks at the numbers themselves.

const (
	exifStart   = 1 << 17 // bytes of a picture in which EXIF begins
	gpsPointer  = 0x8825
	gpsLatitude = 2
	gpsLong     = 4
)

// undefined reports whether latitude or longitude of EXIF has a number with the denominator 0. It is false for pictures whose
// EXIF is not found here.
func undefined(r io.ReadSeeker) bool {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return false
	}
	b, err := io.ReadAll(io.LimitReader(r, exifStart))
	if err != nil {
		return false
	}
	if at := bytes.Index(b, []byte("Exif\x00\x00")); at >= 0 {
		b = b[at+6:]
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(b, []byte("MM\x00*")):
		order = binary.BigEndian
	case !bytes.HasPrefix(b, []byte("II*\x00")):
		return false
	}
	found := false
	entries := func(at uint32, do func(tag uint16, value []byte, where uint32)) {
		if int64(at)+2 > int64(len(b)) {
			return
		}
		n := int64(order.Uint16(b[at:]))
		for i := range n {
			from := int64(at) + 2 + 12*i
			if from+12 > int64(len(b)) {
				return
			}
			e := b[from : from+12]
			do(order.Uint16(e), e, order.Uint32(e[8:]))
		}
	}
	if len(b) < 8 {
		return false
	}
	entries(order.Uint32(b[4:]), func(tag uint16, _ []byte, gps uint32) {
		if tag != gpsPointer {
			return
		}
		entries(gps, func(tag uint16, e []byte, where uint32) {
			const rational, parts = 5, 3
			if tag != gpsLatitude && tag != gpsLong || order.Uint16(e[2:]) != rational {
				return
			}
			for i := range int64(min(order.Uint32(e[4:]), parts)) {
				if to := int64(where) + 8*i + 8; to <= int64(len(b)) && order.Uint32(b[to-4:]) == 0 {
					found = true
				}
			}
		})
	})
	return found
}
