package flightlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

var update = flag.Bool("update", false, "write the files of testdata")

// box is a box of an MP4 file.
func box(kind string, parts ...[]byte) []byte {
	b := append([]byte("\x00\x00\x00\x00"), kind...)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// words are numbers of 32 bits.
func words(v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// movie is an MP4 file with one track of data, whose samples follow each other every 100 ms.
func movie(format, handler string, samples ...[]byte) []byte {
	const scale, step = 1000, 100
	head := box("ftyp", []byte("isom\x00\x00\x00\x00isom"))
	var media []byte
	sizes := words(0, 0, uint32(len(samples)))
	for _, s := range samples {
		media, sizes = append(media, s...), append(sizes, words(uint32(len(s)))...)
	}
	mvhd := append(words(0, 0, 0, scale, 0), make([]byte, 80)...)
	hdlr := append(append(words(0, 0), handler...), make([]byte, 13)...)
	stbl := box("stbl", box("stsd", words(0, 1), box(format, make([]byte, 8))), box("stts", words(0, 1,
		uint32(len(samples)), step)),
		box("stsc", words(0, 2, 1, 1, 1, 2, uint32(max(1, len(samples)-1)), 1)), box("stsz", sizes), box("stco",
			words(0, 2, uint32(len(head)+8), uint32(len(head)+8)+first(samples))))
	moov := box("moov", box("mvhd", mvhd), box("trak", box("mdia", box("mdhd", words(0, 0, 0, scale, 0, 0)),
		box("hdlr", hdlr), box("minf", stbl))))
	return append(append(head, box("mdat", media)...), moov...)
}

func first(samples [][]byte) uint32 {
	if len(samples) == 0 {
		return 0
	}
	return uint32(len(samples[0]))
}

// inside reads the log of a video that has a position.
func inside(t *testing.T, file []byte) *Log {
	t.Helper()
	l, err := ReadVideo(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if !l.OfVideo {
		t.Error("it is not of the video")
	}
	checkLog(t, l)
	if bytes.Contains(file, []byte("moov")) && len(l.Faults) == 0 {
		for _, kind := range fragmentKinds {
			parts := inFragments(t, file, kind)
			f, err := ReadVideo(bytes.NewReader(parts), int64(len(parts)))
			if err != nil {
				t.Errorf("%s: %v", kind.name, err)
			} else if a, b := fmt.Sprintf("%+v", *f), fmt.Sprintf("%+v", *l); a != b {
				t.Errorf("%s:\n%s\nwant as in one piece:\n%s", kind.name, a, b)
			}
		}
	}
	return l
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 || math.IsNaN(a) && math.IsNaN(b) }

// tx3g is a sample of a track of subtitles.
func tx3g(text string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
}

func TestSubtitlesInside(t *testing.T) {
	l := inside(t, movie("tx3g", "sbtl", tx3g("F/2.8, SS 100, GPS (5.5, 48.25, 18), D 1m, H 45.6m"), tx3g(""),
		tx3g("F/2.8, SS 100, GPS (5.5, 48.26, 18), D 1m, H 45.7m"), append(tx3g("GPS (5.5, 48.27, 18)"), box("styl",
			words(0))...)))
	if l.Dialect != "dji-subtitles-list" || l.Records != 3 {
		t.Errorf("%+v", l)
	}
	a, b := l.Samples[0], l.Samples[1]
	if a.Lat != 48.25 || a.RelAlt != 45.6 || b.Offset != 200*time.Millisecond || b.Lat != 48.26 {
		t.Errorf("%+v\n%+v", a, b)
	}
	l = inside(t, movie("text", "text",
		tx3g("1\n00:15:04,000 --> 00:15:05,000\n<font size=\"28\">2026-05-17 08:28:30.219\n"+
			"[latitude: 60.5] [longitude: 15.25] [rel_alt: 1.5 abs_alt: 100.0]</font>")))
	if s := l.Samples[0]; l.Dialect != "dji-subtitles-brackets" || s.Offset != 0 || s.RelAlt != 1.5 || l.Zone != Local {
		t.Errorf("%+v", l)
	}
	l = inside(t, movie("tx3g", "subt", tx3g("\xfe\xff"+string(bigEndian("GPS(5.5,48.25,18)")))))
	if l.Samples[0].Lat != 48.25 {
		t.Errorf("%+v", l)
	}
}

// TestVideoOfOtherTests keeps the file that tests of other packages read.
func TestVideoOfOtherTests(t *testing.T) {
	keep(t, "testdata/subtitles.mp4", movie("tx3g", "sbtl", tx3g("F/2.8, SS 100, GPS (24.3, -31.7, 18), D 1m, H 45.6m"),
		tx3g("F/2.8, SS 100, GPS (24.3, -31.69999, 18), D 1m, H 45.6m")))
}

// keep compares a file with what it should be, or writes it.
func keep(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs from what this package makes (%v); run the test with -update", name, err)
	}
}

func bigEndian(text string) (out []byte) {
	for _, b := range []byte(text) {
		out = append(out, 0, b)
	}
	return out
}

// proto makes messages of protocol buffers.
type proto []byte

func (p proto) message(field protowire.Number, m proto) proto {
	return protowire.AppendBytes(protowire.AppendTag(p, field, protowire.BytesType), m)
}

func (p proto) text(field protowire.Number, s string) proto { return p.message(field, proto(s)) }

func (p proto) integer(field protowire.Number, v int64) proto {
	return protowire.AppendVarint(protowire.AppendTag(p, field, protowire.VarintType), uint64(v))
}

func (p proto) float(field protowire.Number, v float32) proto {
	return protowire.AppendFixed32(protowire.AppendTag(p, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (p proto) double(field protowire.Number, v float64) proto {
	return protowire.AppendFixed64(protowire.AppendTag(p, field, protowire.Fixed64Type), math.Float64bits(v))
}

// mavic is a sample of a Mavic 3: product, then the frame.
func mavic(schema string, position proto) []byte {
	product := proto(nil).message(1, proto(nil).text(1, "dvtm_"+schema+".proto").text(2, "02.00.02").text(5,
		"1581F45").text(10, "DJI Mavic3"))
	aircraft := proto(nil).integer(1, 1).
		message(3, proto(nil).integer(1, 15).integer(2, -25).integer(3, -1700)).
		message(4, proto(nil).message(1, position).integer(2, 123456).message(6, proto(nil).text(1,
			"2026-05-17 08:00:00"))).
		message(5, proto(nil).float(1, 60500))
	gimbal := proto(nil).message(3, proto(nil).integer(1, -899).integer(3, 1701))
	camera := proto(nil).message(6, proto(nil).float(1, 2))
	frame := proto(nil).message(1, proto(nil).integer(1, 7).integer(2, 40000)).message(2, camera).message(3,
		aircraft).message(4, gimbal)
	return proto(nil).message(1, product).message(3, frame)
}

func TestDJMD(t *testing.T) {
	degrees := proto(nil).integer(1, 1).double(2, -33.5).double(3, 18.25)
	radians := proto(nil).double(2, -33.5*math.Pi/180).double(3, 18.25*math.Pi/180)
	for schema, position := range map[string]proto{"wm265e": degrees, "Air3s": radians, "Mavic4": degrees} {
		l := inside(t, movie("djmd", "meta", mavic(schema, position), mavic(schema, position)))
		s := l.Samples[1]
		if !near(s.Lat, -33.5) || !near(s.Lon, 18.25) || !near(s.RelAlt, 60.5) || !near(s.AbsAlt, 123.456) ||
			s.Zoom != 2 ||
			s.Camera != (Attitude{Yaw: 170.1, Pitch: -89.9, Roll: 0}) || s.Body != (Attitude{Yaw: -170, Pitch: -2.5,
			Roll: 1.5}) ||
			s.Offset != 100*time.Millisecond || !s.Held {
			t.Errorf("%s: %+v", schema, s)
		}
		if l.Dialect != "dji-djmd-"+strings.ToLower(schema) || l.Model != "DJI Mavic3" || l.Serial != "1581F45" ||
			l.Zone != UTC || l.Captured().Hour() != 8 {
			t.Errorf("%+v", l)
		}
	}
	// Of a schema that is not known, the angles may be those of the camera or of the aircraft.
	other := inside(t, movie("djmd", "meta", mavic("somethingnew", degrees)))
	if s := other.Samples[0]; !near(s.Lat, -33.5) || !near(s.RelAlt, 60.5) || s.Camera.Known() || s.Body.Known() ||
		len(other.Faults) != 1 || !strings.Contains(other.Faults[0].Text, "schema is not known (dji-djmd-somethingnew)") {
		t.Errorf("an unknown schema: %+v", other)
	}
	aircraft := proto(nil).message(3, proto(nil).integer(3, 900)).message(4, proto(nil).message(1,
		degrees).integer(2, 5000)).
		message(5, proto(nil).float(1, 1500))
	avata := proto(nil).message(1, proto(nil).message(1, proto(nil).text(1, "dvtm_AVATA2.proto"))).message(3,
		proto(nil).message(4, aircraft))
	s := inside(t, movie("djmd", "meta", avata)).Samples[0]
	if !near(s.Lat, -33.5) || s.Camera.Known() || s.Body.Yaw != 90 || s.RelAlt != 1.5 || s.AbsAlt != 5 {
		t.Errorf("Avata: %+v", s)
	}
	l := inside(t, movie("djmd", "meta", proto(nil).message(1, proto(nil).message(1, proto(nil).text(1,
		"dvtm_Mini5_Pro.proto"))),
		mavic("x", proto(nil).integer(1, 1)), mavic("x", proto(nil).integer(1, 1).double(3, 18.25))))
	if l.Records != 2 || l.Fixes() != 1 || l.Samples[1].Lat != 0 || l.Samples[1].Camera.Known() ||
		!math.IsNaN(l.Samples[1].RelAlt) {
		t.Errorf("Mini 5: %+v", l)
	}
}

func TestParrot(t *testing.T) {
	big := binary.BigEndian
	v3 := make([]byte, 72)
	copy(v3, "P3\x00\x11")
	put := func(b []byte, at int, v float64) { big.PutUint32(b[at:], uint32(int32(math.Round(v)))) }
	put16 := func(b []byte, at int, v float64) { big.PutUint16(b[at:], uint16(int16(math.Round(v)))) }
	put(v3, 8, -33.5*(1<<22))
	put(v3, 12, 18.25*(1<<22))
	big.PutUint32(v3[16:], uint32(120.5*256)<<8|14)
	c, s := math.Cos(math.Pi/8), math.Sin(math.Pi/8)
	put16(v3, 28, c*(1<<14)) // yaw 45 degrees
	put16(v3, 34, s*(1<<14))
	put16(v3, 44, c*(1<<14)) // pitch -45 degrees
	put16(v3, 48, -s*(1<<14))
	put16(v3, 60, 69*256)
	put16(v3, 62, 42*256)
	got := inside(t, movie("mett", "meta", v3)).Samples[0]
	if !near(got.Lat, -33.5) || !near(got.Lon, 18.25) || got.AbsAlt != 120.5 || got.Satellites != 14 ||
		got.HFOV != 69 || got.VFOV != 42 ||
		math.Abs(got.Body.Yaw-45) > 0.01 || math.Abs(got.Camera.Pitch+45) > 0.01 || !math.IsNaN(got.RelAlt) {
		t.Errorf("version 3: %+v", got)
	}
	v1 := make([]byte, 60) // of a recording: without the name
	put16(v1, 4+4, math.Pi/2*4096)
	put(v1, 4+28, -33.5*(1<<20))
	put(v1, 4+32, 18.25*(1<<20))
	put(v1, 4+40, 60.5*65536)
	got = inside(t, movie("mett", "meta", v1)).Samples[0]
	if !near(got.Lat, -33.5) || got.RelAlt != 60.5 || math.Abs(got.Body.Yaw-90) > 0.02 || got.Camera.Known() {
		t.Errorf("version 1: %+v", got)
	}
	v2 := make([]byte, 56)
	copy(v2, "P2\x00\x0d")
	put(v2, 8, 500*(1<<22))
	put(v2, 12, 500*(1<<22))
	next := bytes.Clone(v2)
	put(next, 8, 1.5*(1<<22))
	put(next, 12, 2.5*(1<<22))
	l := inside(t, movie("mett", "meta", v2, next, []byte("E1\x00\x02abcdefgh")))
	if l.Fixes() != 1 || l.Samples[1].Lat != 1.5 || l.Dialect != "parrot-mett-2" || len(l.Faults) != 2 {
		t.Errorf("version 2: %+v", l)
	}
}

func TestCAMM(t *testing.T) {
	le := binary.LittleEndian
	double := func(b []byte, v float64) []byte { return le.AppendUint64(b, math.Float64bits(v)) }
	fix := func(kind uint32) []byte {
		b := double([]byte{0, 0, 6, 0}, 1463040018) // 2026-05-17T08:00:00Z and 18 leap seconds
		b = le.AppendUint32(b, kind)
		b = double(double(b, -33.5), 18.25)
		return append(le.AppendUint32(b, math.Float32bits(120.5)), make([]byte, 24)...)
	}
	l := inside(t, movie("camm", "camm", fix(0), append([]byte{0, 0, 3, 0}, make([]byte, 12)...), fix(3),
		double(double(double([]byte{0, 0, 5, 0}, -33.6), 18.25), 121.5), []byte{0, 0, 6, 0, 1}))
	if l.Records != 3 || l.Fixes() != 2 || l.Zone != UTC || len(l.Faults) != 2 {
		t.Fatalf("%+v", l)
	}
	a, b := l.Samples[1], l.Samples[2]
	if a.Lat != -33.5 || a.Lon != 18.25 || a.AbsAlt != 120.5 || a.Offset != 200*time.Millisecond || b.Lat != -33.6 ||
		b.AbsAlt != 121.5 {
		t.Errorf("%+v\n%+v", a, b)
	}
	if want := time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC); !a.Time.Equal(want) {
		t.Errorf("time %v", a.Time)
	}
}

func TestTimesOfCAMM(t *testing.T) {
	want := time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC)
	for _, v := range []float64{want.Sub(gpsEpoch).Seconds() + 18, float64(want.Unix())} {
		if got := cammTime(v); !got.Equal(want) {
			t.Errorf("%v: %s", v, got)
		}
	}
	for _, v := range []float64{0, -1, 1e20, math.NaN(), 100} {
		if got := cammTime(v); !got.IsZero() {
			t.Errorf("%v: %s", v, got)
		}
	}
}

// klv is an item in the format of GoPro.
func klv(name string, kind byte, size int, data []byte) []byte {
	b := append([]byte(name), kind, byte(size))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(data)/size)), data...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func device(streams ...[]byte) []byte {
	data := klv("DVNM", 'c', 1, []byte("HERO9 Black"))
	for _, s := range streams {
		data = append(data, klv("STRM", 0, 1, s)...)
	}
	return klv("DEVC", 0, 1, data)
}

func gps5(fix uint32, lat, lon float64, alts ...float64) []byte {
	s := klv("GPSF", 'L', 4, words(fix))
	s = append(s, klv("GPSU", 'U', 16, []byte("260517080000.500"))...)
	s = append(s, klv("SCAL", 'l', 4, words(10000000, 10000000, 1000, 1000, 100))...)
	var data []byte
	for _, alt := range alts {
		data = append(data, words(uint32(int32(math.Round(lat*1e7))), uint32(int32(math.Round(lon*1e7))),
			uint32(int32(alt*1000)), 0, 0)...)
	}
	return append(s, klv("GPS5", 'l', 20, data)...)
}

func TestGPMF(t *testing.T) {
	accelerometer := append(klv("SCAL", 's', 2, []byte{1, 0}), klv("ACCL", 's', 6, make([]byte, 12))...)
	l := inside(t, movie("gpmd", "meta", device(accelerometer, gps5(0, 1, 2, 3)), device(accelerometer, gps5(3,
		-33.5, 18.25, 100.5, 101.5))))
	if l.Model != "HERO9 Black" || l.Records != 3 || l.Fixes() != 2 || l.Zone != UTC {
		t.Fatalf("%+v", l)
	}
	a, b := l.Samples[1], l.Samples[2]
	if !near(a.Lat, -33.5) || !near(a.Lon, 18.25) || a.AbsAlt != 100.5 || b.AbsAlt != 101.5 ||
		a.Offset != 100*time.Millisecond ||
		b.Offset != 150*time.Millisecond || !a.Time.Equal(time.Date(2026, 5, 17, 8, 0, 0, 5e8, time.UTC)) {
		t.Errorf("%+v\n%+v", a, b)
	}
	row := words(uint32(0xffffffff-335000000+1), 182500000, 100500, 0, 0, 9633, 28800500)
	row = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(row, 100), 3)
	nine := append(klv("TYPE", 'c', 1, []byte("lllllllSS")), klv("SCAL", 'l', 4, words(10000000, 10000000, 1000,
		1000, 100, 1, 1000, 100, 1))...)
	nine = append(nine, klv("GPS9", '?', 32, row)...)
	s := inside(t, movie("gpmd", "meta", device(nine, gps5(3, 1, 2, 3)))).Samples
	if len(s) != 1 || !near(s[0].Lat, -33.5) || s[0].AbsAlt != 100.5 || !s[0].Time.Equal(time.Date(2026, 5, 17, 8, 0,
		0, 5e8, time.UTC)) {
		t.Errorf("%+v", s)
	}
}

func TestVideosWithoutALog(t *testing.T) {
	whole := movie("tx3g", "sbtl", tx3g("GPS (5.5, 48.25, 18)"))
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"no index":  {whole[:60], "broken MP4 file"},
		"pictures":  {movie("avc1", "vide", []byte("x")), "the video has only pictures and sound"},
		"time code": {movie("tmcd", "tmcd", []byte("xxxx")), `its tracks of data are "tmcd"`},
		"no fix": {movie("djmd", "meta", mavic("wm265e", nil)),
			"track djmd inside the video: no flight log: none of its 1 records has a position"},
		"other subtitles": {movie("tx3g", "sbtl", tx3g("Hello there")), "none of its 1 records has a position"},
		"empty":           {movie("djmd", "meta"), "track djmd inside the video: no flight log: it is empty"},
	} {
		_, err := ReadVideo(bytes.NewReader(c.file), int64(len(c.file)))
		if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cut := movie("tx3g", "sbtl", tx3g("GPS (5.5, 48.25, 18)"), tx3g("GPS (5.5, 48.26, 18)"))
	at := bytes.Index(cut, []byte("stco")) // the second chunk lies behind the end
	binary.BigEndian.PutUint32(cut[at+16:], uint32(len(cut)))
	if l := inside(t, cut); l.Records != 1 || !strings.Contains(fmt.Sprint(l.Faults), "it ends early") {
		t.Errorf("%+v", l)
	}
}

// sparse is a file whose pictures cannot be read.
type sparse struct {
	start, end []byte
	gap        int64
}

func (s *sparse) ReadAt(b []byte, at int64) (int, error) {
	switch end := int64(len(s.start)) + s.gap; {
	case at < int64(len(s.start)):
		return copy(b, s.start[at:]), nil
	case at < end:
		return 0, errors.New("the pictures are read")
	case at-end < int64(len(s.end)):
		n := copy(b, s.end[at-end:])
		if n < len(b) {
			return n, io.EOF
		}
		return n, nil
	}
	return 0, io.EOF
}

// TestPicturesAreNotRead has a video of 1 TiB.
func TestPicturesAreNotRead(t *testing.T) {
	file := movie("tx3g", "sbtl", tx3g("GPS (5.5, 48.25, 18)"))
	at := bytes.Index(file, []byte("moov")) - 4
	const gap = 1 << 40
	head := append(words(1), "mdat"...)
	start := append(append(bytes.Clone(file[:at]), head...), binary.BigEndian.AppendUint64(nil, 16+gap)...)
	s := &sparse{start: start, end: file[at:], gap: gap}
	l, err := ReadVideo(s, int64(len(start)+len(s.end))+gap)
	if err != nil || l.Fixes() != 1 {
		t.Errorf("%v %+v", err, l)
	}
}

func FuzzReadVideo(f *testing.F) {
	for _, b := range [][]byte{movie("tx3g", "sbtl", tx3g("GPS (5.5, 48.25, 18)")), movie("djmd", "meta",
		mavic("wm265e", nil))} {
		f.Add(b)
		f.Add(inFragments(f, b, fragmentKinds[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ReadVideo(bytes.NewReader(b), int64(len(b))); err == nil {
			checkLog(t, l)
		}
	})
}

// FuzzSamples fuzzes the samples of every form of track.
func FuzzSamples(f *testing.F) {
	for i, b := range [][]byte{mavic("wm265e", proto(nil).double(2, 1)), make([]byte, 72), device(gps5(3, 1, 2, 3)),
		make([]byte, 60), tx3g("GPS(1,2,3)")} {
		f.Add(i, b)
	}
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		formats := []string{"djmd", "mett", "gpmd", "camm", "tx3g"}
		file := movie(formats[uint(kind)%uint(len(formats))], "meta", b, b)
		if l, err := ReadVideo(bytes.NewReader(file), int64(len(file))); err == nil {
			checkLog(t, l)
		}
	})
}
