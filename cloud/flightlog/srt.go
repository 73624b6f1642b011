package flightlog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// SRT sidecars of DJI drones are subtitles whose text has one sample each. There are many dialects: they differ in the
// names of fields, in brackets, lists and lines, and in the order of the two numbers of a position. The reader therefore
// knows forms of fields, not drones.
var (
	cueTime  = regexp.MustCompile(`^(\d{1,3}):(\d{1,2}):(\d{1,2})(?:[,.](\d{1,6}))?\s*-->`)
	dateTime = regexp.MustCompile(`\b(\d{4})[-./](\d{1,2})[-./](\d{1,2})[ T](\d{1,2}):(\d\d):(\d\d)` +
		`(?:[.,](\d{1,6}))?(?:,\d{1,3})?(Z|[+-]\d\d:?\d\d)?`)
	tag = regexp.MustCompile(`<[^<>]{0,200}>`)
	// A named number: latitude: 1.5, rel_alt = 3, BAROMETER:0.3M, BAROMETER(91.2), H 85.80m.
	named = regexp.MustCompile(`([A-Za-z][A-Za-z_]*(?: alt| len)?) ?(?:[:=(]| (?:[:=] ?)?) ?([-+]?\d+(?:[.,]\d+)?)`)
	// A named list: GPS(146.4151,-18.8833,16), G.PRY (-24.4°, 0.0°, 110.4°).
	tuple = regexp.MustCompile(`(?i)\b(GPS|RTK|HOME|F\.PRY|G\.PRY) ?:? ?\(([^()]{1,120})\)`)
	// A group of angles: [Gimbal: Yaw:10.0, Pitch:-45.0, Roll:0.0].
	group = regexp.MustCompile(`(?i)\b(drone|gimbal): ?yaw: ?([-+]?[\d.]+), ?pitch: ?([-+]?[\d.]+), ?roll: ?([-+]?[\d.]+)`)
)

// fields is what the numbers of a sidecar mean, by name without blanks and underscores in lower case.
var fields = map[string]func(*Sample, float64){
	"latitude": func(s *Sample, v float64) { s.Lat = v }, "lat": func(s *Sample, v float64) { s.Lat = v },
	"longitude": func(s *Sample, v float64) { s.Lon = v }, "longtitude": func(s *Sample, v float64) { s.Lon = v },
	"lon": func(s *Sample, v float64) { s.Lon = v }, "lng": func(s *Sample, v float64) { s.Lon = v },
	"relalt": func(s *Sample, v float64) { s.RelAlt = v }, "relativealtitude": func(s *Sample, v float64) { s.RelAlt = v },
	"height": func(s *Sample, v float64) { s.RelAlt = v }, "h": func(s *Sample, v float64) { s.RelAlt = v },
	"barometer": func(s *Sample, v float64) { s.RelAlt = v }, "hb": func(s *Sample, v float64) { s.RelAlt = v },
	"absalt": func(s *Sample, v float64) { s.AbsAlt = v }, "altitude": func(s *Sample, v float64) { s.AbsAlt = v },
	"absolutealtitude": func(s *Sample, v float64) { s.AbsAlt = v }, "alt": func(s *Sample, v float64) { s.AbsAlt = v },
	"focallen": func(s *Sample, v float64) { s.Focal35 = v }, "focallength": func(s *Sample, v float64) { s.Focal35 = v },
	"dzoomratio": zoom, "dzoom": zoom,
	"gbyaw": func(s *Sample, v float64) { s.Camera.Yaw = v }, "gimbalyaw": func(s *Sample, v float64) { s.Camera.Yaw = v },
	"gbpitch": func(s *Sample, v float64) { s.Camera.Pitch = v }, "gimbalpitch": func(s *Sample, v float64) { s.Camera.Pitch = v },
	"gbroll": func(s *Sample, v float64) { s.Camera.Roll = v }, "gimbalroll": func(s *Sample, v float64) { s.Camera.Roll = v },
	"droneyaw": func(s *Sample, v float64) { s.Body.Yaw = v }, "dronepitch": func(s *Sample, v float64) { s.Body.Pitch = v },
	"droneroll":  func(s *Sample, v float64) { s.Body.Roll = v },
	"satellites": func(s *Sample, v float64) { s.Satellites = int(v) }, "sats": func(s *Sample, v float64) { s.Satellites = int(v) },
	"rtkflag": func(s *Sample, v float64) { s.RTK = v >= 34 }, // 16 is a plain fix, 34 a float one, 50 a fixed one
}

