package flightlog

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// SRT sidecars of drones are subtitles whose text has one sample each. There are many dialects: they differ in the
// names of fields, in brackets, lists and lines, and in the order of the two numbers of a position. The reader
// therefore knows forms of fields, not drones. The text of one cue is read by record.text, what a whole log says of
// its lists by order.
var (
	cueTime = regexp.MustCompile(`^(?:\d{1,9}\s+)?(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[,.:](\d{1,6}))?\s*-->`)
	cueEnd  = regexp.MustCompile(`^-->\s*(\d{1,3}):(\d{1,2}):(\d{1,2})(?:[,.:](\d{1,6}))?`) // a cue that lost its start
)

// plainText removes the zeros of cut cards and byte order marks, and makes every minus sign that of ASCII.
var plainText = strings.NewReplacer("\x00", "", "\ufeff", "", "\u2212", "-")

// ReadSRT reads a sidecar of any dialect: UTF-8 or UTF-16, any ends of lines, decimal points or commas, cues without
// end, number or time. It holds at most MaxSamples in memory and reads at most 64 KiB of a line. Its error wraps
// ErrNoLog, and says what the bytes are instead, when no record has a position.
func ReadSRT(r io.Reader) (*Log, error) {
	p := newSubtitles()
	s := bufio.NewScanner(transform.NewReader(r, unicode.BOMOverride(transform.Nop)))
	s.Buffer(make([]byte, 4096), longestLine)
	s.Split(p.split)
	for s.Scan() {
		p.line(s.Text())
	}
	p.end()
	if err := s.Err(); err != nil && p.l.Records == 0 {
		return nil, fmt.Errorf("flight log: %w", err)
	} else if err != nil {
		p.fault(p.number, p.sample.Offset, "it ends early: %v", err)
	}
	return p.finish()
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

// subtitles is what is known while the cues of a sidecar, or of a subtitle track, are read.
type subtitles struct {
	*recorder
	record
	open    bool
	length  int    // bytes of the record
	cut     bool   // the record is longer than what is read of it
	timed   bool   // the record has a cue time
	ofTrack bool   // cue times are those of a track of the video
	first   string // line that is not empty
	firstAt int    // its number
	number  int    // of the line
	inLine  bool   // the last piece did not end its line
	start   int    // line of the record
	began   time.Time
	cues    int
	highest time.Duration // of the cue times so far
	late    bool          // the record's cue time goes back
	lates   int           // in a row
	order   order
	lists   []listed // of the kept samples
}

func newSubtitles() *subtitles {
	p := &subtitles{recorder: newRecorder("dji-srt")}
	p.l.OfVideo = true
	p.thin = func() {
		for i := range MaxSamples / 2 {
			p.lists[i] = p.lists[2*i]
		}
		p.lists = p.lists[:MaxSamples/2]
	}
	return p
}

// split is lines. It counts the lines, and a long one that comes in pieces once.
func (p *subtitles) split(data []byte, atEOF bool) (int, []byte, error) {
	n, line, err := lines(data, atEOF)
	if n > 0 {
		if !p.inLine {
			p.number++
		}
		p.inLine = n == len(line)
	}
	return n, line, err
}

func (p *subtitles) line(raw string) {
	text := strings.TrimSpace(plainText.Replace(raw))
	if p.first == "" && text != "" {
		p.first, p.firstAt = text, p.number
	}
	if m := cueTime.FindStringSubmatch(text); m != nil {
		p.cue(clock(m))
		return
	}
	if m := cueEnd.FindStringSubmatch(text); m != nil { // it starts where the one before starts, at the earliest
		p.cue(max(p.sample.Offset, clock(m)-time.Second))
		return
	}
	if text == "" {
		if p.open && !p.timed {
			p.end() // a record without a cue time ends with its paragraph
		}
		return
	}
	if !p.open {
		if p.cues > 0 || !startsRecord(text[:min(len(text), longestRecord)]) {
			return
		}
		p.begin()
	}
	p.words(text)
}

// untagged puts a blank for each mark of the form <font size="28"> or {\an7}.
func untagged(text string) string {
	const longest = 200 // bytes of a mark
	if !strings.ContainsAny(text, "<{") {
		return text
	}
	var out strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "<{")
		if at < 0 {
			break
		}
		out.WriteString(text[:at])
		text = text[at:]
		open, end := text[0], byte('>')
		if open == '{' {
			end = '}'
		}
		to := strings.IndexByte(text[:min(len(text), longest)], end)
		if to < 0 || strings.IndexByte(text[1:to], open) >= 0 || open == '{' && text[1] != '\\' {
			out.WriteByte(open)
			text = text[1:]
			continue
		}
		out.WriteByte(' ')
		text = text[to+1:]
	}
	return out.String() + text
}

