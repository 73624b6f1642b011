package flightlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/asticode/go-astits"
)

// st0601 is a packet of ST 0601 with the numbers of tags and a right checksum.
func st0601(at time.Time, platform string, numbers map[int]float64) []byte {
	var body []byte
	item := func(tag int, value []byte) { body = append(append(body, byte(tag), byte(len(value))), value...) }
	item(misbTime, binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())))
	item(misbPlatform, []byte(platform))
	for tag := range 100 {
		v, ok := numbers[tag]
		if !ok {
			continue
		}
		k := misbTags[tag]
		full := float64(uint64(1)<<(8*k.size) - 1)
		raw := uint32(math.Round((v - k.from) / (k.to - k.from) * full))
		if k.signed {
			raw = uint32(int32(math.Round(v / (k.to - k.from) * (full - 1))))
		}
		if k.size == 2 {
			item(tag, binary.BigEndian.AppendUint16(nil, uint16(raw)))
		} else {
			item(tag, binary.BigEndian.AppendUint32(nil, raw))
		}
	}
	body = append(body, misbChecksum, 2)
	packet := append(bytes.Clone(misbKey), 0x82)
	packet = append(binary.BigEndian.AppendUint16(packet, uint16(len(body)+2)), body...)
	var sum uint16
	for i, c := range packet {
		sum += uint16(c) << (8 * uint((i+1)%2))
	}
	return binary.BigEndian.AppendUint16(packet, sum)
}

// unit is a unit of a stream of metadata; at is its time in seconds, below 0 for none.
type unit struct {
	at   float64
	data []byte
}

