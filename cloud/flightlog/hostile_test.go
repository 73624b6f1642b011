package flightlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"cattlecounter/cloud/flightlog/tracks"
)

// repeated is a text of n bytes that repeats a unit.
type repeated struct {
	unit  string
	at, n int
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.at >= r.n {
		return 0, io.EOF
	}
	n := 0
	for n < len(b) {
		k := copy(b[n:], r.unit[r.at%len(r.unit):])
		n, r.at = n+k, r.at+k
	}
	return n, nil
}

// TestMemoryIsBounded has logs whose lines, quotes and elements have no end. A decoder that holds them allocates several
// times their size.
func TestMemoryIsBounded(t *testing.T) {
	const size, most = 16 << 20, 160 << 20 // bytes
	const cue = "1\n00:00:00,000 --> 00:00:01,000\n[latitude: 1.5] [longitude: 2.5]\n"
	const row = "time,lat,lon\n0,1.5,2.5\n"
	const point = `<gpx><trk><trkseg><trkpt lat="1.5" lon="2.5"><time>2026-05-17T08:00:00Z</time></trkpt>`
	for name, c := range map[string]struct{ start, unit, fault string }{
		"sidecar of one line":   {cue, "x", "line 4: the record is longer than 8192 bytes"},
		"sidecar of many lists": {cue, "GPS(1,2)", "line 4: the record is longer than 8192 bytes"},
		"sidecar of many lines": {cue, "H: 5 \n", "the record is longer than 8192 bytes"},
		"row of one field":      {row, "x", "line 3: a row, or one with a quote without end, is longer"},
		"row of many fields":    {row, ",", "line 3: a row, or one with a quote without end, is longer"},
		"quote without end":     {row + "\"", "1,1.5,2.5\n", "line 3: a row, or one with a quote without end, is longer"},
		"elements in elements":  {point, "<a>", "line 1: it ends early: more than 200 elements"},
		"a point without end":   {point + "<trkpt>", "<a>", "line 1: it ends early: the element trkpt is longer"},
		"text without end":      {point, "x", "line 1: it ends early: a text or tag is longer"},
		"comment without end":   {point + "<!--", "x", "line 1: it ends early: a text or tag is longer"},
		"one huge event":        {"[Script Info]\nDialogue: 0,0:0:0.0,,,,,,,,GPS(1.5,2.5,3)", "x", "line 2: the record is longer"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		l, err := Read("", io.MultiReader(strings.NewReader(c.start), &repeated{unit: c.unit, n: size}))
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > most {
			t.Errorf("%s: %d MiB were allocated, at most %d", name, n>>20, most>>20)
		}
		if l.Fixes() != 1 || len(l.Faults) == 0 || !strings.Contains(fmt.Sprint(l.Faults), c.fault) {
			t.Errorf("%s: %d fixes, faults %v", name, l.Fixes(), l.Faults)
		}
	}
}

func mp4Box(kind string, parts ...string) string {
	body := strings.Join(parts, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))) + kind + body
}

// TestIndexOfManyBoxes has videos whose index says nothing at great length, and boxes whose size is none.
func TestIndexOfManyBoxes(t *testing.T) {
	const n = 1 << 21
	start := mp4Box("ftyp", "isom\x00\x00\x00\x00")
	for name, file := range map[string]string{
		"many boxes":        start + strings.Repeat(mp4Box("free"), n),
		"many tracks":       start + mp4Box("moov", strings.Repeat(mp4Box("trak"), n)),
		"many handlers":     start + mp4Box("moov", mp4Box("trak", mp4Box("mdia", strings.Repeat(mp4Box("hdlr"), n)))),
		"size 0":            start + "\x00\x00\x00\x00moov" + "\x00\x00\x00\x00trak",
		"size 7":            start + "\x00\x00\x00\x07moov" + strings.Repeat("\x00", 64),
		"large size 0":      start + "\x00\x00\x00\x01moov" + strings.Repeat("\x00", 8),
		"large size 8":      start + "\x00\x00\x00\x01moov" + strings.Repeat("\x00", 7) + "\x08" + mp4Box("trak"),
		"large size 2^63":   start + "\x00\x00\x00\x01moov\x80" + strings.Repeat("\x00", 70),
		"boxes within each": start + mp4Box("moov", strings.Repeat("\x00\x00\x00\x00udta", 1000)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ReadVideo(strings.NewReader(file), int64(len(file)))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrNoLog) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasPrefix(name, "many") && !errors.Is(err, tracks.ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 {
			t.Errorf("%s: %d MiB were allocated", name, n>>20)
		}
	}
}

// TestLinesBehindALongOne has a line that is read in pieces, and a fault behind it.
func TestLinesBehindALongOne(t *testing.T) {
	text := "1\n00:00:00,000 --> x\n[latitude: 1.5] [longitude: 2.5]\n" + strings.Repeat("x", 5*longestLine) +
		"\n\n2\n00:00:01,000 --> x\n[latitude: 95] [longitude: 2.5]\n"
	l := read(t, text)
	if n := len(l.Faults); n != 3 || l.Faults[0].Line != 4 || l.Faults[2].Line != 7 {
		t.Errorf("faults %v", l.Faults)
	}
}
