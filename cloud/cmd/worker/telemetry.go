package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/shared/footage"
)

// telemetryCommand is `worker telemetry`: it shows what is read of a flight log.
type telemetryCommand struct {
	File string `arg:"" type:"existingfile" help:"Flight log, a video with its log inside or beside it, or a photograph."`
	JSON bool   `name:"json" xor:"form" help:"Print the normal form as JSON."`
	CSV  bool   `name:"csv" xor:"form" help:"Print the records as a table."`
	GPX  bool   `name:"gpx" xor:"form" help:"Print the path as GPX."`
}

// run writes to stdout. Its error wraps flightlog.ErrNoLog for a file without a log.
func (c *telemetryCommand) run(stdout io.Writer) error {
	log, source, err := readAny(c.File)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		chosen bool
		name   string
	}{{c.JSON, "json"}, {c.CSV, "csv"}, {c.GPX, "gpx"}} {
		if f.chosen {
			return mapfile.WriteLog(stdout, f.name, log)
		}
	}
	return describeLog(stdout, log, source)
}

// readAny reads the log in a file of any kind, and says where it was found.
func readAny(path string) (log *flightlog.Log, source string, err error) {
	if isPhoto(path) {
		log, err = readPhoto(path)
		return log, footage.SafePath(path), err
	}
	if !isClip(path) {
		log, err = readLog(path)
		return log, footage.SafePath(path), err
	}
	if beside := sidecar(path); beside != "" {
		log, err = readLog(beside)
		return log, footage.SafePath(beside), err
	}
	log, err = readInside(path)
	return log, "inside " + footage.SafePath(path), err
}

// isPhoto reports whether the end of a name marks a picture.
func isPhoto(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".tif", ".tiff", ".dng", ".png", ".webp":
		return true
	}
	return false
}

// readPhoto reads what a photograph says of its camera.
func readPhoto(path string) (*flightlog.Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l, err := flightlog.ReadPhoto(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", footage.SafePath(path), err)
	}
	return l, nil
}

// describeLog writes a page about a log.
func describeLog(w io.Writer, log *flightlog.Log, source string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, footage.SafeText(fmt.Sprintf(format, args...)))
	}
	row("Log", "%s", source)
	row("Form", "%s", log.Dialect)
	if model := strings.TrimSpace(log.Model + " " + log.Serial); model != "" {
		row("Drone", "%s", model)
	}
	if log.Records > 1 {
		row("Covers", "%s, %s", covers(log), log.End.Round(time.Millisecond))
	}
	row("Records", "%d, %d with a position", log.Records, log.Fixes())
	if at := log.Captured(); at.IsZero() {
		row("Start", "not known")
	} else {
		row("Start", "%s %s", at.Format(time.DateTime), zoneName(log.Zone))
	}
	if log.Home.Known() {
		row("Take-off", "%.6f, %.6f", log.Home.Lat, log.Home.Lon)
	}
	first, last := ends(log)
	row("First position", "%.6f, %.6f", first.Lat, first.Lon)
	row("Last position", "%.6f, %.6f", last.Lat, last.Lon)
	row("Says", "%s", strings.Join(says(log), ", "))
	for _, f := range log.Faults {
		row("Fault", "%s", f)
	}
	return t.Flush()
}

func covers(log *flightlog.Log) string {
	if log.OfVideo {
		return "a video"
	}
	if n := len(log.Recordings()); n > 0 {
		return fmt.Sprintf("a whole flight with %d recordings", n)
	}
	return "a whole flight"
}

func zoneName(z flightlog.Zone) string {
	if z == flightlog.UTC {
		return "UTC"
	}
	return "of the drone's clock, without a zone"
}

// ends are the first and the last position.
func ends(log *flightlog.Log) (first, last flightlog.Sample) {
	found := false
	for _, s := range log.Samples {
		if s.HasPosition() {
			if last = s; !found {
				first, found = s, true
			}
		}
	}
	return first, last
}

// says lists what the records have besides a position.
func says(log *flightlog.Log) []string {
	var out []string
	for _, v := range []struct {
		name string
		has  func(*flightlog.Sample) bool
	}{
		{"height above take-off", func(s *flightlog.Sample) bool { return !math.IsNaN(s.RelAlt) }},
		{"absolute height", func(s *flightlog.Sample) bool { return !math.IsNaN(s.AbsAlt) }},
		{"angles of the camera", func(s *flightlog.Sample) bool { return s.Camera.Known() }},
		{"angles of the drone", func(s *flightlog.Sample) bool { return s.Body.Known() }},
		{"focal length", func(s *flightlog.Sample) bool { return !math.IsNaN(s.Focal35) || !math.IsNaN(s.HFOV) }},
		{"digital zoom", func(s *flightlog.Sample) bool { return !math.IsNaN(s.Zoom) }},
		{"satellites", func(s *flightlog.Sample) bool { return s.Satellites > 0 }},
		{"RTK", func(s *flightlog.Sample) bool { return s.RTK }},
	} {
		for i := range log.Samples {
			if v.has(&log.Samples[i]) {
				out = append(out, v.name)
				break
			}
		}
	}
	if len(out) == 0 {
		return []string{"positions alone"}
	}
	return out
}

// readInside reads the flight log inside a video.
func readInside(path string) (*flightlog.Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l, err := flightlog.ReadVideo(f, info.Size())
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", footage.SafePath(path), err)
	}
	return l, nil
}
