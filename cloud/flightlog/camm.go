package flightlog

import (
	"encoding/binary"
	"math"
	"time"

	"cattlecounter/cloud/flightlog/tracks"
)

// Camera motion metadata (CAMM, developers.google.com/streetview/publish/camm-spec): every sample is one packet of
// a type in little endian.
const (
	cammPlace = 5 // latitude, longitude, altitude
	cammFix   = 6 // the same with time, speed and accuracy
	cammTypes = 8
)

// gpsEpoch is the start of the time of GPS, and gpsLeap how far it is ahead of UTC since 2017.
var gpsEpoch = time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)

const gpsLeap = 18 * time.Second

// readCAMM reads the track. Packets without a position, such as those of the accelerometer, are no records.
func readCAMM(t *tracks.Track) (*Log, error) {
	r := newRecorder("camm")
	broken := 0
	eachSample(t, r, func(in tracks.Sample) error {
		if len(in.Data) < 4 {
			broken++
			return nil
		}
		s, packet := NewSample(in.At), in.Data[4:]
		double := func(at int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(packet[at:])) }
		switch kind := binary.LittleEndian.Uint16(in.Data[2:]); {
		case kind == cammPlace && len(packet) >= 24:
			s.Lat, s.Lon, s.AbsAlt = double(0), double(8), double(16)
		case kind == cammFix && len(packet) >= 32:
			if binary.LittleEndian.Uint32(packet[8:]) >= 2 { // 2 is a fix without a height, 3 one with it
				s.Lat, s.Lon = double(12), double(20)
				s.AbsAlt = float64(math.Float32frombits(binary.LittleEndian.Uint32(packet[28:])))
			}
			s.Time = cammTime(double(0))
			if !s.Time.IsZero() {
				r.l.Zone = UTC
			}
		case kind >= cammTypes || kind == cammPlace || kind == cammFix:
			broken++
			return nil
		default:
			return nil
		}
		r.add(s, 0)
		return nil
	})
	if broken > 0 {
		r.fault(0, 0, "%d packets are cut or of an unknown type", broken)
	}
	return r.log("its track camm has no positions")
}

// cammUnix tells seconds since the start of the time of GPS, as specified, from those since 1970, which some cameras
// write: it is the year 2030 in the one and 2020 in the other.
const cammUnix = 1.6e9

// cammTime turns the time of a packet into UTC; zero where it is none.
func cammTime(seconds float64) time.Time {
	switch {
	case !(seconds > 0 && seconds < 5e9):
		return time.Time{}
	case seconds >= cammUnix:
		return time.UnixMicro(int64(seconds * 1e6)).UTC()
	}
	if t := gpsEpoch.Add(time.Duration(seconds*1e6) * time.Microsecond).Add(-gpsLeap); t.Year() >= oldest {
		return t
	}
	return time.Time{}
}
