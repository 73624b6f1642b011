package flightlog

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Forms of the fields of a cue.
var (
	dateTime = regexp.MustCompile(`(?:^|[^\d])(\d{4}) ?[-./年] ?(\d{1,2}) ?[-./月] ?(\d{1,2})日?[ T]{1,2}(\d{1,2}):(\d\d):(\d\d)` +
		`(?:[.,:](\d{1,9}))?(?:[,.]\d{1,3})?(?: ?([AP]M)\b)?` +
		`((?: ?(?:UTC|GMT) ?)?[+-]\d{1,2}(?::?\d\d)?\b| [+-]\d\d:?\d\d\b| ?Z\b| ?UTC\b| ?GMT\b)?`)
	// A named number: latitude: 1.5, rel_alt = 3, BAROMETER:0.3M, BAROMETER(91.2), H 85.80m, lat: N 12.5, lon: 12.5 W.
	named = regexp.MustCompile(`((?i:(?:home|take-?off|target|lrf|rc|pilot|rtk base) )?[\pL][\pL_]*` +
		`(?: alt| len)?)["']? ?` +
		`(?:[:=(]| (?:[:=] ?)?) ?((?:[NSEWnsew]:? ?)?[-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d{1,3}\b)?` +
		`(?:° ?(?:\d+(?:\.\d+)?['′] ?(?:\d+(?:[.,]\d+)?["″] ?)?)?[NSEWnsew]?\b| ?[NSEW]\b| ?[Ff]t\b| ?[Ff]eet\b)?)`)
	// A named list: GPS(146.4151,-18.8833,16), G.PRY (-24.4°, 0.0°, 110.4°), GPS: 5.5, 49.5, 18.
	tuple = regexp.MustCompile(`(?i)\b(GPS|RTK|HOME|F\.PRY|G\.PRY) ?:? ?(?:\(([^()]{1,120})\)|\[([^\[\]]{1,120})\]|` +
		`([-+]?\d+\.\d+[,;] ?[-+]?\d+\.\d+(?:[,;] ?[-+]?\d+(?:\.\d+)?)?))`)
	// A group of angles: [Gimbal: Yaw:10.0, Pitch:-45.0, Roll:0.0].
	group = regexp.MustCompile(`(?i)\b(drone|aircraft|gimbal|camera)[ :=(]{1,3}` +
		`((?:(?:yaw|heading|pitch|roll)[ :=]{1,3}[-+]?\d[\d.]*°?[ ,;]{0,3}){2,3})`)
	// An angle of such a group.
	angle = regexp.MustCompile(`(?i)(yaw|heading|pitch|roll)[ :=]{1,3}([-+]?\d[\d.]*)`)
	// A number of a list or a coordinate: N: 40.7, 5.5E, 12.5m, 33°51'12.3"S.
	value = regexp.MustCompile(`^([NSEWnsew])?:? ?([-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d{1,3})?)(?:° ?(?:(\d+(?:\.\d+)?)['′] ?(?:(\d+(?:[.,]\d+)?)["″] ?)?)?)?` +
		` ?([NSEWnsew])?(m|M|[Ff]t|FT|[Ff]eet)?$`)
	letterApart = regexp.MustCompile(`(?i)\b([NSEW]) ?:? ?([-+\d])`)
	// A hemisphere apart from its number: [latitude_ref: S].
	hemisphere = regexp.MustCompile(`(?i)\b(lat|lon)[a-z]*[_ ]?ref["']? ?[:=] ?["']?([NSEW])\b`)
	// What begins a group of another thing than the camera: [Home: latitude: 1.5 …], [waypoint latitude: …].
	otherThing = regexp.MustCompile(`^\W*(?i:home|take-?off|target|lrf|rc|pilot|operator|way ?point|wp|poi|subject|remote|controller|` +
		`phone|mobile|base|rtk base|destination|landing|return)\b[\w -]{0,24}(?:[:=(\[].*)?$`)
	// The minutes of a coordinate whose degrees were read: 31 42.123 S, 31:42:07, 31d42m.
	minutesFollow = regexp.MustCompile(`^(?: |:|d|deg) ?\d`)
	farDistance   = regexp.MustCompile(`\bD:? ?(\d+(?:[.,]\d+)?) ?m\b`)
)

const metresInFoot = 0.3048

