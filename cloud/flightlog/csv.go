package flightlog

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Tables of a whole flight, as sites and programs make them out of the records of drones' apps: Airdata, Litchi, the
// converters of DJI's records, DatCon. Columns are known by their names; a unit stands behind the name in brackets.

// header finds the line with the names of columns among the first lines, and the separator. It returns the number of
// lines before it, below 0 for none.
func header(start []byte) (before int, separator rune, fields []field) {
	const most = 12
	rest := start
	for n := 0; n < most && len(rest) > 0; n++ {
		advance, line, _ := lines(rest, true)
		rest = rest[advance:]
		for _, sep := range []string{",", ";", "\t", "|"} {
			var found []field
			has := map[meaning]bool{}
			for _, name := range strings.Split(string(line), sep) {
				f := fieldOf(strings.Trim(strings.TrimSpace(name), `"'`))
				found, has[f.meaning] = append(found, f), true
			}
			if has[latitude] && has[longitude] && len(found) > 2 {
				if found[0].name == "" && !has[wallTime] && !has[elapsed] {
					found[0].meaning = wallTime // of Yuneec, whose first column has no name
				}
				return n, rune(sep[0]), found
			}
		}
	}
	return -1, 0, nil
}

func isTable(start []byte) bool {
	n, _, _ := header(start)
	return n >= 0
}

// table is what is known while a table is read.
type table struct {
	*recorder
	fields   []field
	app      bool // it is a table of an app: heights are above take-off
	row      []string
	sample   Sample
	date     string
	clock    string
	clockOf  field // the column of clock
	local    bool
	elapsed  time.Duration
	hasTime  bool
	origin   time.Time
	hasStart bool
	used     map[meaning]bool
}

// longestRow is the most bytes of a row of a table.
const longestRow = 1 << 20

// readTable reads such a table.
func readTable(r io.Reader) (*Log, error) {
	b := bufio.NewReaderSize(r, startLen)
	start, err := b.Peek(startLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("flight log: %w", err)
	}
	before, separator, fields := header(start)
	if before < 0 {
		return nil, fmt.Errorf("%w: no line names the columns latitude and longitude", ErrNoLog)
	}
	rows := &bounded{in: &plainLines{in: b}}
	in := csv.NewReader(rows)
	in.Comma, in.FieldsPerRecord, in.LazyQuotes, in.ReuseRecord, in.TrimLeadingSpace = separator, -1, true, true,
		separator != '\t'
	t, last := newTable(fields), 0
	for {
		rows.piece("a row, or one with a quote without end,", longestRow)
		t.row, err = in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		line := 0
		if len(t.row) > 0 && err == nil {
			line, _ = in.FieldPos(0)
			last = line
		}
		if err != nil {
			if line == 0 {
				line = last + 1
			}
			t.fault(line, t.l.End, "%v", err)
			if !errors.As(err, new(*csv.ParseError)) {
				break
			}
			continue
		}
		if line > before+1 {
			t.read(line)
		}
	}
	return t.finish()
}

func newTable(fields []field) *table {
	t := &table{recorder: newRecorder("csv"), fields: fields, used: map[meaning]bool{}}
	names := map[string]bool{}
	for _, f := range fields {
		names[f.name] = true
	}
	switch {
	case names["osdlatitude"]:
		t.l.Dialect = "dji-csv"
	case names["heightabovetakeoff"] && names["isvideo"] || names["gimbalheading"] && names["isvideo"]:
		t.l.Dialect, t.app = "airdata-csv", true
	case names["fskrssi"]:
		t.l.Dialect, t.app = "yuneec-csv", true
	case names["homelatitude"] && names["time"] || names["istakingphoto"] || names["ascent"]:
		t.l.Dialect, t.app = "litchi-csv", true
	}
	return t
}

// finish ends the reading.
func (t *table) finish() (*Log, error) {
	if !t.hasTime && t.l.Records > 0 {
		return nil, fmt.Errorf("%w: its %d rows have no times", ErrNoLog, t.l.Records)
	}
	if !t.l.Captured().IsZero() {
		if t.l.Zone = UTC; t.local {
			t.l.Zone = Local
		}
	}
	rebase(t.recorder)
	return t.log("its table has no rows")
}

