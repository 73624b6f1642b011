package flightlog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/bep/imagemeta"
)

// ReadPhoto reads what a photograph says of its camera, from EXIF (CIPA DC-008) and from XMP as drones write it: a
// log of one sample. r is a JPEG, TIFF or DNG, PNG or WebP file. The pixels are not read. Its error wraps ErrNoLog
// for a picture without a position and for other files.
func ReadPhoto(r io.ReadSeeker) (*Log, error) {
	const headLen = 12
	head := make([]byte, headLen)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("photograph: %w", err)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("photograph: %w", err)
	}
	kind := pictureKind(string(head[:n]))
	if kind < 0 {
		return nil, fmt.Errorf("%w: it is no picture in JPEG, TIFF, DNG, PNG or WebP", ErrNoLog)
	}
	p := photo{exif: map[string]any{}, xmp: map[string]string{}, makers: map[string]bool{}}
	_, err = imagemeta.Decode(imagemeta.Options{R: r, ImageFormat: kind, Sources: imagemeta.EXIF | imagemeta.XMP,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool {
			return t.Source == imagemeta.XMP ||
				isPlainExif(t.Namespace)
		},
		HandleTag: p.take, Warnf: func(string, ...any) {}})
	if undefined(r) {
		delete(p.exif, "GPSLatitude")
	}
	return p.log(err)
}

func pictureKind(head string) imagemeta.ImageFormat {
	switch {
	case strings.HasPrefix(head, "\xff\xd8\xff"):
		return imagemeta.JPEG
	case strings.HasPrefix(head, "II*\x00"), strings.HasPrefix(head, "MM\x00*"):
		return imagemeta.TIFF
	case strings.HasPrefix(head, "\x89PNG\r\n\x1a\n"):
		return imagemeta.PNG
	case strings.HasPrefix(head, "RIFF") && len(head) == 12 && head[8:] == "WEBP":
		return imagemeta.WebP
	}
	return -1
}

// isPlainExif leaves out the picture's thumbnail and what makers write in their own forms.
func isPlainExif(namespace string) bool {
	return namespace == "IFD0" || strings.HasPrefix(namespace, "IFD0/ExifIFD") || strings.HasPrefix(namespace,
		"IFD0/GPSInfoIFD")
}

// photo is what is found in a picture.
type photo struct {
	exif   map[string]any
	xmp    map[string]string // by the name in lower case
	makers map[string]bool   // whose names are in XMP
}

// mostText is how many bytes of a text of XMP are kept.
const mostText = 256

// take takes one item.
func (p *photo) take(t imagemeta.TagInfo) error {
	if t.Source != imagemeta.XMP {
		if _, ok := p.exif[t.Tag]; !ok {
			p.exif[t.Tag] = t.Value
		}
		return nil
	}
	if s := fmt.Sprint(t.Value); len(s) <= mostText {
		name := strings.ToLower(t.Tag)
		if strings.Contains(strings.ToLower(t.Namespace), "pix4d") {
			name = "pix4d" + name
		}
		if _, ok := p.xmp[name]; !ok {
			p.xmp[name] = strings.TrimSpace(s)
		}
	}
	for _, maker := range []string{"dji", "parrot", "autel"} {
		if strings.Contains(strings.ToLower(t.Namespace), maker) {
			p.makers[maker] = true
		}
	}
	return nil
}

// text is the first text of XMP with one of the names.
func (p *photo) text(names ...string) string {
	for _, name := range names {
		if s := p.xmp[name]; s != "" {
			return s
		}
	}
	return ""
}

// number is the first number of XMP with one of the names, such as +60.50; NaN without one.
func (p *photo) number(names ...string) float64 {
	for _, name := range names {
		if v := parseValue(p.xmp[name]).v; !math.IsNaN(v) {
			return v
		}
	}
	return math.NaN()
}

// exifText is a text of EXIF.
func (p *photo) exifText(name string) string {
	v, ok := p.exif[name]
	if !ok {
		return ""
	}
	s := fmt.Sprint(v) // some texts of digits come as numbers
	return strings.ToValidUTF8(strings.TrimSpace(strings.Trim(s[:min(len(s), mostText)], "\x00")), "")
}

// exifNumber is a number of EXIF; NaN without one.
func (p *photo) exifNumber(name string) float64 {
	switch v := p.exif[name].(type) {
	case interface{ Float64() float64 }:
		return v.Float64()
	case float64:
		return v
	case string:
		return number(strings.TrimSpace(v))
	case uint8, uint16, uint32, int16, int32, int64, uint64, int:
		n, err := strconv.ParseFloat(fmt.Sprint(v), 64)
		if err == nil {
			return n
		}
	}
	return math.NaN()
}

