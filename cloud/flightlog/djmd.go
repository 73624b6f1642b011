package flightlog

import (
	"math"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"cattlecounter/cloud/flightlog/tracks"
)

// DJI's aircraft since the Mavic 3 write a track djmd: one message of protocol buffers for every picture. Its first
// sample names the schema. The field numbers are those that ExifTool names (DJI.pm, 13.58).

// fieldPath is the way to a field through nested messages.
type fieldPath []protowire.Number

// djmdSchema says where a schema has its fields; nil for one that it does not have.
type djmdSchema struct {
	names    []string // parts of the name of the schema, in lower case
	position fieldPath
	absolute fieldPath // millimetres
	relative fieldPath // millimetres above take-off
	utc      fieldPath // text
	gimbal   fieldPath // 1 pitch, 2 roll, 3 yaw, tenths of a degree
	body     fieldPath // 1 roll, 2 pitch, 3 yaw, tenths of a degree
	zoom     fieldPath
}

// djmdSchemas are the known ones.
var djmdSchemas = []djmdSchema{
	{
		names:    []string{"wm265e", "wm261", "wm260", "mavic4", "pm320", "pm430", "wa345e", "wa341", "air3", "mini4"},
		position: fieldPath{3, 3, 4, 1}, absolute: fieldPath{3, 3, 4, 2}, relative: fieldPath{3, 3, 5, 1},
		utc: fieldPath{3, 3, 4, 6, 1}, gimbal: fieldPath{3, 4, 3}, body: fieldPath{3, 3, 3}, zoom: fieldPath{3, 2, 6,
			1},
	},
	{names: []string{"mini5"}, position: fieldPath{3, 3, 4, 1}, absolute: fieldPath{3, 3, 4, 2}},
	{
		names:    []string{"avata", "neo", "flip"},
		position: fieldPath{3, 4, 4, 1}, absolute: fieldPath{3, 4, 4, 2}, relative: fieldPath{3, 4, 5, 1},
		body: fieldPath{3, 4, 3},
	},
}

// unknownSchemas are for a schema that no row names: the one whose position is in the first sample with one. Only places and
// heights are read, because the angles of the aircraft in one schema are those of the camera in another.
var unknownSchemas = []djmdSchema{
	{position: fieldPath{3, 3, 4, 1}, absolute: fieldPath{3, 3, 4, 2}, relative: fieldPath{3, 3, 5, 1}, utc: fieldPath{3, 3, 4, 6, 1}},
	{position: fieldPath{3, 4, 4, 1}, absolute: fieldPath{3, 4, 4, 2}, relative: fieldPath{3, 4, 5, 1}},
}

var (
	djmdSerial, djmdModel = fieldPath{1, 1, 5}, fieldPath{1, 1, 10}
	schemaName            = regexp.MustCompile(`dvtm_[A-Za-z0-9_]{1,40}\.proto`)
)

// readDJMD reads the track.
func readDJMD(t *tracks.Track) (*Log, error) {
	r := newRecorder("dji-djmd")
	var schema *djmdSchema
	named, known := false, false
	eachSample(t, r, func(s tracks.Sample) error {
		if !named {
			schema, named = schemaOf(r.l, s.Data), true
			if known = schema != nil; !known {
				r.fault(0, 0, "its schema is not known (%s); the angles of the camera are not read", r.l.Dialect)
			}
		}
		if !known {
			schema = unknownSchema(s.Data, schema)
		}
		if n, _ := lookup(s.Data, fieldPath{3}); n.kind < 0 && r.l.Records == 0 {
			return nil // the description of the stream, without a picture
		}
		r.add(schema.sample(s, r.l), 0)
		return nil
	})
	return r.log("its track djmd has no samples")
}

// schemaOf finds the schema that the first sample names; nil for one that is not known.
func schemaOf(l *Log, data []byte) *djmdSchema {
	l.Model, l.Serial = textAt(data, djmdModel), textAt(data, djmdSerial)
	name := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(string(schemaName.Find(data)), "dvtm_"), ".proto"))
	if name != "" {
		l.Dialect = "dji-djmd-" + name
	}
	for i := range djmdSchemas {
		for _, part := range djmdSchemas[i].names {
			if strings.Contains(name, part) {
				return &djmdSchemas[i]
			}
		}
	}
	return nil
}