// zoom takes the ratio; some dialects write it times 10,000.
func zoom(s *Sample, v float64) {
	if s.Zoom = v; v >= 100 {
		s.Zoom = v / 10000
	}
}

// ReadSRT reads a sidecar of any dialect: UTF-8 or UTF-16, any ends of lines, decimal points or commas, cues without
// end, number or time. It holds at most MaxSamples in memory and reads at most 64 KiB of a line. Its error wraps
// ErrNoLog, and says what the bytes are instead, when no record has a position.
func ReadSRT(r io.Reader) (*Log, error) {
	nan := math.NaN()
	p := &srt{l: &Log{Dialect: "dji-srt", OfVideo: true, Home: Place{Lat: nan, Lon: nan, Alt: nan}}, base: -1, stride: 1}
	s := bufio.NewScanner(transform.NewReader(r, unicode.BOMOverride(transform.Nop)))
	s.Buffer(make([]byte, 4096), longestLine)
	s.Split(lines)
	for s.Scan() {
		p.line(s.Text())
	}
	p.end()
	if err := s.Err(); err != nil && p.l.Fixes() == 0 {
		return nil, fmt.Errorf("flight log: %w", err)
	} else if err != nil {
		p.fault(0, fmt.Sprintf("it ends early: %v", err))
	}
	return p.log()
}

const longestLine = 1 << 16

// lines splits at LF, CR LF and CR. A line longer than the buffer comes in pieces.
func lines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			return i + 2, data[:i], nil
		}
		if data[i] == '\n' || i+1 < len(data) || atEOF {
			return i + 1, data[:i], nil
		}
	}
	if len(data) >= longestLine-1 || atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// srt is what is known while a sidecar is read.
type srt struct {
	l        *Log
	sample   Sample
	open     bool
	timed    bool // the sample has a cue time
	first    string
	number   int // of the line
	start    int // line of the sample
	base     time.Duration
	began    time.Time // wall clock of the first record without a cue time
	without  int       // records without a position
	at       int       // line of the first of them
	stride   int       // only every such record is kept
	cues     int
	position []float64 // of the GPS list
	listed   bool      // positions are in lists: longitude and latitude of samples may have to be exchanged
	latFirst int       // votes for latitude first, below 0 for longitude first
	decimal  bool      // its third number is a height
	home     []float64
}

func (p *srt) fault(line int, text string) {
	if len(p.l.Faults) < MaxFaults {
		p.l.Faults = append(p.l.Faults, Fault{Line: line, Offset: p.sample.Offset, Text: text})
	}
}

func (p *srt) line(raw string) {
	p.number++
	text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(raw, "\x00", ""), "\ufeff"))
	if p.first == "" {
		p.first = text
	}
	if m := cueTime.FindStringSubmatch(text); m != nil {
		p.end()
		p.begin()
		at := clock(m)
		if p.base < 0 { // a clock that starts late counts from there; old dialects begin with the end of the first second
			if p.base = at; at < 5*time.Second {
				p.base = 0
			}
		}
		p.sample.Offset, p.timed = at-p.base, true
		p.cues++
		return
	}
	if text == "" {
		if p.open && !p.timed {
			p.end() // a record without a cue time ends with its paragraph
		}
		return
	}
	if !p.open {
		if p.cues > 0 || !tuple.MatchString(text) && !strings.Contains(strings.ToLower(text), "latitude") && !dateTime.MatchString(text) {
			return
		}
		p.begin()
	}
	p.text(tag.ReplaceAllString(text, " "))
}

func (p *srt) begin() {
	p.sample, p.open, p.timed, p.start = NewSample(0), true, false, p.number
	p.position, p.home, p.decimal = nil, nil, false
}

