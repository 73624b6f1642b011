package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/footage"
)

// be builds a box.
func be(kind string, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(content)))
	return append(append(b, kind...), content...)
}

func words(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// started is the time in index, in seconds since 1904.
const started = 3_831_609_600

// index is a moov with an audio track and a video track of 240 frames of 1280x720 pixels, 8 s.
func index() []byte {
	track := func(handler, codec string, duration, samples uint32) []byte {
		header := append(words(0, 0, 0, 1, 0, duration), make([]byte, 13*4)...)
		return be("trak", be("tkhd", header, words(1280<<16, 720<<16)), be("mdia", be("hdlr", words(0, 0), []byte(handler)),
			be("minf", be("stbl", be("stsd", words(0, 1, 16), []byte(codec)), be("stsz", words(0, 0, samples))))))
	}
	return be("moov", be("mvhd", words(0, started, 0, 600, 4800)), track("soun", "mp4a", 4800, 9), track("vide", "avc1", 4800, 240))
}

func mkv(size uint64, content int) []byte {
	b := []byte{0x1A, 0x45, 0xDF, 0xA3, 0x82, 0, 0, 0x18, 0x53, 0x80, 0x67}
	b = binary.BigEndian.AppendUint64(b, size|1<<56)
	return append(b, make([]byte, content)...)
}

func avi(riff uint32, content int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("RIFF"), riff)
	b = append(b, "AVI LIST\x00\x01\x00\x00hdrlavih\x38\x00\x00\x00"...)
	for _, v := range []uint32{40000, 0, 0, 0, 100, 0, 0, 0, 64, 48} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, make([]byte, content)...)
}

func ts(packets, rest int) []byte {
	return append(bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), packets), make([]byte, rest)...)
}

func TestCheck(t *testing.T) {
	ftyp := be("ftyp", []byte("isom"), words(0))
	mdat := be("mdat", make([]byte, 4000))
	longMdat := append([]byte{0, 0, 0, 1}, "mdat\x00\x00\x00\x01\x00\x00\x00\x00"...)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		file []byte
		want error
		says string
	}{
		"whole, index last":     {file: join(ftyp, mdat, index())},
		"whole, index first":    {file: join(ftyp, index(), mdat)},
		"rubbish behind":        {file: join(ftyp, index(), mdat, words(3, 7, 7))},
		"fragments":             {file: join(ftyp, be("moov"), be("moof"), mdat)},
		"open mdat":             {file: join(ftyp, index(), words(0), []byte("mdat----"))},
		"empty":                 {want: video.ErrEmpty, says: "0 bytes"},
		"text":                  {file: []byte("Good morning, this is no video at all."), want: video.ErrNotVideo},
		"no index":              {file: join(ftyp, mdat), want: video.ErrTruncated, says: "index (moov)"},
		"open mdat, no index":   {file: join(ftyp, words(0), []byte("mdat----")), want: video.ErrTruncated, says: "index (moov)"},
		"mdat cut":              {file: join(ftyp, index(), mdat)[:2000], want: video.ErrTruncated, says: "of 4000 bytes"},
		"mdat cut, 64 bit":      {file: join(ftyp, longMdat, make([]byte, 50)), want: video.ErrTruncated, says: "50 of 4294967280 bytes"},
		"index cut":             {file: join(ftyp, mdat, index())[:4200], want: video.ErrTruncated, says: "index (moov)"},
		"header only":           {file: ftyp, want: video.ErrTruncated},
		"box of 5 bytes":        {file: join(ftyp, words(5), []byte("free")), want: video.ErrDecode, says: `"free"`},
		"matroska":              {file: mkv(100, 100)},
		"matroska, live":        {file: mkv(1<<56-1, 100)},
		"matroska cut":          {file: mkv(200, 100), want: video.ErrTruncated, says: "100 of 200 bytes"},
		"matroska header only":  {file: mkv(100, 100)[:9], want: video.ErrTruncated},
		"avi":                   {file: avi(180, 120)},
		"avi, not finished":     {file: avi(0, 120)},
		"avi cut":               {file: avi(5000, 120), want: video.ErrTruncated, says: "of 5000 bytes"},
		"avi header only":       {file: avi(180, 0)[:40], want: video.ErrTruncated},
		"transport stream":      {file: ts(20, 0)},
		"transport stream, cut": {file: ts(20, 100), want: video.ErrTruncated, says: "middle of a packet"},
	} {
		rep, err := Check(bytes.NewReader(c.file), int64(len(c.file)))
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		} else if err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", name, err, c.says)
		} else if err == nil && rep.Container == "" {
			t.Errorf("%s: container is not named", name)
		}
	}
}