// fields is what the numbers of a sidecar mean, by name without blanks and underscores in lower case.
var fields = map[string]func(*Sample, float64){
	"relalt": relAlt, "relativealtitude": relAlt, "relativeheight": relAlt, "height": relAlt, "h": relAlt,
	"barometer": relAlt,
	"hb":        relAlt, "höhe": relAlt, "hauteur": relAlt, "altura": relAlt, "altezza": relAlt, "высота": relAlt,
	"高度": relAlt, "고도": relAlt,
	"absalt": absAlt, "altitude": absAlt, "absolutealtitude": absAlt, "alt": absAlt, "altitud": absAlt,
	"altitudine": absAlt,
	"海拔":         absAlt,
	"focallen":   focal35, "focallength": focal35,
	"dzoomratio": zoom, "dzoom": zoom, "digitalzoom": zoom, "digitalzoomratio": zoom,
	"gbyaw": cameraYawOf, "gimbalyaw": cameraYawOf, "gbheading": cameraYawOf, "gimbalheading": cameraYawOf,
	"gbpitch": cameraPitchOf, "gimbalpitch": cameraPitchOf,
	"gbroll": cameraRollOf, "gimbalroll": cameraRollOf,
	"droneyaw":   func(s *Sample, v float64) { s.Body.Yaw = turn(v) },
	"dronepitch": func(s *Sample, v float64) { s.Body.Pitch = v },
	"droneroll":  func(s *Sample, v float64) { s.Body.Roll = v },
	"satellites": satellites, "sats": satellites, "satnum": satellites, "gpsnum": satellites,
	"rtkflag": func(s *Sample, v float64) { s.RTK = v >= 34 }, // 16 is a plain fix, 34 a float one, 50 a fixed one
}

func cameraYawOf(s *Sample, v float64)   { s.Camera.Yaw = turn(v) }
func cameraPitchOf(s *Sample, v float64) { s.Camera.Pitch = v }
func cameraRollOf(s *Sample, v float64)  { s.Camera.Roll = v }

func relAlt(s *Sample, v float64)     { s.RelAlt = v }
func absAlt(s *Sample, v float64)     { s.AbsAlt = v }
func focal35(s *Sample, v float64)    { s.Focal35 = v }
func satellites(s *Sample, v float64) { s.Satellites = int(min(max(v, 0), 200)) }

// zoom takes the ratio; some dialects write it times 10,000.
func zoom(s *Sample, v float64) {
	if s.Zoom = v; v >= 100 {
		s.Zoom = v / 10000
	}
}

// axis is the coordinate that a name stands for, in languages in which sidecars and converted logs are seen.
var axis = map[string]byte{
	"latitude": 'N', "lat": 'N', "breitengrad": 'N', "breite": 'N', "latitud": 'N', "latitudine": 'N', "breddgrad": 'N',
	"широта": 'N', "纬度": 'N', "緯度": 'N', "위도": 'N', "enlem": 'N',
	"longitude": 'E', "longtitude": 'E', "lon": 'E', "lng": 'E', "long": 'E', "längengrad": 'E', "länge": 'E',
	"longitud":    'E',
	"longitudine": 'E', "längdgrad": 'E', "долгота": 'E', "经度": 'E', "經度": 'E', "経度": 'E', "경도": 'E', "boylam": 'E',
}

var plainName = strings.NewReplacer("_", "", " ", "", "-", "", ".", "")

func fieldName(text string) string { return plainName.Replace(strings.ToLower(text)) }

// heights are the further names of a height above take-off.
var heights = map[string]bool{"relativealtitude": true, "relativeheight": true, "height": true, "h": true, "barometer": true,
	"hb": true, "höhe": true, "hauteur": true, "altura": true, "altezza": true, "высота": true, "高度": true, "고도": true}

// record is what one cue says.
type record struct {
	sample   Sample
	position pair // of the GPS list
	home     pair
	distance float64       // metres from the take-off point, 0 where not given
	zoned    int           // 1 for a time with a zone, -1 for one without, 0 for no time
	east     time.Duration // of UTC, of a time with a zone
	unclear  string        // what a person has to know of it
	noPlace  bool          // its position cannot be trusted
	exact    bool          // the height above take-off has its own name
	south    bool          // the latitude's hemisphere is given apart
	west     bool
	form     shape
}

