package footage

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseID(t *testing.T) {
	for _, s := range []string{"a", "01jd-x_Y", strings.Repeat("z", 64), string(NewID(time.Now())),
		string(NewID(time.Unix(-5, 0)))} {
		if _, err := ParseID(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "-a", "_a", "a/b", "a+b", "a#", "..", "a b", "ä", strings.Repeat("z", 65)} {
		if _, err := ParseID(s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", s, err)
		}
	}
}

func TestDigestText(t *testing.T) {
	d := Sum([]byte("cow"))
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back Digest
	if err := json.Unmarshal(b, &back); err != nil || back != d {
		t.Fatalf("%v %v", back, err)
	}
	if err := json.Unmarshal([]byte(`"12"`), &back); !errors.Is(err, ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
}

func validManifest() Manifest {
	s := Sum([]byte("x"))
	return Manifest{Version: ManifestVersion, Footage: "f1",
		Video: File{Name: "DJI_0001.MP4", Size: ChunkSize + 3, SHA256: s,
			Chunks: []Chunk{{Index: 0, Size: ChunkSize, SHA256: s}, {Index: 1, Size: 3, SHA256: s}}}}
}

func TestManifestValidate(t *testing.T) {
	if err := validManifest().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Manifest){
		"version":     func(m *Manifest) { m.Version = 9 },
		"id":          func(m *Manifest) { m.Footage = "../x" },
		"gap":         func(m *Manifest) { m.Video.Chunks = m.Video.Chunks[1:] },
		"short":       func(m *Manifest) { m.Video.Chunks = m.Video.Chunks[:1] },
		"empty":       func(m *Manifest) { m.Video.Size = 0 },
		"chunk size":  func(m *Manifest) { m.Video.Chunks[0].Size-- },
		"extra chunk": func(m *Manifest) { m.Video.Chunks = append(m.Video.Chunks, Chunk{Index: 2, SHA256: Sum(nil)}) },
		"no digest":   func(m *Manifest) { m.Video.SHA256 = Digest{} },
		"telemetry":   func(m *Manifest) { m.Telemetry = &File{Size: -1} },
	} {
		m := validManifest()
		spoil(&m)
		if err := m.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestSniff(t *testing.T) {
	ts := bytes.Repeat(append([]byte{0x47}, make([]byte, 187)...), 5)
	m2ts := bytes.Repeat(append([]byte{0, 0, 0, 0, 0x47}, make([]byte, 187)...), 5)
	for want, heads := range map[Container][][]byte{
		MP4: {[]byte("\x00\x00\x00\x20ftypisom"), []byte("\x00\x00\x00\x08wide....")},
		MKV: {{0x1A, 0x45, 0xDF, 0xA3, 1}},
		AVI: {[]byte("RIFF\x01\x02\x03\x04AVI LIST")},
		TS:  {ts, m2ts},
	} {
		for _, h := range heads {
			if got, err := Sniff(h); got != want || err != nil {
				t.Errorf("got %q %v, want %q", got, err, want)
			}
		}
	}
	for _, h := range [][]byte{nil, []byte("G"), []byte("Good morning"), []byte("RIFF....WAVE"),
		bytes.Repeat([]byte("GET / "), 200)} {
		if got, err := Sniff(h); !errors.Is(err, ErrNotVideo) {
			t.Errorf("%.12q: got %q %v, want ErrNotVideo", h, got, err)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	b, _ := json.Marshal(validManifest())
	f.Add(b)
	f.Add([]byte(`{"version":1,"footage":"a","video":{"size":1e400}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		var sum int64
		for _, c := range m.Video.Chunks {
			sum += c.Size
		}
		if sum != m.Video.Size {
			t.Fatalf("accepted chunks of %d bytes for a file of %d", sum, m.Video.Size)
		}
	})
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x20ftypisom"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Sniff(b)
		if (c == "") != (err != nil) {
			t.Fatalf("%q with %v", c, err)
		}
	})
}