// read reads a row.
func (t *table) read(line int) {
	t.sample, t.date, t.clock, t.clockOf, t.elapsed = NewSample(0), "", "", field{}, -1
	clear(t.used)
	for i, text := range t.row {
		if i < len(t.fields) {
			if text = strings.TrimSpace(strings.ReplaceAll(text, "\x00", "")); text != "" {
				t.set(t.fields[i], text)
			}
		}
	}
	s := &t.sample
	if s.Time.IsZero() && t.clock != "" {
		t.setTime(t.clockOf, strings.TrimSpace(t.date+" "+t.clock))
		if !s.Time.IsZero() && t.clockOf.meaning == elapsed {
			t.elapsed = -1 // a time of day starts again at midnight
		}
	}
	switch {
	case t.elapsed >= 0:
		s.Offset, t.hasTime = t.elapsed, true
	case !s.Time.IsZero():
		if !t.hasStart {
			t.origin, t.hasStart = s.Time, true
		}
		s.Offset, t.hasTime = s.Time.Sub(t.origin), true
	case t.hasTime:
		t.fault(line, t.l.End, "the row has no time")
		return
	}
	t.l.End = max(t.l.End, s.Offset)
	t.add(*s, line)
}

// set reads one field. The first column with a meaning that has a value is used.
func (t *table) set(f field, text string) {
	if f.meaning == other || t.used[f.meaning] && f.meaning != wallTime {
		return
	}
	t.used[f.meaning] = true
	s, l := &t.sample, t.l
	v := parseValue(text).v
	switch f.meaning {
	case latitude:
		s.Lat = coordinate(v)
	case longitude:
		s.Lon = coordinate(v)
	case wallTime:
		t.setTime(f, text)
	case wallDate:
		t.date = text
	case wallClock:
		t.clock, t.clockOf = text, f
	case elapsed:
		if _, _, ok := parseTime(text); ok {
			t.setTime(f, text)
			break
		}
		t.elapsed = duration(text, f)
		if t.clock == "" && strings.Contains(text, ":") { // beside a date it is a time of day
			t.clock, t.clockOf = text, f
		}
	case recording:
		s.Recording = v >= 1 || strings.EqualFold(text, "true") || strings.EqualFold(text, "yes")
	case homeLatitude:
		if !l.Home.Known() {
			l.Home.Lat = v
		}
	case homeLongitude:
		if !l.Home.Known() {
			l.Home.Lon = v
		}
	case modelName:
		l.Model = text[:min(len(text), 64)]
	case serialNumber:
		l.Serial = text[:min(len(text), 64)]
	default:
		t.setNumber(f, v)
	}
}

// setNumber reads a number with a unit.
func (t *table) setNumber(f field, v float64) {
	s := &t.sample
	length, degrees := v, v
	if strings.HasPrefix(f.unit, "f") { // ft, feet
		length *= metresInFoot
	}
	if strings.HasSuffix(f.name, "raw") {
		degrees /= 10
	}
	switch f.meaning {
	case heightAboveTakeoff:
		s.RelAlt = length
	case heightUnclear:
		switch {
		case !t.app:
			s.AbsAlt = length
		case !t.used[heightAboveTakeoff]:
			s.RelAlt = length
		}
	case heightAbsolute:
		s.AbsAlt = length
	case cameraYaw:
		s.Camera.Yaw = turn(degrees)
	case cameraPitch:
		s.Camera.Pitch = degrees
	case cameraRoll:
		s.Camera.Roll = degrees
	case bodyYaw:
		s.Body.Yaw = turn(degrees)
	case bodyPitch:
		s.Body.Pitch = degrees
	case bodyRoll:
		s.Body.Roll = degrees
	case satelliteCount:
		satellites(s, v)
	case digitalZoom:
		zoom(s, v)
	case focalLength:
		s.Focal35 = v
	}
}

// coordinate is one in degrees; autopilots write whole parts of 1e-7 degrees.
func coordinate(v float64) float64 {
	if math.Abs(v) > 1000 {
		return v / 1e7
	}
	return v
}

// turn is an angle from -180 to 180 degrees.
func turn(degrees float64) float64 { return math.Remainder(degrees, 360) }
