package flightlog

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// SRT sidecars of DJI drones: subtitles whose text has one sample each.
var (
	cueTime = regexp.MustCompile(`^(\d+):(\d\d):(\d\d)[,.](\d{3}) *-->`)
	field   = regexp.MustCompile(`(?i)\b(latitude|longt?itude|rel_alt|abs_alt|focal_len|dzoom_ratio|gb_yaw|gb_pitch|gb_roll) ?: ?(-?[\d.]+)`)
	triple  = regexp.MustCompile(`\b(GPS|HOME|F\.PRY|G\.PRY) ?\( ?(-?[\d.]+)°?, ?(-?[\d.]+)°?, ?(-?[\d.]+)[°m]*\)`)
	aboveH  = regexp.MustCompile(`\bH (-?[\d.]+)m`)
)

// ReadSRT reads a sidecar with positions in brackets ([latitude: ...]) or in a list (GPS (...), G.PRY (...)). Its error
// wraps ErrNoLog when no cue has any of them.
func ReadSRT(r io.Reader) (*Log, error) {
	l := &Log{Dialect: "dji-srt", OfVideo: true, Home: Place{Lat: math.NaN(), Lon: math.NaN(), Alt: math.NaN()}}
	s := bufio.NewScanner(r)
	const longest = 1 << 16
	s.Buffer(make([]byte, 4096), longest)
	sample, open := NewSample(0), false
	base := time.Duration(-1)
	end := func() {
		if open && l.Records < MaxSamples {
			l.Records++
			n := len(l.Samples)
			sample.Held = n > 0 && sample.Lat == l.Samples[n-1].Lat && sample.Lon == l.Samples[n-1].Lon
			l.Samples = append(l.Samples, sample)
			l.End = sample.Offset
		}
		open = false
	}
	for s.Scan() {
		text := strings.TrimSpace(strings.TrimPrefix(s.Text(), "\ufeff"))
		if m := cueTime.FindStringSubmatch(text); m != nil {
			end()
			at := clock(m)
			if base < 0 {
				base = at
			}
			sample, open = NewSample(at-base), true
			continue
		}
		if open {
			l.line(&sample, text)
		}
	}
	end()
	if l.Fixes() == 0 {
		return nil, fmt.Errorf("%w: no cue of it has a position", ErrNoLog)
	}
	return l, nil
}

func clock(m []string) time.Duration {
	var v [4]int64
	for i := range v {
		v[i], _ = strconv.ParseInt(m[i+1], 10, 32)
	}
	return time.Duration(((v[0]*60+v[1])*60+v[2])*1000+v[3]) * time.Millisecond
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// line reads the fields of one line of text.
func (l *Log) line(s *Sample, text string) {
	for _, m := range field.FindAllStringSubmatch(text, -1) {
		v := number(m[2])
		switch name := strings.ToLower(m[1]); name {
		case "latitude":
			s.Lat = v
		case "rel_alt":
			s.RelAlt = v
		case "abs_alt":
			s.AbsAlt = v
		case "focal_len":
			if s.Focal35 = v; v >= 200 { // tenths of a millimetre
				s.Focal35 = v / 10
			}
		case "dzoom_ratio":
			s.Zoom = v
		case "gb_yaw":
			s.Camera.Yaw = v
		case "gb_pitch":
			s.Camera.Pitch = v
		case "gb_roll":
			s.Camera.Roll = v
		default:
			s.Lon = v
		}
	}
	for _, m := range triple.FindAllStringSubmatch(text, -1) {
		a, b, c := number(m[2]), number(m[3]), number(m[4])
		switch m[1] {
		case "GPS":
			s.Lon, s.Lat, s.Satellites = a, b, int(c)
		case "HOME":
			l.Home = Place{Lat: b, Lon: a, Alt: c}
		case "F.PRY":
			s.Body = Attitude{Pitch: a, Roll: b, Yaw: c}
		case "G.PRY":
			s.Camera = Attitude{Pitch: a, Roll: b, Yaw: c}
		}
	}
	if m := aboveH.FindStringSubmatch(text); m != nil {
		s.RelAlt = number(m[1])
	}
	if s.Lat == 0 && s.Lon == 0 || math.Abs(s.Lat) > 90 || math.Abs(s.Lon) > 180 || !s.HasPosition() {
		s.Lat, s.Lon = math.NaN(), math.NaN()
	}
}
