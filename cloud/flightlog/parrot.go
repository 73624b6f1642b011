package flightlog

import (
	"encoding/binary"
	"math"

	"cattlecounter/cloud/flightlog/tracks"
)

// Drones of Parrot write a track mett: for every picture one packed record in big endian, in one of three versions
// (developer.parrot.com, PDrAW, metadata). The numbers are the places of the fields from the start of the record.

// parrotVersion says where a version has its fields.
type parrotVersion struct {
	id           string
	size         int // least bytes of a record
	lat, lon     int
	degree       float64 // units in a degree
	altitude     int     // 24 bits of 1/256 m and 8 bits of satellites
	height       int     // above take-off in version 1, above the ground later; 1/65536 m
	body         int     // yaw, pitch, roll in 1/4096 rad; below 0 for the quaternion in bodyTurn
	bodyTurn     int     // w, x, y, z
	view         int     // quaternion of the picture: w, x, y, z
	turn         float64 // units in 1 of a quaternion
	fov          int     // two numbers of 1/256 degree; below 0 for none
	aboveTakeoff bool
}

var parrotVersions = []parrotVersion{
	{id: "P1", size: 56, lat: 28, lon: 32, degree: 1 << 20, altitude: 36, height: 40, body: 4, bodyTurn: -1,
		view: 14, turn: 1 << 12, fov: -1, aboveTakeoff: true},
	{id: "P2", size: 56, lat: 8, lon: 12, degree: 1 << 22, altitude: 16, height: 4, body: -1, bodyTurn: 28, view: 36,
		turn: 1 << 14, fov: -1},
	{id: "P3", size: 72, lat: 8, lon: 12, degree: 1 << 22, altitude: 16, height: 4, body: -1, bodyTurn: 28, view: 44,
		turn: 1 << 14, fov: 60},
}

// noFix is what a record has for coordinates before the receiver has a fix.
const noFix = 500

// readParrot reads the track.
func readParrot(t *tracks.Track) (*Log, error) {
	r := newRecorder("parrot-mett")
	unknown := 0
	eachSample(t, r, func(s tracks.Sample) error {
		data := s.Data
		const recordingSize, before = 60, 4 // of version 1 without its name
		if len(data) == recordingSize && data[0] != 'P' {
			data = append([]byte("P1\x00\x00"), data[before+4:]...)
		}
		if len(data) < 4 {
			return nil
		}
		for i := range parrotVersions {
			if v := &parrotVersions[i]; string(data[:2]) == v.id && len(data) >= v.size {
				r.l.Dialect = "parrot-mett-" + v.id[1:]
				r.add(v.sample(s, data), 0)
				return nil
			}
		}
		unknown++
		return nil
	})
	if unknown > 0 {
		r.fault(0, 0, "%d records are of an unknown version", unknown)
	}
	return r.log("its track mett has no records of version 1 to 3")
}

// sample reads a record.
func (v *parrotVersion) sample(in tracks.Sample, data []byte) Sample {
	s := NewSample(in.At)
	word := func(at int) float64 { return float64(int32(binary.BigEndian.Uint32(data[at:]))) }
	half := func(at int) float64 { return float64(int16(binary.BigEndian.Uint16(data[at:]))) }
	s.Lat, s.Lon = word(v.lat)/v.degree, word(v.lon)/v.degree
	if math.Abs(s.Lat) >= noFix || math.Abs(s.Lon) >= noFix {
		s.Lat, s.Lon = math.NaN(), math.NaN()
	}
	altitude := binary.BigEndian.Uint32(data[v.altitude:])
	s.AbsAlt, s.Satellites = float64(int32(altitude&0xffffff00))/65536, int(altitude&0xff)
	if s.RelAlt = word(v.height) / 65536; !v.aboveTakeoff {
		s.RelAlt = math.NaN() // it is the height above what lies below the drone
	}
	if v.body >= 0 {
		const rad = 180 / math.Pi / 4096
		s.Body = Attitude{Yaw: turn(half(v.body) * rad), Pitch: half(v.body+2) * rad, Roll: half(v.body+4) * rad}
	} else {
		s.Body = v.attitude(half, v.bodyTurn)
	}
	s.Camera = v.attitude(half, v.view)
	if v.fov >= 0 {
		s.HFOV, s.VFOV = half(v.fov)/256, half(v.fov+2)/256
		if s.HFOV <= 0 || s.VFOV <= 0 {
			s.HFOV, s.VFOV = math.NaN(), math.NaN()
		}
	}
	return s
}

// attitude turns a quaternion from north, east, down to the picture into angles.
func (v *parrotVersion) attitude(half func(int) float64, at int) Attitude {
	w, x, y, z := half(at)/v.turn, half(at+2)/v.turn, half(at+4)/v.turn, half(at+6)/v.turn
	n := math.Sqrt(w*w + x*x + y*y + z*z)
	if n < 0.5 {
		return Unknown()
	}
	w, x, y, z = w/n, x/n, y/n, z/n
	const degrees = 180 / math.Pi
	return Attitude{
		Yaw:   degrees * math.Atan2(2*(w*z+x*y), 1-2*(y*y+z*z)),
		Pitch: degrees * math.Asin(min(max(2*(w*y-z*x), -1), 1)),
		Roll:  degrees * math.Atan2(2*(w*x+y*z), 1-2*(x*x+y*y)),
	}
}
