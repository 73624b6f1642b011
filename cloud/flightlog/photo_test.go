package flightlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"strings"
	"testing"
	"time"
)

// entry is one entry of a directory of EXIF.
type entry struct {
	tag, kind uint16
	count     uint32
	data      []byte
}

func ascii(tag uint16, text string) entry {
	return entry{tag, 2, uint32(len(text) + 1), append([]byte(text), 0)}
}

func rationals(tag uint16, v ...uint32) entry { return entry{tag, 5, uint32(len(v) / 2), words(v...)} }

func long(tag uint16, v uint32) entry { return entry{tag, 4, 1, words(v)} }

// directory is a directory that starts at an offset of its file, with the data of its entries behind it.
func directory(at int, entries ...entry) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(entries)))
	behind := at + 2 + 12*len(entries) + 4
	var data []byte
	for _, e := range entries {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, e.tag), e.kind)
		b = binary.BigEndian.AppendUint32(b, e.count)
		if len(e.data) <= 4 {
			b = append(append(b, e.data...), make([]byte, 4-len(e.data))...)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(behind+len(data)))
		data = append(data, e.data...)
	}
	return append(append(b, 0, 0, 0, 0), data...)
}

// exif is a block of EXIF with a camera and a position in the south and west.
func exif(position bool) []byte {
	const camera, gps = 200, 500
	head := append([]byte("MM\x00*"), words(8)...)
	first := []entry{ascii(0x010f, "DJI"), ascii(0x0110, "FC3582"), long(0x8769, camera)}
	if position {
		first = append(first, long(0x8825, gps))
	}
	b := append(head, directory(8, first...)...)
	b = append(b, make([]byte, camera-len(b))...)
	b = append(b, directory(camera, ascii(0x9003, "2026:05:17 10:00:01"), ascii(0x9011, "+02:00"), long(0xa002, 4000),
		long(0xa003, 3000), rationals(0xa404, 2, 1), entry{0xa405, 3, 1, []byte{0, 24}})...)
	if !position {
		return b
	}
	b = append(b, make([]byte, gps-len(b))...)
	return append(b, directory(gps, ascii(1, "S"), rationals(2, 33, 1, 30, 1, 0, 1), ascii(3, "W"), rationals(4, 70,
		1, 15, 1, 0, 1),
		entry{5, 1, 1, []byte{0}}, rationals(6, 1205, 10), ascii(8, "14"))...)
}

const djiXMP = `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description ` +
	`xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" drone-dji:GpsLatitude="-33.5000001" drone-dji:GpsLongtitude="-70.2500001" ` +
	`drone-dji:AbsoluteAltitude="+123.45" drone-dji:RelativeAltitude="+60.50" drone-dji:GimbalRollDegree="+0.00" ` +
	`drone-dji:GimbalYawDegree="+190.10" drone-dji:GimbalPitchDegree="-89.90" drone-dji:FlightRollDegree="+1.5" ` +
	`drone-dji:FlightYawDegree="-170.0" drone-dji:FlightPitchDegree="-2.5" drone-dji:RtkFlag="50" drone-dji:CalibratedFocalLength="2000.0" ` +
	`drone-dji:DroneModel="M3E" drone-dji:DroneSerialNumber="1581F"/></rdf:RDF></x:xmpmeta>`

// picture is a JPEG with blocks of EXIF and XMP.
func picture(t testing.TB, exif []byte, xmp string) []byte {
	t.Helper()
	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewGray(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}
	b := []byte{0xff, 0xd8}
	block := func(name string, data []byte) {
		b = append(b, 0xff, 0xe1)
		b = binary.BigEndian.AppendUint16(b, uint16(2+len(name)+len(data)))
		b = append(append(b, name...), data...)
	}
	if exif != nil {
		block("Exif\x00\x00", exif)
	}
	if xmp != "" {
		block("http://ns.adobe.com/xap/1.0/\x00", []byte(xmp))
	}
	return append(b, plain.Bytes()[2:]...)
}