// text reads all fields of a line.
func (p *srt) text(text string) {
	if m := dateTime.FindStringSubmatch(text); m != nil && p.sample.Time.IsZero() {
		p.sample.Time = wallClock(m, p.l)
		text = strings.Replace(text, m[0], " ", 1)
	}
	for _, m := range tuple.FindAllStringSubmatch(text, -1) {
		v, units := list(m[2])
		switch name := strings.ToUpper(m[1]); {
		case len(v) < 2:
		case name == "GPS" || name == "RTK":
			p.position, p.decimal = v, units
			p.sample.RTK = name == "RTK"
		case name == "HOME":
			p.home = v
		case len(v) == 3 && name == "F.PRY":
			p.sample.Body = Attitude{Pitch: v[0], Roll: v[1], Yaw: v[2]}
		case len(v) == 3:
			p.sample.Camera = Attitude{Pitch: v[0], Roll: v[1], Yaw: v[2]}
		}
	}
	text = tuple.ReplaceAllString(text, " ")
	for _, m := range group.FindAllStringSubmatch(text, -1) {
		a := Attitude{Yaw: number(m[2]), Pitch: number(m[3]), Roll: number(m[4])}
		if strings.EqualFold(m[1], "drone") {
			p.sample.Body = a
		} else {
			p.sample.Camera = a
		}
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		set := fields[strings.NewReplacer("_", "", " ", "").Replace(strings.ToLower(m[1]))]
		v := number(m[2])
		if strings.HasPrefix(strings.ToLower(m[1]), "focal") && v >= 100 && !strings.ContainsAny(m[2], ".,") {
			v /= 10 // older dialects write whole tenths of a millimetre
		}
		if set != nil && !math.IsNaN(v) {
			set(&p.sample, v)
		}
	}
}

// end closes a record.
func (p *srt) end() {
	if !p.open {
		return
	}
	p.open = false
	s, l := &p.sample, p.l
	if v := p.position; v != nil {
		s.Lon, s.Lat = v[0], v[1]
		if len(v) > 2 {
			s.AbsAlt = v[2]
		}
		p.listed = true
		p.vote()
	}
	if v := p.home; v != nil && !l.Home.Known() && (v[0] != 0 || v[1] != 0) {
		l.Home.Lon, l.Home.Lat = v[0], v[1]
		if len(v) > 2 {
			l.Home.Alt = v[2]
		}
	}
	if !p.timed {
		p.untimed()
	}
	far := !isPlace(s.Lat, s.Lon) && !(p.listed && isPlace(s.Lon, s.Lat)) && s.HasPosition()
	if far {
		p.fault(p.start, fmt.Sprintf("latitude %g, longitude %g is no place", s.Lat, s.Lon))
	}
	if far || s.Lat == 0 && s.Lon == 0 || !s.HasPosition() {
		s.Lat, s.Lon = math.NaN(), math.NaN()
		if p.without++; p.without == 1 {
			p.at = p.start
		}
	}
	p.keep()
}

func isPlace(lat, lon float64) bool { return math.Abs(lat) <= 90 && math.Abs(lon) <= 180 }

// vote notes what a GPS list says of the order of its two numbers. A number beyond 90 is a longitude. Otherwise the third
// tells: old dialects have satellites there and longitude first, the others a height and latitude first.
func (p *srt) vote() {
	const certain = 1000
	switch v := p.position; {
	case math.Abs(v[0]) > 90:
		p.latFirst -= certain
	case math.Abs(v[1]) > 90:
		p.latFirst += certain
	case p.decimal:
		p.latFirst++
	}
}

// order gives the numbers of the lists their meaning. One log has one order.
func (p *srt) order() {
	l := p.l
	if p.latFirst > 0 {
		l.Home.Lat, l.Home.Lon = l.Home.Lon, l.Home.Lat
	}
	for i := range l.Samples {
		s := &l.Samples[i]
		switch {
		case p.latFirst > 0:
			s.Lat, s.Lon = s.Lon, s.Lat
		case !math.IsNaN(s.AbsAlt):
			s.Satellites, s.AbsAlt = int(s.AbsAlt), math.NaN()
		}
		if !isPlace(s.Lat, s.Lon) {
			s.Lat, s.Lon = math.NaN(), math.NaN()
		}
	}
}

// hold marks positions that only repeat an older one. A receiver is seldom slower than once a second, so a position that
// stays for longer is that of a drone that stays.
func hold(samples []Sample) {
	const slowest = 1500 * time.Millisecond
	last := -1 // the sample with the newest position
	for i := range samples {
		s := &samples[i]
		if !s.HasPosition() {
			continue
		}
		s.Held = last >= 0 && s.Lat == samples[last].Lat && s.Lon == samples[last].Lon && s.Offset-samples[last].Offset <= slowest
		if !s.Held {
			last = i
		}
	}
}