// log makes the log. broken is the error that ended the reading.
func (p *photo) log(broken error) (*Log, error) {
	maker := strings.ToLower(p.exifText("Make"))
	r := newRecorder("photo")
	for _, name := range []string{"dji", "parrot", "autel"} {
		if p.makers[name] || strings.Contains(maker, name) {
			r.l.Dialect = name + "-photo"
		}
	}
	r.l.Model, r.l.Serial = p.text("dronemodel"), p.text("droneserialnumber")
	if r.l.Model == "" {
		r.l.Model = p.exifText("Model")
	}
	if r.l.Serial == "" {
		r.l.Serial = p.exifText("SerialNumber")
	}
	s := NewSample(0)
	p.place(&s)
	p.lens(&s)
	s.Camera = Attitude{Yaw: turn(p.number("gimbalyawdegree", "camerayawdegree")),
		Pitch: p.number("gimbalpitchdegree", "camerapitchdegree"),
		Roll:  p.number("gimbalrolldegree", "camerarolldegree")}
	if !s.Camera.Known() && r.l.Dialect == "autel-photo" {
		s.Camera = Attitude{Yaw: turn(p.number("pix4dyaw", "yaw")), Pitch: p.number("pix4dpitch", "pitch"),
			Roll: p.number("pix4droll", "roll")}
	}
	s.Body = Attitude{Yaw: turn(p.number("flightyawdegree", "droneyawdegree")), Pitch: p.number("flightpitchdegree",
		"dronepitchdegree"),
		Roll: p.number("flightrolldegree", "dronerolldegree")}
	s.Time, r.l.Zone = p.time()
	if broken != nil {
		r.fault(0, 0, "its metadata is damaged: %v", broken)
	}
	r.add(s, 0)
	r.l.OfVideo = true
	if !r.l.Samples[0].HasPosition() {
		if broken != nil {
			return nil, fmt.Errorf("%w: the picture has no position; its metadata is damaged: %w", ErrNoLog, broken)
		}
		return nil, fmt.Errorf("%w: the picture has no position", ErrNoLog)
	}
	return r.log("the picture has no position")
}

// place reads position and height. XMP has more digits.
func (p *photo) place(s *Sample) {
	s.Lat, s.Lon = p.number("gpslatitude", "latitude"), p.number("gpslongitude", "gpslongtitude", "longitude")
	if !s.HasPosition() || isZero(s.Lat, s.Lon) {
		s.Lat, s.Lon = p.exifCoordinate("GPSLatitude", "N", "S"), p.exifCoordinate("GPSLongitude", "E", "W")
	}
	s.RelAlt, s.AbsAlt = p.number("relativealtitude", "abovegroundaltitude"), p.number("absolutealtitude")
	if math.IsNaN(s.AbsAlt) {
		const below = 1
		if s.AbsAlt = p.exifNumber("GPSAltitude"); p.exifNumber("GPSAltitudeRef") == below {
			s.AbsAlt = -math.Abs(s.AbsAlt)
		}
	}
	if flag := p.number("rtkflag"); !math.IsNaN(flag) {
		s.RTK = flag >= 34
	}
	satellites(s, zeroFor(p.exifNumber("GPSSatellites")))
}

// exifCoordinate is a coordinate of EXIF; NaN without one, and for one whose hemisphere is missing: it may be the other.
func (p *photo) exifCoordinate(name, positive, negative string) float64 {
	v := p.exifNumber(name)
	switch ref := strings.ToUpper(p.exifText(name + "Ref")); {
	case strings.HasPrefix(ref, negative):
		return -math.Abs(v)
	case strings.HasPrefix(ref, positive):
		return math.Abs(v)
	}
	return math.NaN()
}

// lens reads the focal length, and the field of view where the camera is calibrated.
func (p *photo) lens(s *Sample) {
	if v := p.exifNumber("FocalLengthIn35mmFormat"); v > 0 {
		s.Focal35 = v
	}
	if v := p.exifNumber("DigitalZoomRatio"); v >= 1 {
		s.Zoom = v
	}
	focal := p.number("calibratedfocallength") // pixels
	width, height := p.exifNumber("ExifImageWidth"), p.exifNumber("ExifImageHeight")
	const plain = 1.01
	if focal > 0 && width > 0 && height > 0 && !(s.Zoom > plain) { // it is that without digital zoom
		s.HFOV, s.VFOV = 360/math.Pi*math.Atan(width/2/focal), 360/math.Pi*math.Atan(height/2/focal)
	}
}

// time is when the picture was taken: by the receiver, else by the clock of the camera.
func (p *photo) time() (time.Time, Zone) {
	if at, _, ok := parseTime(dashed(p.text("utcatexposure"))); ok {
		return at, UTC
	}
	if day, clock := p.exifText("GPSDateStamp"), p.exifText("GPSTimeStamp"); day != "" && clock != "" {
		if at, _, ok := parseTime(dashed(day + " " + clock)); ok {
			return at, UTC
		}
	}
	at, zoned, ok := parseTime(dashed(p.exifText("DateTimeOriginal")) + p.exifText("OffsetTimeOriginal"))
	switch {
	case !ok:
		return time.Time{}, UnknownZone
	case zoned:
		return at, UTC
	}
	return at, Local
}

// dashed turns the date of EXIF, 2026:05:17, into the usual form.
func dashed(text string) string {
	if len(text) > 10 && text[4] == ':' && text[7] == ':' {
		return text[:4] + "-" + text[5:7] + "-" + text[8:]
	}
	return text
}