func TestPhotographs(t *testing.T) {
	l, err := ReadPhoto(bytes.NewReader(picture(t, exif(true), djiXMP)))
	if err != nil {
		t.Fatal(err)
	}
	s := l.Samples[0]
	if s.Lat != -33.5000001 || s.Lon != -70.2500001 || s.AbsAlt != 123.45 || s.RelAlt != 60.5 || !s.RTK ||
		s.Satellites != 14 ||
		math.Abs(s.Camera.Yaw+169.9) > 1e-9 || s.Camera.Pitch != -89.9 || s.Camera.Roll != 0 ||
		s.Body != (Attitude{-170, -2.5, 1.5}) ||
		s.Focal35 != 24 || s.Zoom != 2 || !math.IsNaN(s.HFOV) {
		t.Errorf("%+v", s)
	}
	unzoomed := bytes.Replace(exif(true), rationals(0xa404, 2, 1).data, words(0, 1), 1)
	if l, err := ReadPhoto(bytes.NewReader(picture(t, unzoomed, djiXMP))); err != nil || math.Abs(l.Samples[0].HFOV-90) > 1e-9 ||
		math.Abs(l.Samples[0].VFOV-73.739795) > 1e-6 {
		t.Errorf("without digital zoom: %+v %v", l, err)
	}
	if l.Model != "M3E" || l.Serial != "1581F" || l.Dialect != "dji-photo" || l.Zone != UTC ||
		!l.Captured().Equal(time.Date(2026, 5, 17, 8, 0, 1, 0, time.UTC)) {
		t.Errorf("%+v", l)
	}
	l, err = ReadPhoto(bytes.NewReader(picture(t, exif(true), "")))
	if err != nil {
		t.Fatal(err)
	}
	if s := l.Samples[0]; s.Lat != -33.5 || s.Lon != -70.25 || s.AbsAlt != 120.5 || s.Camera.Known() || s.RTK ||
		l.Model != "FC3582" {
		t.Errorf("%+v", l)
	}
	l, err = ReadPhoto(bytes.NewReader(exif(true))) // a TIFF
	if err != nil || l.Samples[0].Lat != -33.5 {
		t.Errorf("%v %+v", err, l)
	}
	for name, c := range map[string]struct{ from, to string }{
		"Autel":    {"www.dji.com/drone-dji", "www.autelrobotics.com/drone"},
		"elements": {`drone-dji:GimbalPitchDegree="-89.90"`, ""},
	} {
		xmp := strings.ReplaceAll(djiXMP, c.from, c.to)
		if name == "elements" {
			xmp = strings.Replace(strings.Replace(xmp, "/></rdf:RDF>", "></rdf:Description></rdf:RDF>", 1),
				"></rdf:Description>",
				"><drone-dji:GimbalPitchDegree>-89.90</drone-dji:GimbalPitchDegree></rdf:Description>", 1)
		}
		l, err := ReadPhoto(bytes.NewReader(picture(t, nil, xmp)))
		if err != nil || l.Samples[0].Camera.Pitch != -89.9 || name == "Autel" && l.Dialect != "autel-photo" {
			t.Errorf("%s: %v %+v", name, err, l)
		}
	}
	parrot := strings.NewReplacer("drone-dji", "drone-parrot", "www.dji.com", "www.parrot.com", "GimbalYawDegree",
		"CameraYawDegree",
		"GimbalPitchDegree", "CameraPitchDegree", "GimbalRollDegree", "CameraRollDegree", "FlightYawDegree",
		"DroneYawDegree").Replace(djiXMP)
	l, err = ReadPhoto(bytes.NewReader(picture(t, nil, parrot)))
	if err != nil || l.Samples[0].Camera.Pitch != -89.9 || l.Samples[0].Body.Yaw != -170 ||
		l.Dialect != "parrot-photo" {
		t.Errorf("Parrot: %v %+v", err, l)
	}
}