// unknownSchema is the schema whose position is in a sample, else the one before.
func unknownSchema(data []byte, before *djmdSchema) *djmdSchema {
	for i := range unknownSchemas {
		if _, ok := messageAt(data, unknownSchemas[i].position); ok {
			return &unknownSchemas[i]
		}
	}
	if before == nil {
		before = &unknownSchemas[0]
	}
	return before
}

// sample reads the message of one picture.
func (d *djmdSchema) sample(in tracks.Sample, l *Log) Sample {
	s := NewSample(in.At)
	if position, ok := messageAt(in.Data, d.position); ok {
		scale := 1.0
		if n, _ := lookup(position, fieldPath{1}); n.kind < 0 || n.number() == 0 {
			scale = 180 / math.Pi
		}
		s.Lat, s.Lon = scale*numberAt(position, fieldPath{2}), scale*numberAt(position, fieldPath{3})
		if math.IsNaN(s.Lat) != math.IsNaN(s.Lon) { // a coordinate of 0 is left out
			s.Lat, s.Lon = zeroFor(s.Lat), zeroFor(s.Lon)
		}
	}
	s.AbsAlt, s.RelAlt = numberAt(in.Data, d.absolute)/1000, numberAt(in.Data, d.relative)/1000
	if math.IsNaN(s.RelAlt) && d.relative != nil {
		if _, ok := messageAt(in.Data, d.relative[:len(d.relative)-1]); ok {
			s.RelAlt = 0
		}
	}
	if m, ok := messageAt(in.Data, d.gimbal); ok {
		s.Camera = Attitude{Pitch: tenths(m, 1), Roll: tenths(m, 2), Yaw: turn(tenths(m, 3))}
	}
	if m, ok := messageAt(in.Data, d.body); ok {
		s.Body = Attitude{Roll: tenths(m, 1), Pitch: tenths(m, 2), Yaw: turn(tenths(m, 3))}
	}
	if v := numberAt(in.Data, d.zoom); v >= 1 && v < 200 {
		s.Zoom = v
	}
	if at, _, ok := parseTime(textAt(in.Data, d.utc)); ok {
		s.Time, l.Zone = at, UTC
	}
	return s
}

// tenths is an angle in tenths of a degree; 0 is left out of a message.
func tenths(m []byte, field protowire.Number) float64 {
	return zeroFor(numberAt(m, fieldPath{field})) / 10
}

func zeroFor(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// wire is one field as it is written. kind is below 0 for none.
type wire struct {
	kind  protowire.Type
	bits  uint64
	bytes []byte
}

func (w wire) number() float64 {
	switch w.kind {
	case protowire.VarintType:
		return float64(int64(w.bits))
	case protowire.Fixed32Type:
		return float64(math.Float32frombits(uint32(w.bits)))
	case protowire.Fixed64Type:
		return math.Float64frombits(w.bits)
	}
	return math.NaN()
}

// lookup finds the first field on a path. Where a message on the way occurs several times, the first that has the
// rest of the path is taken.
func lookup(b []byte, path fieldPath) (wire, bool) {
	none := wire{kind: -1}
	for len(path) > 0 && len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return none, false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 {
			return none, false
		}
		value := b[:size]
		b = b[size:]
		if number != path[0] {
			continue
		}
		w := wire{kind: kind}
		switch kind {
		case protowire.VarintType:
			w.bits, _ = protowire.ConsumeVarint(value)
		case protowire.Fixed32Type:
			v, _ := protowire.ConsumeFixed32(value)
			w.bits = uint64(v)
		case protowire.Fixed64Type:
			w.bits, _ = protowire.ConsumeFixed64(value)
		case protowire.BytesType:
			w.bytes, _ = protowire.ConsumeBytes(value)
		default:
			continue
		}
		if len(path) == 1 {
			return w, true
		}
		if kind == protowire.BytesType {
			if found, ok := lookup(w.bytes, path[1:]); ok {
				return found, true
			}
		}
	}
	return none, false
}

func messageAt(b []byte, path fieldPath) ([]byte, bool) {
	w, ok := lookup(b, path)
	return w.bytes, ok && w.kind == protowire.BytesType
}

func numberAt(b []byte, path fieldPath) float64 {
	w, _ := lookup(b, path)
	return w.number()
}

func textAt(b []byte, path fieldPath) string {
	w, _ := lookup(b, path)
	return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(string(w.bytes[:min(len(w.bytes), 64)]), "\x00"), ""))
}
