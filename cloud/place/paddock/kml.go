package paddock

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"

	"cattlecounter/cloud/place/geopackage"
)

// ReadAny reads paddocks in any form, by their content: GeoJSON, KML, KMZ, a zipped shapefile or GeoPackage. Its
// error wraps ErrFile.
func ReadAny(b []byte) ([]Paddock, error) {
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrFile, len(b), MaxFile)
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(b, []byte("PK")):
		return readZIP(b)
	case bytes.HasPrefix(text, []byte("<")):
		return readKML(text)
	case bytes.HasPrefix(text, []byte("{")):
		return Read(text)
	case geopackage.Known(b):
		return readGeoPackage(b)
	}
	return nil, fmt.Errorf("%w: it is no GeoJSON, KML, KMZ, zipped shapefile or GeoPackage", ErrFile)
}

// readZIP reads a KMZ or the shapefile in an archive.
func readZIP(b []byte) ([]Paddock, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, fmt.Errorf("%w: ZIP archive: %w", ErrFile, err)
	}
	files := map[string]*zip.File{}
	var shapes []string
	for _, f := range z.File {
		name := strings.ToLower(f.Name)
		if strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(name, "__macosx/") {
			continue
		}
		files[name] = f
		switch path.Ext(name) {
		case ".kml":
			text, err := unpack(f)
			if err != nil {
				return nil, err
			}
			return readKML(text)
		case ".shp":
			shapes = append(shapes, strings.TrimSuffix(name, ".shp"))
		}
	}
	switch len(shapes) {
	case 0:
		return nil, fmt.Errorf("%w: the ZIP archive has no .kml and no .shp", ErrFile)
	case 1:
		return readShapes(shapes[0], files)
	}
	return nil, fmt.Errorf("%w: the ZIP archive has %d shapefiles (%s); send one", ErrFile, len(shapes), strings.Join(shapes, ", "))
}

// unpack returns the content of a file of an archive, at most MaxFile bytes.
func unpack(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, f.Name, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrFile, f.Name, err)
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%w: %s has more than %d bytes unpacked", ErrFile, f.Name, MaxFile)
	}
	return b, nil
}

// placemark is one object of KML while it is read.
type placemark struct {
	name     string
	polygons [][][][2]float64
	rings    [][][]float64 // of the polygon that is read, the outer one first
	inner    bool
}

// readKML reads the polygons of KML 2.2 (OGC 07-147r2): each Placemark with polygons is a paddock.
func readKML(b []byte) ([]Paddock, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		if utf8.Valid(b) { // some programs name another character set than they write
			return in, nil
		}
		e, err := htmlindex.Get(name)
		if err != nil {
			return nil, fmt.Errorf("character set %.40q is not known; save the file as UTF-8", name)
		}
		return e.NewDecoder().Reader(in), nil
	}
	var r reader
	var mark *placemark
	for root := ""; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root == "kml" {
			return r.done("KML")
		}
		if err != nil || root != "" && root != "kml" {
			return nil, fmt.Errorf("%w: it is no KML: it begins with <%.40s>: %w", ErrFile, root, errors.Join(err, io.ErrUnexpectedEOF))
		}
		switch e := token.(type) {
		case xml.StartElement:
			if root == "" {
				root = e.Name.Local
			}
			if e.Name.Local == "Placemark" {
				mark = &placemark{}
			} else if mark != nil {
				if err := mark.start(d, e); err != nil {
					return nil, r.fault(err)
				}
			}
		case xml.EndElement:
			if mark == nil {
				continue
			}
			switch e.Name.Local {
			case "Polygon":
				if err := mark.end(); err != nil {
					return nil, r.fault(err)
				}
			case "Placemark":
				if err := r.add(strings.TrimSpace(mark.name), mark.polygons); err != nil {
					return nil, err
				}
				mark = nil
			}
		}
	}
}

// start reads what belongs to a paddock at the start of an element.
func (m *placemark) start(d *xml.Decoder, e xml.StartElement) error {
	switch e.Name.Local {
	case "name":
		return d.DecodeElement(&m.name, &e)
	case "Polygon":
		m.rings = nil
	case "outerBoundaryIs":
		m.inner = false
	case "innerBoundaryIs":
		m.inner = true
	case "LinearRing":
		var ring struct {
			Coordinates string `xml:"coordinates"`
		}
		if err := d.DecodeElement(&ring, &e); err != nil {
			return err
		}
		points, err := coordinatesOf(ring.Coordinates)
		if err != nil {
			return err
		}
		if m.inner {
			m.rings = append(m.rings, points)
		} else {
			m.rings = append([][][]float64{points}, m.rings...)
		}
	}
	return nil
}

func (m *placemark) end() error {
	p, err := polygon(m.rings)
	m.polygons = append(m.polygons, p)
	return err
}

func coordinatesOf(text string) ([][]float64, error) {
	var out [][]float64
	for _, tuple := range strings.Fields(text) {
		var p []float64
		for _, v := range strings.Split(tuple, ",") {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return nil, fmt.Errorf("the point %.60q is no longitude,latitude", tuple)
			}
			p = append(p, n)
		}
		out = append(out, p)
	}
	return out, nil
}

// WriteKML writes paddocks as KML 2.2.
func WriteKML(w io.Writer, title string, list []Paddock) error {
	var b bytes.Buffer
	escape := func(s string) {
		_ = xml.EscapeText(&b, []byte(s)) // a buffer does not fail
	}
	b.WriteString(xml.Header + `<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>`)
	escape(title)
	b.WriteString("</name>\n")
	for _, p := range list {
		b.WriteString("<Placemark><name>")
		escape(p.Name)
		b.WriteString("</name><MultiGeometry>")
		for _, rings := range closed(p.Polygons) {
			b.WriteString("<Polygon>")
			for k, ring := range rings {
				tag := "outerBoundaryIs"
				if k > 0 {
					tag = "innerBoundaryIs"
				}
				b.WriteString("<" + tag + "><LinearRing><coordinates>")
				for i, q := range ring {
					if i > 0 {
						b.WriteByte(' ')
					}
					b.WriteString(strconv.FormatFloat(q[0], 'f', -1, 64) + "," + strconv.FormatFloat(q[1], 'f', -1, 64))
				}
				b.WriteString("</coordinates></LinearRing></" + tag + ">")
			}
			b.WriteString("</Polygon>")
		}
		b.WriteString("</MultiGeometry></Placemark>\n")
	}
	b.WriteString("</Document></kml>\n")
	_, err := w.Write(b.Bytes())
	return err
}
