package review

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cattlecounter/shared/cell"
	"cattlecounter/shared/footage"
)

func parseJSON(b []byte) (Review, error) {
	var r Review
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	if err := d.Decode(&r); err != nil {
		return Review{}, fmt.Errorf("not a review in JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Review{}, errors.New("the file has more than one document")
	}
	for i := range r.Footage {
		for k := range r.Footage[i].Animals {
			r.Footage[i].Animals[k].At = fmt.Sprintf("animal %d", k+1)
		}
	}
	return r, nil
}

// columns of the CSV form.
var columns = []string{"name", "sha256", "verdict", "id", "class", "frame", "seconds", "x1", "y1", "x2", "y2", "same_as"}

// restVerdict in the column verdict signs the rest.
const restVerdict = "rest"

// parseCSV reads the lines of every piece of footage, in any order.
func parseCSV(b []byte) (Review, error) {
	c := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\ufeff"))))
	c.TrimLeadingSpace = true
	head, err := c.Read()
	if err != nil {
		return Review{}, fmt.Errorf("no line with the names of the columns: %w", err)
	}
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if !slices.Contains(columns, name) {
			return Review{}, fmt.Errorf("column %.40q is unknown; want %s", name, strings.Join(columns, ", "))
		}
		if _, twice := at[name]; twice {
			return Review{}, fmt.Errorf("column %s is there twice", name)
		}
		at[name] = i
	}
	r := Review{Schema: Schema}
	place := map[footage.Digest]int{}
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return Review{}, err
		}
		line, _ := c.FieldPos(0)
		field := func(name string) string {
			if i, ok := at[name]; ok {
				return cell.Original(strings.TrimSpace(row[i]))
			}
			return ""
		}
		if err := r.addRow(field, line, place); err != nil {
			return Review{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// addRow adds one line of the CSV form to its footage.
func (r *Review) addRow(field func(string) string, line int, place map[footage.Digest]int) error {
	digest, err := footage.ParseDigest(field("sha256"))
	if err != nil {
		return fmt.Errorf("sha256: %w", err)
	}
	i, ok := place[digest]
	if !ok {
		i = len(r.Footage)
		place[digest] = i
		r.Footage = append(r.Footage, Footage{Name: field("name"), SHA256: digest})
	}
	f := &r.Footage[i]
	if field("verdict") == restVerdict {
		f.Rest = Accepted
		return nil
	}
	a := Animal{Verdict: Verdict(field("verdict")), Class: field("class"), At: fmt.Sprintf("line %d", line)}
	var faults []error
	whole := func(name string) *int {
		if field(name) == "" {
			return nil
		}
		v, err := strconv.Atoi(field(name))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s is %.40q, want a whole number", name, field(name)))
		}
		return &v
	}
	number := func(name string) *float64 {
		if field(name) == "" {
			return nil
		}
		v, err := strconv.ParseFloat(field(name), 64)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s is %.40q, want a number", name, field(name)))
		}
		return &v
	}
	if id := whole("id"); id != nil {
		a.ID = *id
		if *id == 0 {
			faults = append(faults, errors.New("id is 0; want the number of a track, or nothing"))
		}
	}
	if same := whole("same_as"); same != nil {
		a.SameAs = *same
	}
	a.Frame, a.Seconds = whole("frame"), number("seconds")
	x1, y1, x2, y2 := number("x1"), number("y1"), number("x2"), number("y2")
	switch {
	case x1 != nil && y1 != nil && x2 != nil && y2 != nil:
		a.Box = &[4]float64{*x1, *y1, *x2, *y2}
	case x1 != nil || y1 != nil || x2 != nil || y2 != nil:
		faults = append(faults, errors.New("want all of x1, y1, x2 and y2, or none"))
	}
	f.Animals = append(f.Animals, a)
	return errors.Join(faults...)
}

// WriteJSON writes the JSON form, indented, with a newline at the end.
func (r Review) WriteJSON(w io.Writer) error {
	r.Schema = Schema
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes the CSV form.
func (r Review) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{columns}
	for _, f := range r.Footage {
		start := []string{cell.Text(f.Name), f.SHA256.String()}
		if f.Rest == Accepted {
			rows = append(rows, append(slices.Clone(start), restVerdict, "", "", "", "", "", "", "", "", ""))
		}
		for _, a := range f.Animals {
			row := append(slices.Clone(start), string(a.Verdict), "", cell.Text(a.Class), "", "", "", "", "", "", "")
			if a.ID != 0 {
				row[3] = strconv.Itoa(a.ID)
			}
			if a.Frame != nil {
				row[5] = strconv.Itoa(*a.Frame)
			}
			if a.Seconds != nil {
				row[6] = strconv.FormatFloat(*a.Seconds, 'g', -1, 64)
			}
			if a.Box != nil {
				for i, v := range *a.Box {
					row[7+i] = strconv.FormatFloat(v, 'g', -1, 64)
				}
			}
			if a.SameAs != 0 {
				row[11] = strconv.Itoa(a.SameAs)
			}
			rows = append(rows, row)
		}
	}
	return c.WriteAll(rows)
}
