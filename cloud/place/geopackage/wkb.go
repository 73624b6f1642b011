package geopackage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Geometries that are read here have heights and measures in the form of ISO 13249-3 or of EWKB, as QGIS and GDAL write
// them. The reader of orb knows neither.

var errCut = errors.New("its geometry is cut off or damaged")

const (
	maxNesting                                                                                   = 8
	wkbPolygon, wkbMultiPolygon, wkbCollection, wkbCurvePolygon, wkbMultiSurface, wkbSurfaceLast = 3, 6, 7, 10, 12, 17
)

func appendInt(b []byte, v int32) []byte { return binary.LittleEndian.AppendUint32(b, uint32(v)) }

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// polygons reads a geometry blob of GeoPackage: the polygons of it, also of those in collections, nil for none. Curves are
// refused, because straight lines in their place would move a border.
func polygons(b []byte) (list [][][][]float64, empty bool, err error) {
	if len(b) == 0 {
		return nil, true, nil
	}
	if len(b) < 8 || b[0] != 'G' || b[1] != 'P' {
		return nil, false, errCut
	}
	flags := b[3]
	envelope, ok := map[byte]int{0: 0, 1: 32, 2: 48, 3: 48, 4: 64}[flags>>1&7]
	if !ok || len(b) < 8+envelope {
		return nil, false, errCut
	}
	const none, extended = 0x10, 0x20
	if flags&extended != 0 {
		return nil, false, errors.New("its geometry is of an extension that is not read here")
	}
	if flags&none != 0 {
		return nil, true, nil
	}
	r := wkbReader{b: b[8+envelope:]}
	list, err = r.geometry(0)
	if err == nil && r.cut {
		err = errCut
	}
	return list, r.hollow && len(list) == 0, err
}

// wkbReader reads well-known binary. After the end it gives zeros, and cut is set.
type wkbReader struct {
	b      []byte
	cut    bool
	hollow bool // a polygon has no ring
}

func (r *wkbReader) take(n int) []byte {
	if n > len(r.b) {
		r.cut, r.b = true, nil
		return make([]byte, n)
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

// count is a number of parts of at least size bytes each.
func (r *wkbReader) count(order binary.ByteOrder, size int) int {
	n := order.Uint32(r.take(4))
	if uint64(n)*uint64(size) > uint64(len(r.b)) {
		r.cut, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *wkbReader) geometry(depth int) ([][][][]float64, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("its geometry has more than %d levels of collections", maxNesting)
	}
	var order binary.ByteOrder = binary.BigEndian
	if r.take(1)[0] == 1 {
		order = binary.LittleEndian
	}
	kind := order.Uint32(r.take(4))
	numbers := 2
	const z, m, srid, iso = 1 << 31, 1 << 30, 1 << 29, 1000
	for _, flag := range []uint32{z, m} {
		if kind&flag != 0 {
			numbers++
		}
	}
	if kind&srid != 0 {
		r.take(4)
	}
	kind &^= z | m | srid
	switch kind / iso {
	case 1, 2:
		numbers++
	case 3:
		numbers += 2
	}
	switch kind %= iso; kind {
	case wkbPolygon:
		return r.polygon(order, numbers), nil
	case wkbMultiPolygon, wkbCollection, wkbMultiSurface:
		var all [][][][]float64
		for range r.count(order, 9) {
			list, err := r.geometry(depth + 1)
			if err != nil || r.cut {
				return nil, err
			}
			all = append(all, list...)
		}
		return all, nil
	}
	if kind >= wkbCurvePolygon && kind <= wkbSurfaceLast {
		return nil, errors.New("its geometry has curves; convert it to polygons first (in QGIS: Segmentize)")
	}
	if kind == 0 || kind > wkbSurfaceLast {
		return nil, errCut
	}
	if depth > 0 {
		return nil, r.skip(order, kind, numbers, depth)
	}
	return nil, nil // points and lines have no inside
}

// polygon reads rings; nil for an empty polygon.
func (r *wkbReader) polygon(order binary.ByteOrder, numbers int) [][][][]float64 {
	var rings [][][]float64
	for range r.count(order, 4) {
		n := r.count(order, 8*numbers)
		ring := make([][]float64, 0, n)
		for range n {
			p := r.take(8 * numbers)
			ring = append(ring, []float64{math.Float64frombits(order.Uint64(p)), math.Float64frombits(order.Uint64(p[8:]))})
		}
		rings = append(rings, ring)
	}
	if len(rings) == 0 || len(rings[0]) == 0 {
		r.hollow = true
		return nil
	}
	return [][][][]float64{rings}
}

// skip passes over a point or lines within a collection.
func (r *wkbReader) skip(order binary.ByteOrder, kind uint32, numbers, depth int) error {
	switch kind {
	case 1:
		r.take(8 * numbers)
	case 2, 8:
		r.take(8 * numbers * r.count(order, 8*numbers))
	case 4, 5:
		for range r.count(order, 9) {
			if _, err := r.geometry(depth + 1); err != nil || r.cut {
				return err
			}
		}
	default:
		return errors.New("its geometry has curves; convert it to polygons first (in QGIS: Segmentize)")
	}
	return nil
}