// untimed gives a record without a cue time its offset: by its wall clock, or a second after the one before.
func (p *srt) untimed() {
	s, n := &p.sample, len(p.l.Samples)
	switch {
	case n == 0:
		p.began = s.Time
	case !s.Time.IsZero() && !p.began.IsZero():
		s.Offset = s.Time.Sub(p.began)
	default:
		s.Offset = p.l.Samples[n-1].Offset + time.Second
	}
}

func (p *srt) keep() {
	l := p.l
	l.Records++
	l.End = max(l.End, p.sample.Offset)
	if (l.Records-1)%p.stride != 0 {
		return
	}
	if len(l.Samples) == MaxSamples {
		for i := range MaxSamples / 2 {
			l.Samples[i] = l.Samples[2*i]
		}
		l.Samples = l.Samples[:MaxSamples/2]
		p.stride *= 2
		if (l.Records-1)%p.stride != 0 {
			return
		}
	}
	l.Samples = append(l.Samples, p.sample)
}

// log ends the reading.
func (p *srt) log() (*Log, error) {
	l := p.l
	if p.listed {
		p.order()
	}
	if l.Fixes() == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoLog, p.instead())
	}
	sort.SliceStable(l.Samples, func(i, j int) bool { return l.Samples[i].Offset < l.Samples[j].Offset })
	hold(l.Samples)
	if p.without > 0 {
		p.fault(p.at, fmt.Sprintf("%d of %d records have no position", p.without, l.Records))
	}
	return l, nil
}

// instead says what a file is that has no position.
func (p *srt) instead() string {
	low := strings.ToLower(p.first)
	switch {
	case p.first == "":
		return "the file is empty"
	case strings.HasPrefix(low, "<!doctype") || strings.HasPrefix(low, "<html"):
		return "it is a page in HTML"
	case p.l.Records == 0:
		return "it has no records of a flight"
	case p.at > 0 && p.l.Records > 0:
		return fmt.Sprintf("none of its %d records has a position (the first is in line %d)", p.l.Records, p.at)
	default:
		return "it has no position"
	}
}

// list reads the numbers of a list and reports whether the third has decimals or a unit. Decimal commas are known by a
// blank or semicolon between the numbers, or by twice as many parts.
func list(text string) (values []float64, units bool) {
	text = strings.ReplaceAll(text, "°", "")
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
	if !strings.Contains(text, ".") && strings.Contains(text, ",") {
		spaced := strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == ' ' })
		switch {
		case len(spaced) > 1 && strings.Count(text, ",") > len(spaced)-1 || strings.Contains(text, ";"):
			parts = spaced
			for i := range parts {
				parts[i] = strings.Replace(strings.TrimRight(parts[i], ","), ",", ".", 1)
			}
		case len(parts) >= 4:
			joined := []string{parts[0] + "." + parts[1], parts[2] + "." + parts[3]}
			parts = append(joined, parts[4:]...)
		}
	}
	for _, part := range parts {
		plain := strings.TrimRight(part, "mM")
		v := number(plain)
		if math.IsNaN(v) {
			break
		}
		values = append(values, v)
		if len(values) == 3 {
			units = plain != part || strings.Contains(part, ".")
		}
	}
	return values, units
}

func clock(m []string) time.Duration {
	var v [3]int64
	for i := range v {
		v[i], _ = strconv.ParseInt(m[i+1], 10, 32)
	}
	return time.Duration((v[0]*60+v[1])*60+v[2])*time.Second + fraction(m[4])
}

// fraction turns decimals of a second into a duration.
func fraction(digits string) time.Duration {
	v, _ := strconv.ParseInt((digits + "000000")[:6], 10, 64)
	return time.Duration(v) * time.Microsecond
}

func wallClock(m []string, l *Log) time.Time {
	var v [6]int
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1])
	}
	if v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 60 {
		return time.Time{}
	}
	t := time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], int(fraction(m[7])), time.UTC)
	if l.Zone = Local; m[8] == "" {
		return t
	}
	l.Zone = UTC
	if m[8] == "Z" {
		return t
	}
	zone, err := time.Parse("-07:00", m[8][:3]+":"+m[8][len(m[8])-2:])
	if err != nil {
		return t
	}
	_, east := zone.Zone()
	return t.Add(-time.Duration(east) * time.Second)
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}