func TestTail(t *testing.T) {
	ftyp, pictures := be("ftyp", []byte("isom"), words(0)), be("mdat", make([]byte, 1000))
	start := int64(len(ftyp) + len(pictures))
	for name, c := range map[string]struct {
		content []byte
		tail    int64 // -1: no
	}{
		"index first":           {slices.Concat(ftyp, index(), pictures), start + int64(len(index()))},
		"index last":            {slices.Concat(ftyp, pictures, index()), start},
		"index last, and more":  {slices.Concat(ftyp, pictures, index(), be("free")), start},
		"index first, and more": {slices.Concat(ftyp, index(), pictures, be("free")), start + int64(len(index()))},
		"no index":              {slices.Concat(ftyp, pictures), -1},
		"no pictures":           {slices.Concat(ftyp, index()), -1},
		"cut in the pictures":   {slices.Concat(ftyp, index(), pictures[:500]), -1},
		"cut in a header":       {slices.Concat(ftyp, pictures[:4]), -1},
		"cut in the index":      {slices.Concat(ftyp, pictures, index()[:20]), start}, // which shows when it is read
		"too much behind":       {slices.Concat(ftyp, pictures, be("moov", make([]byte, longestTail))), -1},
		"Matroska":              {mkv(0, 100), -1},
		"nothing":               {nil, -1},
		"boxes without end":     {slices.Concat(ftyp, bytes.Repeat(be("free"), maxBoxes), pictures, index()), -1},
	} {
		tail, ok := Tail(bytes.NewReader(c.content), int64(len(c.content)))
		if ok != (c.tail >= 0) || ok && tail != c.tail {
			t.Errorf("%s: %d %v, want %d", name, tail, ok, c.tail)
		}
	}
}

func TestReport(t *testing.T) {
	file := bytes.Join([][]byte{be("ftyp", []byte("isom")), index()}, nil)
	rep, err := Check(bytes.NewReader(file), int64(len(file)))
	want := Report{Container: footage.MP4, Frames: 240, Duration: 8 * time.Second, Codec: "avc1",
		Started: time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC), Width: 1280, Height: 720}
	if err != nil || rep != want {
		t.Errorf("got %+v %v, want %+v", rep, err, want)
	}
	file = avi(180, 120)
	rep, err = Check(bytes.NewReader(file), int64(len(file)))
	want = Report{Container: footage.AVI, Frames: 100, Duration: 4 * time.Second, Width: 64, Height: 48}
	if err != nil || rep != want {
		t.Errorf("got %+v %v, want %+v", rep, err, want)
	}
}

// TestTimeOfBothVersions reads the long form of the headers too, and no time where a camera wrote none.
func TestTimeOfBothVersions(t *testing.T) {
	version1 := words(1<<24, 0, started, 0, started, 600, 0, 4800)
	if got := creationTime(version1); got != time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC) {
		t.Errorf("version 1: %v", got)
	}
	for _, c := range [][]byte{nil, words(0, 0, 0), words(1<<24, ^uint32(0), 0), {9, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}} {
		if got := creationTime(c); !got.IsZero() {
			t.Errorf("% x: %v", c, got)
		}
	}
	long := append(append(words(1<<24), make([]byte, 21*4)...), words(640<<16, 512<<16)...)
	if w, h := trackSize(long); w != 640 || h != 512 {
		t.Errorf("version 1: %dx%d", w, h)
	}
}

func TestCheckFile(t *testing.T) {
	if _, err := CheckFile(t.TempDir()); !errors.Is(err, video.ErrNotVideo) {
		t.Errorf("folder: %v", err)
	}
	if _, err := CheckFile(filepath.Join(t.TempDir(), "none.mp4")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(bytes.Join([][]byte{be("ftyp", []byte("isom")), be("mdat", make([]byte, 40)), index()}, nil))
	f.Add(mkv(200, 100))
	f.Add(avi(180, 120))
	f.Add(ts(6, 1))
	f.Add([]byte("\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tail, ok := Tail(bytes.NewReader(b), int64(len(b))); ok && (tail <= 0 || tail > int64(len(b))) {
			t.Fatalf("tail at %d of %d", tail, len(b))
		}
		rep, err := Check(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			if rep.Frames < 0 || rep.Duration < 0 || rep.Width < 0 || rep.Height < 0 {
				t.Fatalf("%+v", rep)
			}
			return
		}
		classes := 0
		for _, class := range []error{video.ErrEmpty, video.ErrNotVideo, video.ErrTruncated, video.ErrDecode} {
			if errors.Is(err, class) {
				classes++
			}
		}
		if classes != 1 {
			t.Fatalf("%d classes in %v", classes, err)
		}
	})
}
