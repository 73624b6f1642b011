package geotiff

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"golang.org/x/image/tiff/lzw"
)

// layout is how the values are stored.
type layout struct {
	f             *file
	compression   uint64
	predictor     uint64
	format        uint64 // 1 unsigned, 2 signed, 3 floating point
	size          int    // bytes of a value
	width, height int    // of a strip or tile
	across        int    // tiles in a row
	offsets       uint16 // tags
	lengths       uint16
	count         int
}

func (f *file) layout(g *Grid) (*layout, error) {
	l := &layout{f: f, compression: f.number(tagCompression, 0, 1), predictor: f.number(tagPredictor, 0, 1),
		format: f.number(tagSampleFormat, 0, 1)}
	bits := f.number(tagBits, 0, 1)
	if f.number(tagSamples, 0, 1) != 1 {
		return nil, errors.New("it has several bands, such as a picture; heights have one")
	}
	l.size = int(bits / 8)
	ok := map[uint64]string{1: "8 16 32", 2: "8 16 32", 3: "32 64"}[l.format]
	if bits%8 != 0 || !strings.Contains(" "+ok+" ", fmt.Sprintf(" %d ", bits)) {
		return nil, fmt.Errorf("its values have %d bits in format %d, which are not read", bits, l.format)
	}
	if l.predictor == 3 && f.order == binary.BigEndian {
		return nil, errors.New("its bytes begin with the high one and are packed with predictor 3, which programs do in two ways; " +
			"convert it: gdal_translate -co COMPRESS=DEFLATE IN OUT")
	}
	if l.predictor < 1 || l.predictor > 3 || l.predictor == 3 && l.format != 3 {
		return nil, fmt.Errorf("its predictor %d is not read", l.predictor)
	}
	tw, th := f.number(tagTileWidth, 0, 0), f.number(tagTileHeight, 0, 0)
	l.offsets, l.lengths = tagTileOffsets, tagTileBytes
	if tw == 0 {
		tw, th = uint64(g.Width), min(f.number(tagRowsPerStrip, 0, uint64(g.Height)), uint64(g.Height))
		l.offsets, l.lengths = tagStripOffsets, tagStripBytes
	}
	const most = 1 << 26 // bytes of a tile
	if tw == 0 || th == 0 || tw > most || th > most/tw/uint64(l.size) {
		return nil, errCut
	}
	l.width, l.height = int(tw), int(th)
	l.across = (g.Width + l.width - 1) / l.width
	l.count = l.across * ((g.Height + l.height - 1) / l.height)
	if uint64(l.count) > f.fields[l.offsets].count || uint64(l.count) > f.fields[l.lengths].count {
		return nil, errCut
	}
	return l, nil
}

// read reads all strips or tiles. A sparse one, of 0 bytes, stays not known.
func (l *layout) read(g *Grid) error {
	buf := make([]byte, l.width*l.height*l.size)
	for i := range l.count {
		at, n := l.f.number(l.offsets, i, 0), l.f.number(l.lengths, i, 0)
		if n == 0 {
			continue
		}
		packed, ok := l.f.slice(at, n)
		if !ok {
			return fmt.Errorf("tile %d: %w", i+1, errCut)
		}
		top := i / l.across * l.height
		rows := l.height
		if l.offsets == tagStripOffsets {
			rows = min(rows, g.Height-top) // the last strip is shorter
		}
		tile := buf[:rows*l.width*l.size]
		if err := l.unpack(tile, packed); err != nil {
			return fmt.Errorf("tile %d: %w", i+1, err)
		}
		l.put(g, tile, i%l.across*l.width, top, rows)
	}
	return nil
}

