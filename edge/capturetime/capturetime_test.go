package capturetime

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cattlecounter/shared/footage"
)

var (
	now     = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	flight  = time.Date(2025, 6, 1, 8, 0, 0, 0, time.UTC)
	reset   = time.Date(1980, 1, 1, 0, 0, 12, 0, time.UTC)
	end2107 = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
)

func box(kind string, content ...[]byte) []byte {
	all := bytes.Join(content, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(all))), kind...), all...)
}

// header is the content of a movie, track or media header that was created at t, the zero time for 0.
func header(version byte, t time.Time) []byte {
	seconds := uint64(0)
	if !t.IsZero() {
		seconds = uint64(t.Sub(isoEpoch) / time.Second)
	}
	b := []byte{version, 0, 0, 0}
	if version == 1 {
		return append(binary.BigEndian.AppendUint64(b, seconds), make([]byte, 40)...)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(seconds)), make([]byte, 40)...)
}

func mp4(boxes ...[]byte) []byte {
	return bytes.Join(append([][]byte{box("ftyp", []byte("isom\x00\x00\x00\x00"))}, boxes...), nil)
}

func ebml(id uint64, content []byte) []byte {
	var b []byte
	for shift := 24; shift >= 0; shift -= 8 {
		if c := byte(id >> shift); c != 0 || len(b) > 0 {
			b = append(b, c)
		}
	}
	return append(append(b, 0x40|byte(len(content)>>8), byte(len(content))), content...)
}

func mkv(unknownSize bool, at time.Time) []byte {
	date := binary.BigEndian.AppendUint64(nil, uint64(at.Sub(matroskaEpoch)))
	info := ebml(idInfo, bytes.Join([][]byte{ebml(0x2AD7B1, []byte{0x0f, 0x42, 0x40}), ebml(idDateUTC, date)}, nil))
	body := bytes.Join([][]byte{ebml(0xEC, make([]byte, 200)), info, ebml(idCluster, make([]byte, 10))}, nil)
	segment := ebml(idSegment, body)
	if unknownSize {
		segment = append([]byte{0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, body...)
	}
	return append(ebml(0x1A45DFA3, ebml(0x4282, []byte("matroska"))), segment...)
}

func TestFind(t *testing.T) {
	folder := t.TempDir()
	log := filepath.Join(folder, "a.SRT")
	text := "1\n00:00:00,000 --> 00:00:00,033\n2025-06-01 08:00:00.000\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	mdat := box("mdat", make([]byte, 3000))
	noTime := mp4(mdat, box("moov", box("mvhd", header(0, time.Time{}))))
	name := "DJI_20250601080000_0001_W.MP4"
	for what, c := range map[string]struct {
		r    Recording
		want time.Time
		from footage.TimeSource
	}{
		"file":               {Recording{Name: name, ModTime: flight}, flight, footage.FromFile},
		"movie header":       {video(reset, mp4(mdat, box("moov", box("mvhd", header(0, flight))))), flight, footage.FromContainer},
		"64 bits":            {video(reset, mp4(box("moov", box("mvhd", header(1, flight))), mdat)), flight, footage.FromContainer},
		"file of 2107":       {video(end2107, mp4(mdat, box("moov", box("mvhd", header(0, flight))))), flight, footage.FromContainer},
		"file of tomorrow":   {video(now.AddDate(0, 0, 2), mp4(box("moov", box("mvhd", header(0, flight))))), flight, footage.FromContainer},
		"track header":       {video(reset, mp4(box("moov", box("mvhd", header(0, time.Time{})), box("trak", box("tkhd", header(0, flight)))))), flight, footage.FromContainer},
		"media header":       {video(reset, mp4(box("moov", box("trak", box("mdia", box("mdhd", header(0, flight))))))), flight, footage.FromContainer},
		"Matroska":           {video(reset, mkv(false, flight)), flight, footage.FromContainer},
		"live Matroska":      {video(reset, mkv(true, flight)), flight, footage.FromContainer},
		"Matroska of 2001":   {video(reset, mkv(false, matroskaEpoch)), time.Time{}, footage.FromNothing},
		"header of 1970":     {video(reset, mp4(box("moov", box("mvhd", header(0, time.Unix(0, 0)))))), time.Time{}, footage.FromNothing},
		"no time":            {video(reset, noTime), time.Time{}, footage.FromNothing},
		"flight log":         {Recording{Name: "a.MP4", ModTime: reset, LogPath: log}, flight, footage.FromFlightLog},
		"missing flight log": {Recording{Name: "a.MP4", ModTime: reset, LogPath: log + "x"}, time.Time{}, footage.FromNothing},
		"name":               {Recording{Name: name, ModTime: reset}, flight, footage.FromName},
		"name of the future": {Recording{Name: "DJI_20860601080000_0001.MP4", ModTime: reset}, time.Time{}, footage.FromNothing},
		"nothing":            {Recording{Name: "DJI_0001.MP4", ModTime: reset}, time.Time{}, footage.FromNothing},
	} {
		got, from := Find(c.r, Options{Now: now, Trusted: true, Zone: time.UTC})
		if !got.Equal(c.want) || from != c.from {
			t.Errorf("%s: got %s from %q, want %s from %q", what, got, from, c.want, c.from)
		}
	}
	ahead := now.AddDate(0, 0, 2)
	if got, from := Find(Recording{Name: name, ModTime: ahead}, Options{Now: now, Zone: time.UTC}); !got.Equal(ahead) || from != footage.FromFile {
		t.Errorf("clock of the station not trusted: got %s from %q, want the file's time", got, from)
	}
}

// video is a recording with this modification time and content.
func video(modTime time.Time, b []byte) Recording {
	return Recording{Name: "DJI_0001.MP4", ModTime: modTime, Video: bytes.NewReader(b), Size: int64(len(b))}
}

func FuzzContainer(f *testing.F) {
	f.Add(mp4(box("moov", box("mvhd", header(0, flight)))))
	f.Add(mp4(box("moov", box("trak", box("mdia", box("mdhd", header(1, flight)))))))
	f.Add(mkv(true, flight))
	f.Add(mkv(false, flight))
	f.Add(mkv(false, matroskaEpoch))
	f.Add([]byte("\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := inContainer(bytes.NewReader(b), int64(len(b)))
		if !ok && !got.IsZero() {
			t.Errorf("no time, but %s", got)
		}
	})
}