func TestPicturesWithoutAPosition(t *testing.T) {
	for name, b := range map[string][]byte{"empty": nil, "text": []byte("hello, this is no picture"),
		"plain": picture(t, nil, ""),
		"no fix": picture(t, exif(false), strings.NewReplacer("-33.5000001", "0.0", "-70.2500001",
			"0.0").Replace(djiXMP))} {
		if _, err := ReadPhoto(bytes.NewReader(b)); !errors.Is(err, ErrNoLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlacesOfPhotographs has positions as editors, old cameras and damage leave them. What may be wrong is no position.
func TestPlacesOfPhotographs(t *testing.T) {
	const attributes = `drone-dji:GpsLatitude="-33.5000001" drone-dji:GpsLongtitude="-70.2500001" `
	xmp := func(lat, lon string) string {
		return strings.Replace(djiXMP, attributes, `xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="`+lat+
			`" exif:GPSLongitude="`+lon+`" `, 1)
	}
	swap := func(from, to entry) []byte { return bytes.Replace(exif(true), from.data, to.data, 1) }
	lat := rationals(2, 33, 1, 30, 1, 0, 1)
	for name, c := range map[string]struct {
		exif []byte
		xmp  string
		want string // latitude and longitude, "" for none
	}{
		"degrees and minutes of XMP":  {nil, xmp("33,30.0006S", "70,15.5W"), "-33.50001 -70.25833"},
		"degrees, minutes, seconds":   {nil, xmp("33,30,36S", "70,15,0W"), ""},
		"whole minutes":               {nil, xmp("33,30S", "70,15W"), "-33.50000 -70.25000"},
		"north and east":              {nil, xmp("33,30.0N", "70,15.0E"), "33.50000 70.25000"},
		"no digits behind the comma":  {nil, xmp("33,S", "70,W"), ""},
		"minutes without denominator": {swap(lat, rationals(2, 33, 1, 30, 0, 0, 1)), "", ""},
		"degrees without denominator": {swap(lat, rationals(2, 33, 0, 30, 1, 0, 1)), "", ""},
		"all zero":                    {swap(lat, rationals(2, 0, 0, 0, 0, 0, 0)), "", ""},
		"no hemisphere":               {bytes.Replace(exif(true), []byte("\x00\x01\x00\x02\x00\x00\x00\x02S\x00"), []byte("\x00\x01\x00\x02\x00\x00\x00\x02\x00\x00"), 1), "", ""},
		"plain":                       {exif(true), "", "-33.50000 -70.25000"},
	} {
		l, err := ReadPhoto(bytes.NewReader(picture(t, c.exif, c.xmp)))
		got := ""
		if err == nil {
			got = fmt.Sprintf("%.5f %.5f", l.Samples[0].Lat, l.Samples[0].Lon)
		} else if !errors.Is(err, ErrNoLog) {
			t.Errorf("%s: %v", name, err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	below := bytes.Clone(exif(true))
	at := bytes.Index(below, []byte{0, 5, 0, 1, 0, 0, 0, 1}) + 8
	below[at] = 1
	if l, err := ReadPhoto(bytes.NewReader(picture(t, below, ""))); err != nil || l.Samples[0].AbsAlt != -120.5 {
		t.Errorf("below the sea: %+v %v", l, err)
	}
	for flag, want := range map[string]bool{"0": false, "1": false, "16": false, "32": false, "34": true, "50": true} {
		l, err := ReadPhoto(bytes.NewReader(picture(t, nil, strings.Replace(djiXMP, `RtkFlag="50"`, `RtkFlag="`+flag+`"`, 1))))
		if err != nil || l.Samples[0].RTK != want {
			t.Errorf("RtkFlag %s: %+v %v", flag, l, err)
		}
	}
}

// TestPictureOfOtherTests keeps the file that tests of other packages read.
func TestPictureOfOtherTests(t *testing.T) {
	keep(t, "testdata/photo.jpg", picture(t, exif(true), djiXMP))
}

func FuzzReadPhoto(f *testing.F) {
	f.Add(picture(f, exif(true), djiXMP))
	f.Add(exif(true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ReadPhoto(bytes.NewReader(b)); err == nil {
			checkLog(t, l)
		}
	})
}