// text reads all fields of a line.
func (r *record) text(text string) {
	if r.sample.Time.IsZero() && strings.Count(text, ":") > 1 {
		if m := dateTime.FindStringSubmatch(text); m != nil {
			r.date(m)
			text = strings.Replace(text, m[0], " ", 1)
		}
	}
	upper := strings.ToUpper(text) // most lines have few of the forms, and their expressions are slow
	if hasAny(upper, "GPS", "RTK", "HOME", "PRY") {
		text = r.lists(text)
	}
	if strings.HasPrefix(text, "F/") {
		r.form |= formLine
	}
	if hasAny(upper, "DRONE", "AIRCRAFT", "GIMBAL", "CAMERA") {
		r.groups(text)
	}
	if hasAny(text, "D ", "D:") {
		if m := farDistance.FindStringSubmatch(text); m != nil {
			r.distance = number(m[1])
		}
	}
	if hasAny(upper, "REF") {
		for _, m := range hemisphere.FindAllStringSubmatch(text, -1) {
			r.south, r.west = r.south || strings.EqualFold(m[2], "S"), r.west || strings.EqualFold(m[2], "W")
		}
	}
	for _, m := range named.FindAllStringSubmatchIndex(text, -1) {
		group := text[strings.LastIndexAny(text[:m[0]], "[{|")+1 : m[0]]
		if len(group) > 0 && otherThing.MatchString(group) {
			continue
		}
		name, value := fieldName(text[m[2]:m[3]]), text[m[4]:m[5]]
		if axis[name] != 0 && !strings.ContainsAny(value, ".,") && minutesFollow.MatchString(text[m[5]:]) {
			r.distrust("%s %.20q has degrees and minutes in a form that is not read", name, text[m[4]:])
			continue
		}
		r.number(name, value)
	}
}

// lists reads the named lists of a line and returns the rest of it.
func (r *record) lists(text string) string {
	found := tuple.FindAllStringSubmatchIndex(text, -1)
	if len(found) == 0 {
		return text
	}
	part := func(m []int, n int) string {
		if m[2*n] < 0 {
			return ""
		}
		return text[m[2*n]:m[2*n+1]]
	}
	var rest strings.Builder
	done := 0
	for _, m := range found {
		name, v := strings.ToUpper(part(m, 1)), parseList(part(m, 2)+part(m, 3)+part(m, 4))
		if len(v) == 0 && name != "HOME" {
			continue // it may have names: GPS(lat: 48.2, lon: 5.5)
		}
		r.list(name, v)
		rest.WriteString(text[done:m[0]] + " ")
		done = m[1]
	}
	return rest.String() + text[done:]
}

func hasAny(text string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// groups reads the groups of angles of a line.
func (r *record) groups(text string) {
	for _, m := range group.FindAllStringSubmatch(text, -1) {
		a := angles(m[2])
		if c := m[1][0] | 0x20; c == 'd' || c == 'a' {
			r.sample.Body = a
		} else {
			r.sample.Camera = a
		}
	}
}

// angles reads a group of angles, in any order.
func angles(text string) Attitude {
	a := Unknown()
	for _, m := range angle.FindAllStringSubmatch(text, -1) {
		switch v := number(m[2]); strings.ToLower(m[1]) {
		case "pitch":
			a.Pitch = v
		case "roll":
			a.Roll = v
		default:
			a.Yaw = turn(v)
		}
	}
	return a
}

// number reads a named number.
func (r *record) number(name, text string) {
	set := fields[name]
	if set == nil && axis[name] == 0 {
		return
	}
	switch v := parseValue(text); {
	case math.IsNaN(v.v):
	case axis[name] == 'N':
		r.coordinate(name, &r.sample.Lat, v.v)
	case axis[name] == 'E':
		r.coordinate(name, &r.sample.Lon, v.v)
	case name == "relalt":
		r.exact, r.sample.RelAlt = true, v.v
	case r.exact && heights[name]:
	case strings.HasPrefix(name, "focal") && v.v >= 100 && !strings.ContainsAny(text, ".,"):
		set(&r.sample, v.v/10) // older dialects write whole tenths of a millimetre
	default:
		set(&r.sample, v.v)
	}
}

// list reads a named list.
func (r *record) list(name string, v []parsed) {
	switch {
	case len(v) < 2:
	case name == "GPS" || name == "RTK":
		r.position = newPair(v)
		r.sample.RTK = name == "RTK"
	case name == "HOME":
		r.home = newPair(v)
		if !r.position.known() {
			r.form |= formHome
		}
	case len(v) == 3 && name == "F.PRY":
		r.sample.Body = Attitude{Pitch: v[0].v, Roll: v[1].v, Yaw: turn(v[2].v)}
	case len(v) == 3:
		r.sample.Camera = Attitude{Pitch: v[0].v, Roll: v[1].v, Yaw: turn(v[2].v)}
	}
}

// oldest is the first year in which a drone wrote a log that is read here; an earlier one is of a clock that is not
// set, and so is one after newest.
const (
	oldest = 2006
	newest = 2199
)

// date reads the wall clock.
func (r *record) date(m []string) {
	var v [6]int
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1])
	}
	switch { // 12 hours
	case m[8] == "PM" && v[3] < 12:
		v[3] += 12
	case m[8] == "AM" && v[3] == 12:
		v[3] = 0
	}
	if v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 60 {
		r.unclear = fmt.Sprintf("%q is no date", strings.TrimSpace(m[0]))
		return
	}
	if v[0] < oldest || v[0] > newest {
		r.unclear = fmt.Sprintf("the clock shows the year %d; it is not set", v[0])
		return
	}
	t := time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], int(fraction(m[7])), time.UTC)
	if t.Month() != time.Month(v[1]) && v[5] < 60 { // 31 February
		r.unclear = fmt.Sprintf("%q is no date", strings.TrimSpace(m[0]))
		return
	}
	r.zoned, r.sample.Time = -1, t
	zone := strings.TrimSpace(m[9])
	if zone == "" {
		return
	}
	r.zoned, r.east = 1, eastOf(zone)
	r.sample.Time = t.Add(-r.east)
}

