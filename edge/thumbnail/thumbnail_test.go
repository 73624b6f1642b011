package thumbnail

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/shared/footage"
)

func picture(t testing.TB, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, side, side)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wrap returns a box with a size of 32 bits.
func wrap(kind string, content ...[]byte) []byte {
	all := bytes.Join(content, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(all)))
	return append(append(b, kind...), all...)
}

// large returns a box with a size of 64 bits.
func large(kind string, content []byte) []byte {
	b := append([]byte{0, 0, 0, 1}, kind...)
	return append(binary.BigEndian.AppendUint64(b, uint64(16+len(content))), content...)
}

var ftyp = wrap("ftyp", []byte("isom\x00\x00\x00\x00"))

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFindBesideTheRecording(t *testing.T) {
	small, larger := picture(t, 16), picture(t, 90)
	for name, c := range map[string]struct {
		video string
		files map[string][]byte
		want  []byte
	}{
		"own name":            {"a.mp4", map[string][]byte{"a.THM": small, "b.THM": larger}, small},
		"lower case":          {"a.mp4", map[string][]byte{"a.thm": small}, small},
		"index of DJI":        {"DCIM/100MEDIA/DJI_0001.MP4", map[string][]byte{"MISC/THM/100/DJI_0001.THM": small, "MISC/THM/100/DJI_0001.SCR": larger}, larger},
		"another folder's":    {"DCIM/101MEDIA/DJI_0001.MP4", map[string][]byte{"MISC/THM/100/DJI_0001.THM": small}, nil},
		"no JPEG":             {"a.mp4", map[string][]byte{"a.THM": []byte("not a picture")}, nil},
		"too large":           {"a.mp4", map[string][]byte{"a.THM": append(picture(t, 16), make([]byte, footage.MaxThumbnail)...)}, nil},
		"the wrong one first": {"a.mp4", map[string][]byte{"a.THM": []byte("?"), "a.thm": small}, small},
	} {
		t.Run(name, func(t *testing.T) {
			card := t.TempDir()
			video := filepath.Join(card, c.video)
			put(t, video, ftyp)
			for f, b := range c.files {
				put(t, filepath.Join(card, f), b)
			}
			got, err := Find(video)
			if c.want == nil {
				if !errors.Is(err, ErrNone) {
					t.Errorf("got error %v, want ErrNone", err)
				}
				return
			}
			if err != nil || !bytes.Equal(got.JPEG, c.want) {
				t.Errorf("got %d bytes from %s, error %v, want %d bytes", len(got.JPEG), got.From, err, len(c.want))
			}
		})
	}
	if _, err := Find(filepath.Join(t.TempDir(), "none.mp4")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing recording: got error %v, want fs.ErrNotExist", err)
	}
}

func TestFindInTheRecording(t *testing.T) {
	small, larger := picture(t, 16), picture(t, 90)
	mdat := wrap("mdat", make([]byte, 1000))
	cover := func(p []byte) []byte {
		return wrap("ilst", wrap("\xa9nam", []byte("x")), wrap("covr", wrap("data", make([]byte, 8), p)))
	}
	hdlr := wrap("hdlr", make([]byte, 25))
	for name, c := range map[string]struct {
		file []byte
		want []byte
		from string
	}{
		"DJI":              {bytes.Join([][]byte{ftyp, mdat, wrap("moov", wrap("mvhd", make([]byte, 100)), wrap("udta", wrap("tnal", small), wrap("snal", larger)))}, nil), larger, "box snal"},
		"DJI, other order": {bytes.Join([][]byte{ftyp, wrap("moov", wrap("udta", wrap("snal", larger), wrap("tnal", small))), mdat}, nil), larger, "box snal"},
		"cover":            {bytes.Join([][]byte{ftyp, mdat, wrap("moov", wrap("udta", wrap("meta", make([]byte, 4), hdlr, cover(small))))}, nil), small, "box data"},
		"cover, QuickTime": {bytes.Join([][]byte{ftyp, mdat, wrap("moov", wrap("meta", hdlr, cover(small)))}, nil), small, "box data"},
		"64 bits":          {bytes.Join([][]byte{ftyp, large("mdat", make([]byte, 100)), large("moov", wrap("udta", wrap("tnal", small)))}, nil), small, "box tnal"},
		"to the end":       {append(bytes.Clone(ftyp), append([]byte("\x00\x00\x00\x00moov"), wrap("udta", wrap("tnal", small))...)...), small, "box tnal"},
		"none":             {bytes.Join([][]byte{ftyp, mdat, wrap("moov", wrap("mvhd", make([]byte, 100)))}, nil), nil, ""},
		"no JPEG":          {append(bytes.Clone(ftyp), wrap("moov", wrap("udta", wrap("tnal", []byte("PNG"))))...), nil, ""},
		"cut off":          {append(bytes.Clone(ftyp), wrap("moov", wrap("udta", wrap("tnal", small)))[:60]...), nil, ""},
		"empty":            {nil, nil, ""},
		"size of 3":        {[]byte("\x00\x00\x00\x03moov"), nil, ""},
		"outside moov":     {append(bytes.Clone(ftyp), wrap("tnal", small)...), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			video := filepath.Join(t.TempDir(), "v.mp4")
			put(t, video, c.file)
			got, err := Find(video)
			if c.want == nil {
				if !errors.Is(err, ErrNone) {
					t.Errorf("got error %v, want ErrNone", err)
				}
				return
			}
			if err != nil || !bytes.Equal(got.JPEG, c.want) || got.From != c.from {
				t.Errorf("got %d bytes from %s, error %v, want %d bytes from %s", len(got.JPEG), got.From, err, len(c.want), c.from)
			}
		})
	}
}

func FuzzEmbedded(f *testing.F) {
	f.Add(append(bytes.Clone(ftyp), wrap("moov", wrap("udta", wrap("tnal", picture(f, 8))))...))
	f.Add(append(bytes.Clone(ftyp), large("moov", wrap("meta", wrap("hdlr"), wrap("ilst", wrap("covr", wrap("data", make([]byte, 9))))))...))
	f.Add([]byte("\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _, err := embedded(bytes.NewReader(b), int64(len(b)))
		if (err == nil) != (checkJPEG(got) == nil) || len(got) > len(b) {
			t.Errorf("got %d bytes of %d, error %v", len(got), len(b), err)
		}
	})
}
