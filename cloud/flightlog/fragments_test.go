package flightlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/flightlog/tracks"
)

// fragmentKind is one way in which programs write files of fragments.
type fragmentKind struct {
	name string
	// base is how a run says where its data is: from the fragment, from the start of the file, or behind the data of the
	// pictures, which are the track before.
	base     string
	defaults bool // sizes and durations that are all the same are in trex and tfhd
	clock    int  // version of tfdt, -1 without it
	each     int  // samples of a fragment
}

var fragmentKinds = []fragmentKind{
	{"from the fragment", "moof", false, 1, 2},
	{"from the file", "file", false, 0, 1},
	{"behind the pictures", "after", true, -1, 3},
	{"one fragment", "moof", true, 1, 1 << 20},
}

// sampleOf is a sample of a file in one piece.
type sampleOf struct {
	at, length uint32
	data       []byte
}

// inFragments writes the tracks of data of a file as a file of fragments, each track beside one of pictures.
func inFragments(t testing.TB, file []byte, kind fragmentKind) []byte {
	t.Helper()
	const scale, pictures = 1000000, 1
	all, err := tracks.Find(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	full := func(version, flags uint32) []byte { return words(version<<24 | flags) }
	empty := [][]byte{box("stts", words(0, 0)), box("stsc", words(0, 0)), box("stsz", words(0, 0, 0)), box("stco", words(0, 0))}
	trak := func(id uint32, format, handler string, entry []byte) []byte {
		return box("trak", box("tkhd", full(0, 7), words(0, 0, id, 0, 0), make([]byte, 60)), box("mdia",
			box("mdhd", words(0, 0, 0, scale, 0, 0)), box("hdlr", words(0, 0), []byte(handler), make([]byte, 13)),
			box("minf", box("stbl", append([][]byte{box("stsd", words(0, 1), box(format, entry))}, empty...)...))))
	}
	moov := [][]byte{box("mvhd", words(0, 0, 0, scale, 0), make([]byte, 80)), trak(pictures, "avc1", "vide", make([]byte, 8))}
	mvex := [][]byte{box("trex", words(0, pictures, 1, 33333, 0, 0))}
	samples := map[uint32][]sampleOf{}
	for i, k := range all {
		id := uint32(i + 2)
		moov = append(moov, trak(id, k.Format, k.Handler, k.Entry))
		_ = k.Each(func(s tracks.Sample) error { // a damaged end is a fault of the log in both
			samples[id] = append(samples[id], sampleOf{uint32(s.At / time.Microsecond), uint32(s.Length / time.Microsecond), bytes.Clone(s.Data)})
			return nil
		})
		x := words(0, id, 1, 0, 0, 0)
		if kind.defaults && len(samples[id]) > 0 {
			x = words(0, id, 1, samples[id][0].length, uint32(len(samples[id][0].data)), 0)
		}
		mvex = append(mvex, box("trex", x))
	}
	out := append(box("ftyp", []byte("iso6\x00\x00\x00\x00iso6")), box("moov", append(moov, box("mvex", mvex...))...)...)
	out = append(out, box("sidx", make([]byte, 32))...)
	for more, first := true, 0; more; first += kind.each {
		more = false
		for id, list := range samples {
			if first >= len(list) {
				continue
			}
			more = true
			out = append(out, fragment(id, list[first:min(len(list), first+kind.each)], kind, uint32(len(out)))...)
		}
	}
	return out
}

// fragment is a moof with its mdat, at a byte of the file.
func fragment(id uint32, list []sampleOf, kind fragmentKind, start uint32) []byte {
	const picture = "a picture"
	same := kind.defaults
	for _, s := range list {
		same = same && s.length == list[0].length && len(s.data) == len(list[0].data)
	}
	build := func(offset uint32) []byte {
		head, flags := words(id), uint32(0)
		pictures := box("traf", box("tfhd", words(0x20000, 1)), box("trun", words(0x201, 1, offset, uint32(len(picture)))))
		at := offset + uint32(len(picture))
		switch kind.base {
		case "moof":
			flags |= 0x20000
		case "file":
			flags |= 1
			head = append(head, words(0, start)...)
		}
		if same {
			flags |= 0x18
			head = append(head, words(list[0].length, uint32(len(list[0].data)))...)
		}
		run, runFlags := words(uint32(len(list))), uint32(0)
		if kind.base != "after" {
			runFlags |= 1
			run = append(run, words(at)...)
		}
		if !same {
			runFlags |= 0x300
			for _, s := range list {
				run = append(run, words(s.length, uint32(len(s.data)))...)
			}
		}
		boxes := [][]byte{box("tfhd", words(flags), head)}
		switch kind.clock {
		case 0:
			boxes = append(boxes, box("tfdt", words(0, list[0].at)))
		case 1:
			boxes = append(boxes, box("tfdt", words(1<<24, 0, list[0].at)))
		}
		boxes = append(boxes, box("trun", words(runFlags), run))
		return box("moof", box("mfhd", words(0, 1)), pictures, box("traf", boxes...))
	}
	moof := build(uint32(len(build(0)) + 8))
	data := []byte(picture)
	for _, s := range list {
		data = append(data, s.data...)
	}
	return append(moof, box("mdat", data)...)
}

// TestCutFragments reads the fragments before the damage, and says that there is one.
func TestCutFragments(t *testing.T) {
	var cues [][]byte
	for i := range 6 {
		cues = append(cues, tx3g("F/2.8, SS 100, GPS (24.3, -31.700"+string(rune('0'+i))+", 18), D 1m, H 45.6m"))
	}
	whole := inFragments(t, movie("tx3g", "sbtl", cues...), fragmentKinds[1])
	l, err := ReadVideo(bytes.NewReader(whole[:len(whole)-20]), int64(len(whole)-20))
	if err != nil || l.Records != 5 || len(l.Faults) == 0 || !strings.Contains(l.Faults[0].String(), "lies outside of the file") {
		t.Errorf("cut: %+v %v", l, err)
	}
	head := bytes.Index(whole, []byte("moof")) - 4
	if _, err := ReadVideo(bytes.NewReader(whole[:head]), int64(head)); !errors.Is(err, ErrNoLog) {
		t.Errorf("no fragment is left: %v", err)
	}
	hostile := bytes.Clone(whole)
	for at := 0; ; {
		i := bytes.Index(hostile[at:], []byte("trun"))
		if i < 0 {
			break
		}
		at += i + 8
		binary.BigEndian.PutUint32(hostile[at:], 0xffffffff) // as many samples
	}
	if _, err := ReadVideo(bytes.NewReader(hostile), int64(len(hostile))); !errors.Is(err, ErrNoLog) {
		t.Errorf("runs without end: %v", err)
	}
}