// eastOf is how far a zone is ahead of UTC: Z, UTC, +02:00, -0330, +02, UTC+2.
func eastOf(zone string) time.Duration {
	at := strings.IndexAny(zone, "+-")
	if at < 0 {
		return 0
	}
	digits := strings.Replace(zone[at+1:], ":", "", 1)
	hours, minutes := digits, ""
	if len(digits) > 2 {
		hours, minutes = digits[:len(digits)-2], digits[len(digits)-2:]
	}
	h, _ := strconv.Atoi(hours)
	m, _ := strconv.Atoi(minutes)
	east := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if zone[at] == '-' {
		return -east
	}
	return east
}

// parsed is one number of a list.
type parsed struct {
	v      float64
	letter byte // N, S, E or W in upper case; 0 for none
	height bool // it has a unit of length or decimals
}

// parseValue reads a number with what may stand around it: the letter of a hemisphere, minutes and seconds, a unit.
func parseValue(text string) parsed {
	m := value.FindStringSubmatch(text)
	if m == nil {
		return parsed{v: math.NaN()}
	}
	p := parsed{v: number(m[2]), height: m[6] != "" || strings.ContainsAny(m[2], ".,")}
	if m[3] != "" {
		p.v = math.Copysign(math.Abs(p.v)+number(m[3])/60, p.v)
	}
	if m[4] != "" {
		p.v = math.Copysign(math.Abs(p.v)+number(m[4])/3600, p.v)
	}
	if m[6] != "" && m[6][0]|0x20 == 'f' {
		p.v *= metresInFoot
	}
	if letter := strings.ToUpper(m[1] + m[5]); letter != "" {
		if p.letter = letter[0]; p.letter == 'S' || p.letter == 'W' {
			p.v = -math.Abs(p.v)
		}
	}
	return p
}

// isForeign is a sign of degrees in any encoding.
func isForeign(r rune) bool { return r > unicode.MaxASCII }

// parseList reads the numbers of a list, up to the first part that is none. Decimal commas are known by a blank or
// semicolon between the numbers, or by twice as many parts.
func parseList(text string) []parsed {
	text = letterApart.ReplaceAllString(strings.TrimSpace(text), "$1$2")
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
			if len(parts) == 6 {
				joined = append(joined, parts[4]+"."+parts[5])
			} else {
				joined = append(joined, parts[4:]...)
			}
			parts = joined
		}
	}
	var out []parsed
	for _, part := range parts {
		v := parseValue(strings.TrimRightFunc(part, isForeign))
		if math.IsNaN(v.v) {
			break
		}
		out = append(out, v)
	}
	return out
}
