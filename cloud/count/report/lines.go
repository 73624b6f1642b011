package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/cell"
)

// Direction is the direction of a crossing; package boundary defines it.
type Direction string

// Directions.
const (
	In  Direction = "in"  // from the left of the line to its right
	Out Direction = "out" // from the right to the left
)

// Doubt is why a crossing is weak. The empty doubt is none.
type Doubt string

// Doubts. Programs read them, so their text must not change.
const (
	DoubtStart  Doubt = "start"  // the animal was first seen on the line
	DoubtFinish Doubt = "finish" // the animal was last seen on the line
	DoubtEnd    Doubt = "end"    // at an end of the line
	DoubtGap    Doubt = "gap"    // in a long pause between two sightings
	DoubtCamera Doubt = "camera" // the motion of the camera was not known for sure
	DoubtTrack  Doubt = "track"  // the track is not counted as an animal
)

// Line is what was found at one line.
type Line struct {
	boundary.LineTotal
	Definition boundary.Line `json:"definition"`
	Crossings  []Crossing    `json:"crossings"` // in order of time
}

// Crossing is one animal that crosses a line.
type Crossing struct {
	Track     int       `json:"track"`
	Seconds   float64   `json:"seconds"`
	Direction Direction `json:"direction"`
	At        float64   `json:"at"` // place along the line: 0 at from, 1 at to
	Doubt     Doubt     `json:"doubt,omitempty"`
	// Uncounted marks what was too weak for the number. It counts in its upper bound alone.
	Uncounted bool `json:"uncounted,omitempty"`
}

// Zone is what was found in one zone.
type Zone struct {
	boundary.ZoneTotal
	Definition boundary.Zone `json:"definition"`
	MostAt     float64       `json:"most_at_seconds"`
	Visits     []Visit       `json:"visits"` // in order of From
}

// Visit is the time from which to which an animal was in a zone, in seconds.
type Visit struct {
	Track int     `json:"track"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
}

// Totals are the totals of all lines and zones.
func (r Result) Totals() boundary.Totals {
	var t boundary.Totals
	for _, l := range r.Lines {
		t.Lines = append(t.Lines, l.LineTotal)
	}
	for _, z := range r.Zones {
		t.Zones = append(t.Zones, z.ZoneTotal)
	}
	return t
}

// HasBoundaries reports whether the clip was judged by lines or zones.
func (r Result) HasBoundaries() bool { return len(r.Lines)+len(r.Zones) > 0 }

// WriteCrossingsCSV writes a header line, one line per crossing and two per visit of a zone. New columns are added at the
// end. The events of a zone are "inside" and "until": what the animal did before and after may be unknown.
func (r Result) WriteCrossingsCSV(w io.Writer) error {
	rows := [][]string{{"name", "kind", "event", "seconds", "track", "at", "doubt", "counted"}}
	seconds := func(s float64) string { return strconv.FormatFloat(s, 'f', 2, 64) }
	for _, l := range r.Lines {
		for _, c := range l.Crossings {
			rows = append(rows, []string{cell.Text(l.Name), "line", string(c.Direction), seconds(c.Seconds), strconv.Itoa(c.Track),
				strconv.FormatFloat(c.At, 'f', 3, 64), string(c.Doubt), strconv.FormatBool(!c.Uncounted)})
		}
	}
	for _, z := range r.Zones {
		for _, v := range z.Visits {
			track := strconv.Itoa(v.Track)
			rows = append(rows, []string{cell.Text(z.Name), "zone", "inside", seconds(v.From), track, "", "", "true"},
				[]string{cell.Text(z.Name), "zone", "until", seconds(v.To), track, "", "", "true"})
		}
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("write crossings as CSV: %w", err)
	}
	return nil
}