// transportStream is a file with a video and a stream of metadata.
func transportStream(t *testing.T, kind astits.StreamType, units ...unit) []byte {
	t.Helper()
	const video, data, start = 256, 257, 10 // seconds
	var b bytes.Buffer
	m := astits.NewMuxer(context.Background(), &b)
	for pid, kind := range map[uint16]astits.StreamType{video: astits.StreamTypeH264Video, data: kind} {
		if err := m.AddElementaryStream(astits.PMTElementaryStream{ElementaryPID: pid, StreamType: kind}); err != nil {
			t.Fatal(err)
		}
	}
	m.SetPCRPID(video)
	write := func(pid uint16, id uint8, at float64, content []byte) {
		h := &astits.PESOptionalHeader{MarkerBits: 2}
		if at >= 0 {
			h.PTSDTSIndicator, h.PTS = astits.PTSDTSIndicatorOnlyPTS,
				&astits.ClockReference{Base: int64((start + at) * 90000)}
		}
		_, err := m.WriteData(&astits.MuxerData{PID: pid,
			PES: &astits.PESData{Header: &astits.PESHeader{StreamID: id, OptionalHeader: h}, Data: content}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.WriteTables(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		write(video, 0xe0, float64(i)/10, bytes.Repeat([]byte{7}, 3000))
	}
	for _, u := range units {
		write(data, 0xfc, u.at, u.data)
		write(video, 0xe0, 1, bytes.Repeat([]byte{7}, 3000))
	}
	return b.Bytes()
}

func TestMISB(t *testing.T) {
	began := time.Date(2026, 5, 17, 8, 0, 0, 0, time.UTC)
	packet := func(second float64) []byte {
		return st0601(began.Add(time.Duration(second*float64(time.Second))), "Skydio X10", map[int]float64{
			misbHeading: 90, misbPitch: 5, misbRoll: 0, misbLat: -33.5, misbLon: 18.25, misbAlt: 120, misbHFOV: 60,
			misbVFOV:    35,
			misbAzimuth: 180, misbElev: -40, misbRelRoll: 0})
	}
	wrong := packet(2)
	wrong[len(wrong)-1]++
	cell := append([]byte{0, 0, 0xdf, 0, byte(len(packet(0)))}, packet(0)...) // of synchronous metadata
	for name, c := range map[string]struct {
		kind  astits.StreamType
		units []unit
	}{
		"synchronous":  {astits.StreamTypeMetadata, []unit{{0.5, cell}, {1.5, packet(1)}, {2.5, wrong}}},
		"asynchronous": {astits.StreamTypePrivateData, []unit{{-1, packet(0)}, {-1, packet(1)}, {-1, wrong}}},
		"two in one":   {astits.StreamTypePrivateData, []unit{{0.5, packet(0)}, {-1, append(packet(1), wrong...)}}},
	} {
		l := inside(t, transportStream(t, c.kind, c.units...))
		if l.Records != 2 || l.Zone != UTC || l.Model != "Skydio X10" || l.Dialect != "misb-st0601" ||
			len(l.Faults) != 1 {
			t.Fatalf("%s: %+v", name, l)
		}
		a, b := l.Samples[0], l.Samples[1]
		if math.Abs(a.Lat+33.5) > 1e-6 || math.Abs(a.Lon-18.25) > 1e-6 || math.Abs(a.AbsAlt-120) > 0.2 ||
			math.Abs(a.HFOV-60) > 0.01 || !a.Time.Equal(began) {
			t.Errorf("%s: %+v", name, a)
		}
		// The camera looks backwards, so that the nose that is up by 5 degrees turns it down.
		if math.Abs(a.Body.Yaw-90) > 0.01 || math.Abs(a.Body.Pitch-5) > 0.01 ||
			math.Abs(math.Remainder(a.Camera.Yaw-270, 360)) > 0.01 ||
			math.Abs(a.Camera.Pitch+45) > 0.01 || math.Abs(a.Camera.Roll) > 0.01 {
			t.Errorf("%s: %+v %+v", name, a.Body, a.Camera)
		}
		if b.Offset-a.Offset != time.Second || name == "synchronous" && a.Offset != 500*time.Millisecond {
			t.Errorf("%s: offsets %s %s", name, a.Offset, b.Offset)
		}
	}
}

func TestMountedCameras(t *testing.T) {
	for _, c := range []struct{ body, on, want Attitude }{
		{Attitude{0, 0, 0}, Attitude{0, -90, 0}, Attitude{0, -90, 0}},
		{Attitude{120, 0, 0}, Attitude{30, -90, 0}, Attitude{150, -90, 0}},
		{Attitude{-170, 0, 0}, Attitude{350, -30, 5}, Attitude{180, -30, 5}},
		{Attitude{90, 0, 10}, Attitude{90, 0, 0}, Attitude{180, -10, 0}},
	} {
		got := mounted(c.body, c.on)
		if math.Abs(math.Remainder(got.Yaw-c.want.Yaw, 360)) > 1e-4 || math.Abs(got.Pitch-c.want.Pitch) > 1e-4 ||
			math.Abs(got.Roll-c.want.Roll) > 1e-4 {
			t.Errorf("%+v on %+v: %+v, want %+v", c.on, c.body, got, c.want)
		}
	}
	if got := mounted(Unknown(), Attitude{0, 0, 0}); got.Known() {
		t.Errorf("%+v", got)
	}
}

func TestStreamsWithoutALog(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"pictures": {transportStream(t, astits.StreamTypeAACAudio), "only pictures and sound"},
		"other data": {transportStream(t, astits.StreamTypePrivateData, unit{0, []byte("teletext")}),
			"no metadata of MISB"},
	} {
		_, err := ReadVideo(bytes.NewReader(c.file), int64(len(c.file)))
		if !errors.Is(err, ErrNoLog) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range [][]byte{{0x80}, {0x85, 1}, {0xff}} {
		if _, n := berLength(b); n != 0 {
			t.Errorf("length %x is read", b)
		}
	}
}

func FuzzMISB(f *testing.F) {
	f.Add(st0601(time.Unix(1779004800, 0), "x", map[int]float64{misbLat: 1, misbLon: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newRecorder("misb")
		misbPackets(b, func(items map[int][]byte) { r.add(misbSample(items, r.l), 0) }, func(string) {})
		if l, err := r.log(""); err == nil {
			checkLog(t, l)
		}
	})
}

func FuzzTransportStream(f *testing.F) {
	f.Add(bytes.Repeat(append([]byte{0x47, 0x40, 0, 0x10}, make([]byte, 184)...), 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := readTransport(bytes.NewReader(b), int64(len(b))); err == nil {
			checkLog(t, l)
		}
	})
}
