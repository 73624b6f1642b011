package geotiff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrFile marks bytes that are no grid of heights in GeoTIFF that is read here. Compare with errors.Is.
var ErrFile = errors.New("not a GeoTIFF of heights")

// Limits of a grid that is read.
const (
	// MaxFile is the most bytes of a file.
	MaxFile    = 256 << 20
	mostValues = 64 << 20 // heights of a grid: 8000 x 8000
	mostTags   = 1000
)

// Grid is a grid of numbers with its place in a coordinate system. It is safe for concurrent reads.
type Grid struct {
	Width, Height int
	EPSG          int // of the coordinate system
	// OriginX and OriginY are x and y of the middle of the upper left value. A value further right or down is StepX further
	// east or StepY further south.
	OriginX, OriginY, StepX, StepY float64
	values                         []float32 // NaN where not known
}

// At is a value by column and row, which must be in the grid; NaN where it is not known.
func (g *Grid) At(column, row int) float64 { return float64(g.values[row*g.Width+column]) }

// ReadGrid reads the first image of a TIFF (also BigTIFF) with the keys of GeoTIFF: one number per pixel of 8 to 64 bits, in
// strips or tiles, plain or packed by Deflate, LZW or PackBits, with north up. Its error wraps ErrFile.
func ReadGrid(b []byte) (*Grid, error) {
	g, err := readGrid(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return g, nil
}

// field is a tag with its values as bytes.
type field struct {
	kind  uint16
	count uint64
	value []byte
}

// file is a TIFF in memory.
type file struct {
	b      []byte
	order  binary.ByteOrder
	big    bool
	fields map[uint16]field
}

// kindSize is the bytes of a value by its kind.
var kindSize = map[uint16]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

var errCut = errors.New("it is cut off or damaged")

// open reads the directory of the first image.
func open(b []byte) (*file, error) {
	f := &file{b: b, fields: map[uint16]field{}}
	switch {
	case len(b) > MaxFile:
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", len(b), MaxFile)
	case len(b) < 16:
		return nil, errors.New("it does not begin as TIFF")
	case string(b[:2]) == "II":
		f.order = binary.LittleEndian
	case string(b[:2]) == "MM":
		f.order = binary.BigEndian
	default:
		return nil, errors.New("it does not begin as TIFF")
	}
	at, entry, head := uint64(f.order.Uint32(b[4:])), uint64(12), uint64(2)
	switch f.order.Uint16(b[2:]) {
	case 42:
	case 43:
		f.big, at, entry, head = true, f.order.Uint64(b[8:]), 20, 8
	default:
		return nil, errors.New("it does not begin as TIFF")
	}
	raw, ok := f.slice(at, head)
	if !ok {
		return nil, errCut
	}
	n := uint64(f.order.Uint16(raw))
	if f.big {
		n = f.order.Uint64(raw)
	}
	if n > mostTags {
		return nil, errCut
	}
	raw, ok = f.slice(at+head, n*entry)
	if !ok {
		return nil, errCut
	}
	for ; len(raw) > 0; raw = raw[entry:] {
		if err := f.entry(raw[:entry]); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// slice returns bytes of the file.
func (f *file) slice(at, n uint64) ([]byte, bool) {
	if at > uint64(len(f.b)) || n > uint64(len(f.b))-at {
		return nil, false
	}
	return f.b[at : at+n], true
}

// entry reads one entry of the directory.
func (f *file) entry(e []byte) error {
	tag, v := f.order.Uint16(e), field{kind: f.order.Uint16(e[2:])}
	inside := e[8:12]
	v.count = uint64(f.order.Uint32(e[4:]))
	if f.big {
		v.count, inside = f.order.Uint64(e[4:]), e[12:20]
	}
	size := kindSize[v.kind]
	if size == 0 {
		return nil // a kind of another version
	}
	if v.count > uint64(len(f.b))/size {
		return fmt.Errorf("tag %d: %w", tag, errCut)
	}
	if n := v.count * size; n <= uint64(len(inside)) {
		v.value = inside[:n]
	} else {
		at := uint64(f.order.Uint32(inside))
		if f.big {
			at = f.order.Uint64(inside)
		}
		var ok bool
		if v.value, ok = f.slice(at, n); !ok {
			return fmt.Errorf("tag %d: %w", tag, errCut)
		}
	}
	f.fields[tag] = v
	return nil
}

// number is value i of a tag that has whole numbers, or other when it is not there.
func (f *file) number(tag uint16, i int, other uint64) uint64 {
	v := f.fields[tag]
	if uint64(i) >= v.count {
		return other
	}
	switch b := v.value[uint64(i)*kindSize[v.kind]:]; v.kind {
	case 1, 6, 7:
		return uint64(b[0])
	case kindShort:
		return uint64(f.order.Uint16(b))
	case kindLong, 13:
		return uint64(f.order.Uint32(b))
	case 16, 18:
		return f.order.Uint64(b)
	}
	return other
}

// doubles are the values of a tag of doubles.
func (f *file) doubles(tag uint16) (list []float64) {
	v := f.fields[tag]
	if v.kind != kindDouble {
		return nil
	}
	for b := v.value; len(b) >= 8; b = b[8:] {
		list = append(list, math.Float64frombits(f.order.Uint64(b)))
	}
	return list
}

func readGrid(b []byte) (*Grid, error) {
	f, err := open(b)
	if err != nil {
		return nil, err
	}
	width, height := f.number(tagWidth, 0, 0), f.number(tagHeight, 0, 0)
	if width < 2 || height < 2 || width > mostValues || height > mostValues/width {
		return nil, fmt.Errorf("it has %d x %d values, at most %d are read; cut it to the farm", width, height, mostValues)
	}
	g := &Grid{Width: int(width), Height: int(height)}
	if err := f.place(g); err != nil {
		return nil, err
	}
	l, err := f.layout(g)
	if err != nil {
		return nil, err
	}
	g.values = make([]float32, width*height)
	for i := range g.values {
		g.values[i] = float32(math.NaN())
	}
	if err := l.read(g); err != nil {
		return nil, err
	}
	f.forget(g)
	return g, nil
}

// place reads where the grid lies.
func (f *file) place(g *Grid) error {
	scale, tie := f.doubles(tagPixelScale), f.doubles(tagTiepoint)
	if m := f.doubles(tagTransform); len(scale) < 2 && len(m) == 16 {
		if m[1] != 0 || m[4] != 0 {
			return errors.New("it is turned; warp it to north up (gdalwarp)")
		}
		scale, tie = []float64{m[0], -m[5]}, []float64{0, 0, 0, m[3], m[7], 0}
	}
	if len(scale) < 2 || len(tie) < 6 || !(scale[0] > 0) || !(scale[1] > 0) {
		return errors.New("it does not say where it lies (no ModelPixelScale and ModelTiepoint)")
	}
	keys := f.keys()
	if unit, ok := keys[4099]; ok && unit != 9001 { // VerticalUnitsGeoKey: metres
		return fmt.Errorf("its heights have the unit EPSG:%d; convert them to metres", unit)
	}
	code := keys[2048] // GeographicTypeGeoKey
	if projected, ok := keys[3072]; ok {
		code = projected
	}
	g.EPSG = int(code)
	g.StepX, g.StepY = scale[0], scale[1]
	g.OriginX, g.OriginY = tie[3]-tie[0]*scale[0], tie[4]+tie[1]*scale[1]
	const pixelIsPoint = 2
	if keys[1025] != pixelIsPoint { // the place is that of the pixel's corner
		g.OriginX, g.OriginY = g.OriginX+scale[0]/2, g.OriginY-scale[1]/2
	}
	for _, v := range [...]float64{g.OriginX, g.OriginY, g.StepX, g.StepY} {
		if math.IsNaN(v) || math.Abs(v) > 1e9 {
			return errCut
		}
	}
	return nil
}

// keys are the keys of GeoTIFF that have a short value.
func (f *file) keys() map[uint64]uint64 {
	out := map[uint64]uint64{}
	n := f.number(tagGeoKeys, 3, 0)
	for i := range int(min(n, mostTags)) {
		at := 4 + 4*i
		if f.number(tagGeoKeys, at+1, 1) == 0 {
			out[f.number(tagGeoKeys, at, 0)] = f.number(tagGeoKeys, at+3, 0)
		}
	}
	return out
}

// forget makes the value of GDAL for unknown heights, and the usual ones, not known.
func (f *file) forget(g *Grid) {
	const srtm, copernicus = -32768, -32767
	none := math.NaN()
	if v := f.fields[tagNoData]; v.kind == kindASCII {
		if x, err := strconv.ParseFloat(strings.Trim(string(v.value), "\x00 "), 64); err == nil {
			none = x
		}
	}
	for i, v := range g.values {
		if x := float64(v); x == none || x == srtm || x == copernicus || math.Abs(x) > 1e5 || float32(none) == v {
			g.values[i] = float32(math.NaN())
		}
	}
}
