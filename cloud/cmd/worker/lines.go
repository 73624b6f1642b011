package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"

	"cattlecounter/shared/boundary"
)

// lineFlags say which lines and zones are judged.
type lineFlags struct {
	Line  []string `sep:"none" placeholder:"NAME=X1,Y1,X2,Y2[px][@ground][@SECONDS]" help:"Count the animals that cross this line. Seen from the first point to the second, from the left to the right is in. Shares of the picture (0 to 1), or pixels with px at the end. @ground fixes the line on the ground as it is drawn in the first picture, or at SECONDS; without it the line is fixed in the picture and moves over the ground with the camera. May be repeated."`
	Zone  []string `sep:"none" placeholder:"NAME=X1,Y1,X2,Y2,X3,Y3,...[px][@ground][@SECONDS][@stay=S]" help:"Count the animals in this polygon. With @stay an animal passes after S seconds in it. May be repeated."`
	Lines string   `type:"path" placeholder:"FILE" help:"Read lines and zones from this JSON file as well. Its form is that of the API."`
}

// read returns the lines and zones of the flags and of the file. The error wraps boundary.ErrInvalid or is that of the
// file.
func (f *lineFlags) read() (boundary.Set, error) {
	var faults []error
	s, err := readLines(f.Lines)
	if err != nil {
		faults = append(faults, fmt.Errorf("--lines: %w", err))
	}
	for _, text := range f.Line {
		l, err := boundary.ParseLine(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--line: %w", err))
		}
		s.Lines = append(s.Lines, l)
	}
	for _, text := range f.Zone {
		z, err := boundary.ParseZone(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("--zone: %w", err))
		}
		s.Zones = append(s.Zones, z)
	}
	if len(faults) > 0 {
		return boundary.Set{}, errors.Join(faults...)
	}
	return s, s.Validate() // names, over the file and all flags
}

// readLines reads a file of lines and zones. Without a path there are none.
func readLines(path string) (boundary.Set, error) {
	if path == "" {
		return boundary.Set{}, nil
	}
	text, err := readStart(path, boundary.MaxDocument+1)
	if err != nil {
		return boundary.Set{}, err
	}
	s, err := boundary.Parse(text)
	if err != nil {
		return boundary.Set{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// readStart reads at most n bytes of a file.
func readStart(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, n))
	return text, errors.Join(err, f.Close())
}

// crossings is the result of a clip or a flight.
type crossings interface {
	HasBoundaries() bool
	WriteCrossingsCSV(w io.Writer) error
}

// writeCrossings writes the crossings of a result that was judged by lines or zones, and otherwise removes those of a
// former result.
func writeCrossings(base string, result crossings) error {
	file := base + crossingsEnding
	if result.HasBoundaries() {
		return writeWhole(file, result.WriteCrossingsCSV)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

const crossingsEnding = ".crossings.csv"

// printLines writes a table of the lines and one of the zones, a line per clip or flight and definition.
func (r *countRun) printLines(w io.Writer) error {
	lines := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	zones := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	headLines, headZones := "LINE\tIN\tOUT\tNET\tBOUNDS OF IN\tBOUNDS OF OUT\tFOOTAGE\n", "ZONE\tPASSED\tBOUNDS\tMOST AT ONCE\tAT THE END\tFOOTAGE\n"
	printTotals := func(t boundary.Totals, name string) {
		for _, l := range t.Lines {
			fmt.Fprintf(lines, "%s%s\t%d\t%d\t%d\t%d to %d\t%d to %d\t%s\n", headLines, l.Name, l.In, l.Out, l.Net, l.InLow, l.InHigh,
				l.OutLow, l.OutHigh, name)
			headLines = ""
		}
		for _, z := range t.Zones {
			fmt.Fprintf(zones, "%s%s\t%d\t%d to %d\t%d\t%d\t%s\n", headZones, z.Name, z.Passed, z.Low, z.High, z.Most, z.End, name)
			headZones = ""
		}
	}
	for i, o := range r.outcomes {
		if o.result != nil {
			printTotals(o.result.Totals(), r.plan.clips[i].name())
		}
	}
	for _, f := range r.flights {
		if len(f.clips) > 1 {
			printTotals(f.Totals(), "one flight: "+f.name(r.plan))
		}
	}
	return errors.Join(lines.Flush(), zones.Flush())
}
