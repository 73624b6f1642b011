package flight

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"cattlecounter/cloud/count/report"
	"cattlecounter/shared/cell"
	"cattlecounter/shared/footage"
)

// Schema is the version of the result document of a flight. It changes only when readers of the older version would
// read wrong values; fields may be added at any time.
const Schema = 1

// Document is the result document of a flight of several parts. The same parts and lines have the same document.
type Document struct {
	Schema   int            `json:"schema"`
	Source   report.Source  `json:"source"` // the first part
	Parts    []DocumentPart `json:"parts"`  // in their order
	Count    report.Count   `json:"count"`  // each animal once; it is not the sum of the parts
	Animals  []Animal       `json:"animals"`
	Lines    []Line         `json:"lines,omitempty"` // in order of their definitions
	Zones    []Zone         `json:"zones,omitempty"`
	Warnings []Warning      `json:"warnings"`
	// Grounds are for the next joining of the flight.
	Grounds []Ground `json:"grounds,omitempty"`
}

// DocumentPart is one part in the document of a flight.
type DocumentPart struct {
	Footage footage.ID     `json:"footage,omitempty"` // empty for a file counted without a server
	Name    string         `json:"name"`
	SHA256  footage.Digest `json:"sha256"`
	Unique  int            `json:"unique"` // of this part alone
	Low     int            `json:"low"`
	High    int            `json:"high"`
	Seconds float64        `json:"duration_seconds"`
}

// Method describes how the count of a flight is found.
const Method = "tracks of all parts on one ground, joined by place, speed and color, and counted as those of one clip"

// DocumentOf describes a flight. describe names part i of the list that was joined.
func DocumentOf(f Flight, describe func(i int) DocumentPart) Document {
	d := Document{
		Schema: Schema, Parts: []DocumentPart{}, Animals: f.Animals, Lines: f.Lines, Zones: f.Zones, Warnings: f.Warnings,
		Grounds: f.Grounds,
		Count:   report.Count{Unique: f.Unique, Low: f.Low, High: f.High, ByClass: f.ByClass, OtherAnimals: f.Others, Method: Method},
	}
	if d.Animals == nil {
		d.Animals = []Animal{}
	}
	if d.Warnings == nil {
		d.Warnings = []Warning{}
	}
	for _, i := range f.Parts {
		d.Parts = append(d.Parts, describe(i))
	}
	if len(d.Parts) > 0 {
		d.Source = report.Source{Name: d.Parts[0].Name, SHA256: d.Parts[0].SHA256}
	}
	return d
}

// WriteJSON writes the document, indented, with a newline at the end.
func (d Document) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// WriteCSV writes a header line and one line for each track of each animal. New columns are added at the end.
func (d Document) WriteCSV(w io.Writer) error {
	rows := [][]string{{"animal", "label", "part", "name", "track"}}
	for _, a := range d.Animals {
		for _, s := range a.Tracks {
			name := ""
			if s.Part >= 1 && s.Part <= len(d.Parts) {
				name = d.Parts[s.Part-1].Name
			}
			rows = append(rows, []string{strconv.Itoa(a.ID), cell.Text(a.Label), strconv.Itoa(s.Part), cell.Text(name), strconv.Itoa(s.Track)})
		}
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("write the result of a flight as CSV: %w", err)
	}
	return nil
}

// HasBoundaries reports whether the flight was judged by lines or zones.
func (d Document) HasBoundaries() bool { return len(d.Lines)+len(d.Zones) > 0 }

// WriteCrossingsCSV writes the columns of report.Result.WriteCrossingsCSV, whose seconds are here those of the flight and
// whose track is one of the part, and then the animal (empty for none), the part, its name and the second in the part.
// New columns are added at the end.
func (d Document) WriteCrossingsCSV(w io.Writer) error {
	rows := [][]string{{"name", "kind", "event", "seconds", "track", "at", "doubt", "counted", "animal", "part", "part_name",
		"part_seconds"}}
	seconds := func(s float64) string { return strconv.FormatFloat(s, 'f', 2, 64) }
	add := func(at Where, track int, seconds, partSeconds string, name, kind, event, place, doubt string, counted bool) {
		animal, file := "", ""
		if at.Animal > 0 {
			animal = strconv.Itoa(at.Animal)
		}
		if at.Part >= 1 && at.Part <= len(d.Parts) {
			file = d.Parts[at.Part-1].Name
		}
		rows = append(rows, []string{cell.Text(name), kind, event, seconds, strconv.Itoa(track), place, doubt, strconv.FormatBool(counted),
			animal, strconv.Itoa(at.Part), cell.Text(file), partSeconds})
	}
	for _, l := range d.Lines {
		for _, c := range l.Crossings {
			add(c.Where, c.Track, seconds(c.Seconds), seconds(c.PartSeconds), l.Name, "line", string(c.Direction),
				strconv.FormatFloat(c.At, 'f', 3, 64), string(c.Doubt), !c.Uncounted)
		}
	}
	for _, z := range d.Zones {
		for _, v := range z.Visits {
			add(v.Where, v.Track, seconds(v.From), seconds(v.PartSeconds), z.Name, "zone", "inside", "", "", true)
			add(v.Where, v.Track, seconds(v.To), seconds(v.PartSeconds+v.To-v.From), z.Name, "zone", "until", "", "", true)
		}
	}
	if err := csv.NewWriter(w).WriteAll(rows); err != nil {
		return fmt.Errorf("write the crossings of a flight as CSV: %w", err)
	}
	return nil
}
