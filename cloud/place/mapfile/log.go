package mapfile

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cattlecounter/cloud/flightlog"
)

// LogFormats lists the forms of a flight log: the normal form as JSON, its records as CSV, and the path as GPX.
func LogFormats() []string { return []string{"json", string(CSV), string(GPX)} }

// LogContentType is the media type of a form of LogFormats.
func LogContentType(format string) string {
	if format == "json" {
		return "application/json"
	}
	return Format(format).ContentType()
}

// WriteLog writes the normal form of a flight log. What the log does not give is null in JSON and empty in CSV. Its error
// wraps ErrFormat for a form that does not exist.
func WriteLog(w io.Writer, format string, log *flightlog.Log) error {
	var err error
	switch format {
	case "json":
		err = json.NewEncoder(w).Encode(logDocument(log))
	case string(CSV):
		err = writeLogCSV(w, log)
	case string(GPX):
		err = writeXML(w, logGPX(log))
	default:
		return fmt.Errorf("%w: %.20q is none of %s", ErrFormat, format, strings.Join(LogFormats(), ", "))
	}
	if err != nil {
		return fmt.Errorf("write flight log as %s: %w", format, err)
	}
	return nil
}

// logColumn is one number of a record.
type logColumn struct {
	name   string
	value  func(*flightlog.Sample) float64
	digits int
}

// logColumns are the numbers of a record, in the order of the table.
var logColumns = []logColumn{
	{"latitude", func(s *flightlog.Sample) float64 { return s.Lat }, 7},
	{"longitude", func(s *flightlog.Sample) float64 { return s.Lon }, 7},
	{"height_m", func(s *flightlog.Sample) float64 { return s.RelAlt }, 2},
	{"altitude_m", func(s *flightlog.Sample) float64 { return s.AbsAlt }, 2},
	{"camera_yaw", func(s *flightlog.Sample) float64 { return s.Camera.Yaw }, 2},
	{"camera_pitch", func(s *flightlog.Sample) float64 { return s.Camera.Pitch }, 2},
	{"camera_roll", func(s *flightlog.Sample) float64 { return s.Camera.Roll }, 2},
	{"drone_yaw", func(s *flightlog.Sample) float64 { return s.Body.Yaw }, 2},
	{"drone_pitch", func(s *flightlog.Sample) float64 { return s.Body.Pitch }, 2},
	{"drone_roll", func(s *flightlog.Sample) float64 { return s.Body.Roll }, 2},
	{"focal_length_35mm", func(s *flightlog.Sample) float64 { return s.Focal35 }, 2},
	{"zoom", func(s *flightlog.Sample) float64 { return s.Zoom }, 3},
}

func number(v float64, digits int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

func optional(v float64, digits int) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = math.Round(v*math.Pow10(digits)) / math.Pow10(digits)
	return &v
}

func logDocument(log *flightlog.Log) map[string]any {
	samples := make([]map[string]any, 0, len(log.Samples))
	for i := range log.Samples {
		s := &log.Samples[i]
		one := map[string]any{"seconds": math.Round(s.Offset.Seconds()*1000) / 1000, "held": s.Held, "rtk": s.RTK,
			"satellites": s.Satellites, "time": nil}
		if !s.Time.IsZero() {
			one["time"] = logTime(s.Time, log.Zone)
		}
		for _, c := range logColumns {
			one[c.name] = optional(c.value(s), c.digits)
		}
		samples = append(samples, one)
	}
	faults := []string{}
	for _, f := range log.Faults {
		faults = append(faults, f.String())
	}
	doc := map[string]any{"dialect": log.Dialect, "model": log.Model, "serial": log.Serial, "of_video": log.OfVideo,
		"zone": string(log.Zone), "records": log.Records, "fixes": log.Fixes(), "seconds": log.End.Seconds(), "captured": nil,
		"home": nil, "faults": faults, "samples": samples}
	if t := log.Captured(); !t.IsZero() {
		doc["captured"] = logTime(t, log.Zone)
	}
	if log.Home.Known() {
		doc["home"] = map[string]any{"latitude": log.Home.Lat, "longitude": log.Home.Lon, "altitude_m": optional(log.Home.Alt, 2)}
	}
	return doc
}

// logTime has a zone only where the log has one: the clock of a drone in local time has none.
func logTime(t time.Time, z flightlog.Zone) string {
	if z == flightlog.UTC {
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return t.UTC().Format("2006-01-02T15:04:05.000")
}

func writeLogCSV(w io.Writer, log *flightlog.Log) error {
	head := []string{"seconds", "time"}
	for _, c := range logColumns {
		head = append(head, c.name)
	}
	rows := [][]string{slices.Concat(head, []string{"satellites", "held", "rtk"})}
	for i := range log.Samples {
		s := &log.Samples[i]
		row := []string{number(s.Offset.Seconds(), 3), ""}
		if !s.Time.IsZero() {
			row[1] = logTime(s.Time, log.Zone)
		}
		for _, c := range logColumns {
			row = append(row, number(c.value(s), c.digits))
		}
		rows = append(rows, append(row, strconv.Itoa(s.Satellites), strconv.FormatBool(s.Held), strconv.FormatBool(s.RTK)))
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// logGPX is the path of a log, without the records that repeat a position. Times of GPX are UTC, so those of a local clock
// are left out.
func logGPX(log *flightlog.Log) gpx {
	g := gpx{Version: "1.1", Creator: "CattleCounter", Track: gpxTrack{Name: log.Dialect}}
	for i := range log.Samples {
		s := &log.Samples[i]
		if !s.HasPosition() || s.Held {
			continue
		}
		p := gpxPoint{Lat: degrees(s.Lat), Lon: degrees(s.Lon)}
		if !s.Time.IsZero() && log.Zone == flightlog.UTC {
			p.Time = logTime(s.Time, log.Zone)
		}
		g.Track.Points = append(g.Track.Points, p)
	}
	return g
}
