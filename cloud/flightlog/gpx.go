package flightlog

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// isXML reports whether the first element of a text has a name; other elements may follow its start.
func isXML(name string) func(start []byte) bool {
	return func(start []byte) bool {
		text := bytes.TrimLeft(start, "\x00 \t\r\n")
		return bytes.HasPrefix(text, []byte("<")) && bytes.Contains(start[:min(len(start), startLen)], []byte("<"+name))
	}
}

// trackXML reads elements of XML, and what a cut file has of them.
type trackXML struct {
	*recorder
	in     *bounded
	d      *xml.Decoder
	depth  int
	began  time.Time
	timed  int
	broken int // faults of the form of the text
}

func newTrackXML(dialect string, r io.Reader) *trackXML {
	in := &bounded{in: r}
	t := &trackXML{recorder: newRecorder(dialect), in: in, d: xml.NewDecoder(in)}
	t.d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) {
		return in,
			nil
	} // numbers are the same in all
	return t
}

// Limits of a text in XML: the decoder holds tokens, elements and the way to an element in memory.
const (
	longestToken   = 4 << 20 // bytes
	longestElement = 1 << 20
	deepest        = 200 // elements within each other
)

// elements calls do for every start of an element, until the end of the text or an error of its form.
func (t *trackXML) elements(do func(xml.StartElement) error) {
	for {
		t.in.piece("a text or tag", longestToken)
		token, err := t.d.Token()
		switch e := token.(type) {
		case xml.StartElement:
			if t.depth++; t.depth > deepest {
				err = fmt.Errorf("more than %d elements are within each other", deepest)
			} else if err == nil {
				err = do(e)
			}
		case xml.EndElement:
			t.depth--
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			line, _ := t.d.InputPos()
			t.fault(line, t.l.End, "it ends early: %v", err)
			t.broken++
			return
		}
	}
}

// decode reads an element up to its end.
func (t *trackXML) decode(v any, e *xml.StartElement) error {
	t.in.piece("the element "+e.Name.Local, longestElement)
	t.depth--
	return t.d.DecodeElement(v, e)
}

// record takes a point.
func (t *trackXML) record(s Sample, when string) {
	line, _ := t.d.InputPos()
	when = strings.TrimSpace(when)
	at, _, ok := parseTime(when) // without a zone it is UTC by both specifications
	switch {
	case ok:
		s.Time = at
		if t.timed++; t.timed == 1 {
			t.began = s.Time
		}
		s.Offset = s.Time.Sub(t.began)
		t.l.End = s.Offset
		t.add(s, line)
	case when != "":
		t.fault(line, t.l.End, "%.40q is no time", when)
	default:
		t.l.Records++
	}
}

// finish ends the reading. A path without times belongs to no video.
func (t *trackXML) finish(what string) (*Log, error) {
	if t.timed == 0 && t.faults > 0 && t.broken == 0 {
		return nil, fmt.Errorf("%w: none of its points has a time (%s)", ErrNoLog, t.l.Faults[0])
	}
	if t.l.Records > 0 && t.timed == 0 {
		return nil, fmt.Errorf("%w: its %d points have no times", ErrNoLog, t.l.Records)
	}
	t.l.Zone = UTC
	rebase(t.recorder)
	return t.log(what)
}

// rebase makes offsets count from the earliest record.
func rebase(r *recorder) {
	if len(r.l.Samples) == 0 {
		return
	}
	base, end := r.l.Samples[0].Offset, time.Duration(0)
	for i := range r.l.Samples {
		base = min(base, r.l.Samples[i].Offset)
	}
	for i := range r.l.Samples {
		r.l.Samples[i].Offset -= base
		end = max(end, r.l.Samples[i].Offset)
	}
	for i := range r.l.Faults {
		r.l.Faults[i].Offset -= base
	}
	r.l.End = end
}

// readGPX reads the tracks of a GPX file (topografix.com, GPX 1.0 and 1.1). Routes and way points are no flights.
func readGPX(r io.Reader) (*Log, error) {
	t := newTrackXML("gpx", r)
	t.elements(func(e xml.StartElement) error {
		if e.Name.Local != "trkpt" {
			return nil
		}
		var p struct {
			Lat        string `xml:"lat,attr"`
			Lon        string `xml:"lon,attr"`
			Ele        string `xml:"ele"`
			Time       string `xml:"time"`
			Satellites string `xml:"sat"`
		}
		if err := t.decode(&p, &e); err != nil {
			return err
		}
		s := NewSample(0)
		s.Lat, s.Lon, s.AbsAlt = number(p.Lat), number(p.Lon), number(strings.TrimSpace(p.Ele))
		s.Satellites, _ = strconv.Atoi(strings.TrimSpace(p.Satellites))
		t.record(s, p.Time)
		return nil
	})
	return t.finish("it has no points of a track (trkpt)")
}

// mostWhens bounds the times of a track in KML that wait for their positions.
const (
	mostWhens   = 1 << 20
	longestWhen = 64 // bytes
)

// readKML reads the tracks of a KML file (OGC KML 2.3, section 9.19, and gx:Track of KML 2.2): times and positions in
// parallel.
func readKML(r io.Reader) (*Log, error) {
	t := newTrackXML("kml-track", r)
	var whens []string
	relative, lines, next := false, 0, 0
	text := func(e xml.StartElement) (string, error) {
		var s string
		err := t.decode(&s, &e)
		return strings.TrimSpace(s), err
	}
	t.elements(func(e xml.StartElement) (err error) {
		s := ""
		switch e.Name.Local {
		case "Track":
			whens, next, relative = whens[:0], 0, false
		case "altitudeMode":
			s, err = text(e)
			relative = strings.HasPrefix(s, "relative")
		case "when":
			if s, err = text(e); len(whens) < mostWhens {
				whens = append(whens, strings.Clone(s[:min(len(s), longestWhen)]))
			}
		case "coordinates":
			lines++
		case "coord":
			if s, err = text(e); err != nil {
				break
			}
			at := ""
			if next < len(whens) {
				at = whens[next]
			}
			next++
			t.record(kmlSample(s, relative), at)
		}
		return err
	})
	if t.l.Records == 0 && lines > 0 {
		return nil, fmt.Errorf("%w: it has a line without times; a track (gx:Track) has them", ErrNoLog)
	}
	return t.finish("it has no track (gx:Track)")
}

// kmlSample reads a position: longitude, latitude, height.
func kmlSample(text string, relative bool) Sample {
	s, v := NewSample(0), strings.FieldsFunc(text, func(r rune) bool {
		return r == ' ' || r == ',' || r == '\t' ||
			r == '\n'
	})
	if len(v) < 2 {
		return s
	}
	s.Lon, s.Lat = number(v[0]), number(v[1])
	height := math.NaN()
	if len(v) > 2 {
		height = number(v[2])
	}
	if relative {
		s.RelAlt = height
	} else {
		s.AbsAlt = height
	}
	return s
}