// unpack decompresses a tile and undoes its predictor.
func (l *layout) unpack(tile, packed []byte) error {
	const packBits = 32773
	var r io.Reader
	switch l.compression {
	case compressionNone:
		r = bytes.NewReader(packed)
	case compressionLZW:
		z := lzw.NewReader(bytes.NewReader(packed), lzw.MSB, 8)
		defer z.Close()
		r = z
	case compressionDeflate, compressionOldDeflate:
		z, err := zlib.NewReader(bytes.NewReader(packed))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	case packBits:
		r = bytes.NewReader(unpackBits(packed, len(tile)))
	default:
		return fmt.Errorf("its compression %d is not read; convert it: gdal_translate -co COMPRESS=DEFLATE IN OUT", l.compression)
	}
	if _, err := io.ReadFull(r, tile); err != nil {
		return fmt.Errorf("%w: %w", errCut, err)
	}
	row := l.width * l.size
	for at := 0; at+row <= len(tile); at += row {
		switch l.predictor {
		case 2:
			l.addUp(tile[at : at+row])
		case 3:
			l.addBytes(tile[at : at+row])
		}
	}
	return nil
}

// addUp undoes differences between neighbors in a row (TIFF 6.0, section 14).
func (l *layout) addUp(row []byte) {
	o := l.f.order
	switch l.size {
	case 1:
		for i := 1; i < len(row); i++ {
			row[i] += row[i-1]
		}
	case 2:
		for i := 2; i+2 <= len(row); i += 2 {
			o.PutUint16(row[i:], o.Uint16(row[i:])+o.Uint16(row[i-2:]))
		}
	case 4:
		for i := 4; i+4 <= len(row); i += 4 {
			o.PutUint32(row[i:], o.Uint32(row[i:])+o.Uint32(row[i-4:]))
		}
	case 8:
		for i := 8; i+8 <= len(row); i += 8 {
			o.PutUint64(row[i:], o.Uint64(row[i:])+o.Uint64(row[i-8:]))
		}
	}
}

// addBytes undoes differences between bytes of floating point numbers, which are ordered by their worth (TIFF Technical
// Note 3).
func (l *layout) addBytes(row []byte) {
	for i := 1; i < len(row); i++ {
		row[i] += row[i-1]
	}
	n := len(row) / l.size
	whole := make([]byte, l.size)
	out := make([]byte, len(row))
	for i := range n {
		for k := range whole {
			whole[k] = row[k*n+i]
		}
		slices.Reverse(whole) // the file begins with the low byte
		copy(out[l.size*i:], whole)
	}
	copy(row, out)
}

// put puts a tile whose first value belongs to a column and row of the grid into it.
func (l *layout) put(g *Grid, tile []byte, left, top, rows int) {
	for y := range min(rows, g.Height-top) {
		for x := range min(l.width, g.Width-left) {
			g.values[(top+y)*g.Width+left+x] = l.value(tile[(y*l.width+x)*l.size:])
		}
	}
}

// value reads one value.
func (l *layout) value(b []byte) float32 {
	o := l.f.order
	switch {
	case l.format == 3 && l.size == 8:
		return float32(math.Float64frombits(o.Uint64(b)))
	case l.format == 3:
		return math.Float32frombits(o.Uint32(b))
	case l.size == 1 && l.format == 2:
		return float32(int8(b[0]))
	case l.size == 1:
		return float32(b[0])
	case l.size == 2 && l.format == 2:
		return float32(int16(o.Uint16(b)))
	case l.size == 2:
		return float32(o.Uint16(b))
	case l.format == 2:
		return float32(int32(o.Uint32(b)))
	}
	return float32(o.Uint32(b))
}

// unpackBits undoes PackBits (TIFF 6.0, section 9), to at most n bytes.
func unpackBits(b []byte, n int) []byte {
	out := make([]byte, 0, n)
	for len(b) > 0 && len(out) < n {
		c := int(int8(b[0]))
		b = b[1:]
		switch {
		case c >= 0:
			k := min(c+1, len(b))
			out, b = append(out, b[:k]...), b[k:]
		case c > -128 && len(b) > 0:
			out = append(out, bytes.Repeat(b[:1], 1-c)...)
			b = b[1:]
		}
	}
	return out[:min(len(out), n)]
}