// longestRecord is the most bytes of a record that are read; those of drones have at most 1,500.
const longestRecord = 8 << 10

// words reads a line of a record. What makes a record too long is left out.
func (p *subtitles) words(text string) {
	if left := longestRecord - p.length; len(text) > left {
		if !p.cut {
			p.fault(p.number, p.sample.Offset, "the record is longer than %d bytes; the rest is not read", longestRecord)
		}
		p.cut, text = true, text[:max(left, 0)]
	}
	p.length += len(text)
	p.text(untagged(text))
}

// startsRecord reports whether a line that stands outside of any cue is one of a record.
func startsRecord(text string) bool {
	if tuple.MatchString(text) || dateTime.MatchString(text) {
		return true
	}
	for _, m := range named.FindAllStringSubmatch(strings.ToLower(text), -1) {
		if axis[fieldName(m[1])] != 0 {
			return true
		}
	}
	return false
}

// cue begins the record of a cue that is shown from a time on.
func (p *subtitles) cue(at time.Duration) {
	p.end()
	p.begin()
	p.sample.Offset, p.timed = at, true
	p.cues++
	const slack = 2 * time.Second
	if p.late = at+slack < p.highest; !p.late {
		p.highest, p.lates = max(p.highest, at), 0
		return
	}
	const restart = 2
	if p.lates++; p.lates == restart {
		p.fault(p.number, at, "its times start over: the records from here on are of another video and are not read")
	}
}

func (p *subtitles) begin() {
	p.record, p.open, p.timed, p.start = record{sample: NewSample(0)}, true, false, p.number
	p.length, p.cut = 0, false
}

// end closes a record.
func (p *subtitles) end() {
	if !p.open {
		return
	}
	p.open = false
	if p.late {
		p.late = false
		return
	}
	if !p.timed {
		p.untimed()
	}
	s := &p.sample
	if p.south {
		s.Lat = -math.Abs(s.Lat)
	}
	if p.west {
		s.Lon = -math.Abs(s.Lon)
	}
	if p.noPlace {
		s.Lat, s.Lon, p.position = math.NaN(), math.NaN(), pair{}
	}
	if s.HasPosition() && isZero(s.Lat, s.Lon) {
		s.Lat, s.Lon = math.NaN(), math.NaN()
	}
	if s.HasPosition() && !isPlace(s.Lat, s.Lon) {
		p.fault(p.start, s.Offset, "latitude %g, longitude %g is no place", s.Lat, s.Lon)
		s.Lat, s.Lon = math.NaN(), math.NaN()
	}
	if p.unclear != "" {
		p.fault(p.start, s.Offset, "%s", p.unclear)
	}
	p.order.note(&p.record)
	if !s.HasPosition() && !p.position.known() {
		p.without(p.start)
	}
	if p.keep(*s) {
		p.lists = append(p.lists, listed{position: p.position, zoned: p.zoned})
	}
}

// untimed gives a record without a cue time its offset: by its wall clock, or a second after the one before.
func (p *subtitles) untimed() {
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

// finish ends the reading.
func (p *subtitles) finish() (*Log, error) {
	l := p.l
	l.Dialect = p.order.dialect()
	if why := p.order.unsure(p.lists); why != "" {
		p.fault(0, 0, "%s", why)
	}
	p.order.give(l, p.lists)
	if !p.ofTrack {
		p.rebase()
	}
	return p.log(p.instead())
}

// rebase makes offsets count from the first picture. A clock that starts late counts from its first cue; old dialects
// begin with the end of the first second.
func (p *subtitles) rebase() {
	const late = 5 * time.Second
	samples := p.l.Samples
	if len(samples) == 0 {
		return
	}
	base := samples[0].Offset
	for i := range samples {
		base = min(base, samples[i].Offset)
	}
	if base >= 0 && base < late {
		return
	}
	for i := range samples {
		samples[i].Offset -= base
	}
	for i := range p.l.Faults {
		p.l.Faults[i].Offset -= base
	}
}

// instead says what a file is that has no record of a flight.
func (p *subtitles) instead() string {
	low := strings.ToLower(p.first)
	switch {
	case p.first == "":
		return "the file is empty"
	case strings.HasPrefix(low, "<!doctype") || strings.HasPrefix(low, "<html"):
		return fmt.Sprintf("line %d: it is a page in HTML", p.firstAt)
	}
	return fmt.Sprintf("it has no records of a flight (line %d is %.40q)", p.firstAt, p.first)
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

// number reads a number with a decimal point or comma; NaN for none.
func number(s string) float64 {
	v, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
	if err != nil || math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}
