package paddock

import (
	"archive/zip"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// A shapefile ("ESRI Shapefile Technical Description", 1998) is a .shp with the shapes, a .dbf (dBASE III) with a row for
// each and a .prj with the coordinate system: degrees, or a UTM zone.

var errShape = errors.New("the shapefile is cut off or damaged")

// readShapes reads the shapefile with this base name.
func readShapes(base string, files map[string]*zip.File) ([]Paddock, error) {
	parts := map[string][]byte{}
	for _, ext := range []string{".shp", ".dbf", ".prj"} {
		if f := files[base+ext]; f != nil {
			b, err := unpack(f)
			if err != nil {
				return nil, err
			}
			parts[ext] = b
		}
	}
	degrees := func(x, y float64) (float64, float64) { return x, y }
	if prj := strings.ToUpper(string(parts[".prj"])); strings.Contains(prj, "PROJCS") || strings.Contains(prj, "PROJCRS") {
		to, ok := utmOf(prj)
		if !ok {
			return nil, fmt.Errorf("%w: the shapefile has a projection (%.60q); export it in WGS 84 (EPSG:4326)", ErrFile, prj)
		}
		degrees = to.Degrees
	}
	if err := checkWKT(string(parts[".prj"])); err != nil {
		return nil, err
	}
	names, err := readNames(parts[".dbf"])
	if err != nil {
		return nil, fmt.Errorf("%w: .dbf: %w", ErrFile, err)
	}
	var r reader
	for i, b := 0, parts[".shp"]; ; i++ {
		if i == 0 {
			if len(b) < 100 || binary.BigEndian.Uint32(b) != 9994 {
				return nil, fmt.Errorf("%w: .shp: it does not begin as a shapefile", ErrFile)
			}
			b = b[100:]
		}
		if len(b) < 8 {
			return r.done("shapefile")
		}
		length := int64(binary.BigEndian.Uint32(b[4:])) * 2
		if length > int64(len(b)-8) {
			return nil, r.fault(errShape)
		}
		polygons, err := shape(b[8:8+length], degrees)
		if err != nil {
			return nil, r.fault(err)
		}
		name := ""
		if i < len(names) {
			name = names[i]
		}
		if err := r.add(name, polygons); err != nil {
			return nil, err
		}
		b = b[8+length:]
	}
}

// shape reads the polygons of one record: types 5, 15 and 25. Other types have none. degrees maps the coordinates to WGS 84.
func shape(b []byte, degrees func(x, y float64) (lon, lat float64)) ([][][][2]float64, error) {
	if len(b) < 4 {
		return nil, errShape
	}
	if t := binary.LittleEndian.Uint32(b); t != 5 && t != 15 && t != 25 {
		return nil, nil
	}
	if len(b) < 44 {
		return nil, errShape
	}
	parts, points := int64(binary.LittleEndian.Uint32(b[36:])), int64(binary.LittleEndian.Uint32(b[40:]))
	if 44+4*parts+16*points > int64(len(b)) {
		return nil, errShape
	}
	at := b[44+4*parts:]
	var rings [][][2]float64
	for i := range parts {
		from, to := int64(binary.LittleEndian.Uint32(b[44+4*i:])), points
		if i+1 < parts {
			to = int64(binary.LittleEndian.Uint32(b[48+4*i:]))
		}
		if from > to || to > points {
			return nil, errShape
		}
		var ring [][]float64
		for k := from; k < to; k++ {
			lon, lat := degrees(math.Float64frombits(binary.LittleEndian.Uint64(at[16*k:])),
				math.Float64frombits(binary.LittleEndian.Uint64(at[16*k+8:])))
			ring = append(ring, []float64{lon, lat})
		}
		p, err := polygon([][][]float64{ring})
		if err != nil {
			return nil, err
		}
		rings = append(rings, p[0])
	}
	return nested(rings), nil
}

// nested divides the rings of a shape into polygons: outer rings go clockwise, and a hole belongs to the outer ring around
// it. Where no ring goes clockwise all of them are outer ones.
func nested(rings [][][2]float64) (polygons [][][][2]float64) {
	var holes [][][2]float64
	for _, r := range rings {
		if signedArea(r) < 0 {
			polygons = append(polygons, [][][2]float64{r})
		} else {
			holes = append(holes, r)
		}
	}
	for _, h := range holes {
		placed := false
		for i := range polygons {
			if contains(polygons[i:i+1], h[0]) || contains([][][][2]float64{polygons[i][:1]}, h[len(h)/2]) {
				polygons[i], placed = append(polygons[i], h), true
				break
			}
		}
		if !placed {
			polygons = append(polygons, [][][2]float64{h})
		}
	}
	return polygons
}

// readNames reads the names of the rows of a dBASE table, by the columns of nameOf.
func readNames(b []byte) ([]string, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < 32 {
		return nil, errShape
	}
	rows, head, size := int(binary.LittleEndian.Uint32(b[4:])), int(binary.LittleEndian.Uint16(b[8:])), int(binary.LittleEndian.Uint16(b[10:]))
	if head < 32 || head > len(b) || size < 1 {
		return nil, errShape
	}
	type column struct {
		name     string
		from, to int
	}
	var columns []column
	from := 1 // after the mark of deleted rows
	for at := 32; at+32 <= head && b[at] != 0x0d; at += 32 {
		name, _, _ := strings.Cut(string(b[at:at+11]), "\x00")
		width := int(b[at+16])
		if from+width > size {
			return nil, errShape
		}
		columns = append(columns, column{name, from, from + width})
		from += width
	}
	var names []string
	for i := 0; i < rows && i < maxPaddocks && head+(i+1)*size <= len(b); i++ {
		row := b[head+i*size : head+(i+1)*size]
		properties := map[string]any{}
		for _, c := range columns {
			properties[c.name] = tableText(row[c.from:c.to])
		}
		names = append(names, nameOf(properties))
	}
	return names, nil
}

// tableText reads a cell: UTF-8, or Windows-1252 as old programs write it.
func tableText(b []byte) string {
	s := string(b)
	if !utf8.ValidString(s) {
		s, _ = charmap.Windows1252.NewDecoder().String(s) // it has a character for every byte
	}
	s = strings.TrimRight(strings.TrimSpace(s), "\x00")
	if f, err := strconv.ParseFloat(s, 64); err == nil && strings.Contains(s, ".") && f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return s
}
