package tracks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

func box(kind string, parts ...[]byte) []byte {
	b := append(make([]byte, 4), kind...)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func words(v ...uint32) (b []byte) {
	for _, w := range v {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// tables are those of a track with three samples of 5 bytes in two chunks behind the first 8 bytes of the file.
type tables struct{ edits, sizes, chunks, times, places []byte }

func plain() tables {
	return tables{sizes: box("stsz", words(0, 5, 3)), chunks: box("co64", words(0, 2, 0, 8, 0, 18)),
		times: box("stts", words(0, 2, 2, 100, 1, 300)), places: box("stsc", words(0, 2, 1, 2, 1, 2, 1, 1))}
}

func (v tables) file(handler string) []byte {
	const movie, track = 1000, 500 // units in a second
	var edts []byte
	if v.edits != nil {
		edts = box("edts", v.edits)
	}
	head := box("hdlr", words(0, 0), []byte(handler), make([]byte, 13))
	stbl := box("stbl", box("stsd", words(0, 1), box("djmd", make([]byte, 8), []byte("more"))), v.times, v.places,
		v.sizes, v.chunks)
	trak := box("trak", edts, box("mdia", head, box("mdhd", words(0, 0, 0, track, 0, 0)), box("minf", stbl)))
	return append(box("mdat", []byte("firstotherthird")),
		box("moov", box("mvhd", append(words(0, 0, 0, movie, 0), make([]byte, 80)...)), trak)...)
}

func TestSamples(t *testing.T) {
	ms := time.Millisecond
	for name, c := range map[string]struct {
		edits []byte
		shift time.Duration
	}{
		"no edit list": {nil, 0},
		"delayed":      {box("elst", words(0, 2, 250, 0xffffffff, 1<<16, 1000, 0, 1<<16)), 250 * ms},
		"start cut":    {box("elst", words(0, 1, 1000, 50, 1<<16)), -100 * ms},
	} {
		v := plain()
		v.edits = c.edits
		file := v.file("meta")
		all, err := Find(bytes.NewReader(file), int64(len(file)))
		if err != nil || len(all) != 1 || all[0].Format != "djmd" || all[0].Handler != "meta" ||
			!bytes.HasSuffix(all[0].Entry, []byte("more")) {
			t.Fatalf("%s: %v %+v", name, err, all)
		}
		var texts []string
		var times, lengths []time.Duration
		err = all[0].Each(func(s Sample) error {
			texts, times, lengths = append(texts, string(s.Data)), append(times, s.At-c.shift), append(lengths,
				s.Length)
			return nil
		})
		if err != nil || strings.Join(texts, " ") != "first other third" {
			t.Errorf("%s: %v %v", name, err, texts)
		}
		if len(times) != 3 || times[0] != 0 || times[1] != 200*ms || times[2] != 400*ms || lengths[2] != 600*ms {
			t.Errorf("%s: %v %v", name, times, lengths)
		}
		stop := errors.New("enough")
		if err := all[0].Each(func(Sample) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTracksThatAreLeftOut(t *testing.T) {
	for _, handler := range []string{"vide", "soun"} {
		file := plain().file(handler)
		if all, err := Find(bytes.NewReader(file), int64(len(file))); err != nil || len(all) != 0 {
			t.Errorf("%s: %v %+v", handler, err, all)
		}
	}
}

func TestBrokenTables(t *testing.T) {
	for name, change := range map[string]func(*tables){
		"no times":          func(v *tables) { v.times = nil },
		"no places":         func(v *tables) { v.places = nil },
		"table without end": func(v *tables) { v.sizes = box("stsz", words(0, 0, 1<<30)) },
	} {
		v := plain()
		change(&v)
		file := v.file("meta")
		if all, err := Find(bytes.NewReader(file), int64(len(file))); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v %+v", name, err, all)
		}
	}
	for name, change := range map[string]func(*tables){
		"behind the end": func(v *tables) { v.chunks = box("co64", words(0, 2, 0, 8, 1, 0)) },
		"huge chunk":     func(v *tables) { v.places = box("stsc", words(0, 1, 1, 1<<31, 1)) },
		"many samples":   func(v *tables) { v.sizes = box("stsz", words(0, 1, 1<<31)) },
	} {
		v := plain()
		change(&v)
		file, n := v.file("meta"), 0
		all, err := Find(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := all[0].Each(func(Sample) error { n++; return nil }); name == "behind the end" && !errors.Is(err,
			ErrFile) || n == 0 || n > 3 {
			t.Errorf("%s: %d samples, %v", name, n, err)
		}
	}
}

// TestOverlappingSamples has a table whose samples are all the same bytes: it would be read thousands of times.
func TestOverlappingSamples(t *testing.T) {
	const n = 5000
	sizes, chunks := words(0, 0, n), words(0, n)
	for range n {
		sizes, chunks = append(sizes, words(15)...), append(chunks, words(8)...)
	}
	v := tables{sizes: box("stsz", sizes), chunks: box("stco", chunks), times: box("stts", words(0, 1, n, 1)),
		places: box("stsc", words(0, 1, 1, 1, 1))}
	file, read := v.file("meta"), 0
	all, err := Find(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	err = all[0].Each(func(s Sample) error { read += len(s.Data); return nil })
	if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "overlap") || read > len(file) {
		t.Errorf("%d bytes of a file of %d, %v", read, len(file), err)
	}
}
