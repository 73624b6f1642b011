package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/footage"
)

// countedFlight is a flight of one or more counted clips.
type countedFlight struct {
	flight.Flight
	clips []int // of the plan, in the order of the parts
}

// name names the flight by its parts.
func (f countedFlight) name(p *plan) string {
	var names []string
	for _, i := range f.clips {
		names = append(names, p.clips[i].name())
	}
	const shown = 3
	if n := len(names) - shown; n > 0 {
		names = append(names[:shown], fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, " + ")
}

// joinFlights finds the flights among the counted clips. Siblings and copies are parts of none.
func (r *countRun) joinFlights() {
	var parts []flight.Part
	var clips []int
	for i, o := range r.outcomes {
		if o.result == nil || o.sibling >= 0 {
			continue
		}
		parts = append(parts, partOf(r.plan.clips[i].rel, o))
		clips = append(clips, i)
	}
	for _, f := range flight.Join(parts, motion.Align) {
		f.Judge(flight.Drawing{Set: r.lines})
		c := countedFlight{Flight: f}
		for _, k := range f.Parts {
			c.clips = append(c.clips, clips[k])
		}
		r.flights = append(r.flights, c)
		if len(c.clips) > 1 {
			for _, i := range c.clips {
				r.outcomes[i].flight = len(r.flights)
			}
		}
	}
}

func partOf(rel string, o outcome) flight.Part {
	v, c := o.result.Video, o.result.Count
	return flight.Part{
		Key: rel, Unique: c.Unique, Low: c.Low, High: c.High, ByClass: c.ByClass, Trace: o.trace,
		About: footage.Part{
			Path: rel, Started: o.result.Reading.Recorded, Duration: time.Duration(v.Duration * float64(time.Second)),
			Width: v.Width, Height: v.Height, FPS: v.FPS, Codec: v.Codec,
		},
	}
}

// document is the result document of a flight.
func (r *countRun) flightDocument(f countedFlight) flight.Document {
	k := -1
	return flight.DocumentOf(f.Flight, func(int) flight.DocumentPart {
		k++
		c, res := r.plan.clips[f.clips[k]], r.outcomes[f.clips[k]].result
		return flight.DocumentPart{Name: c.name(), SHA256: c.digest, Unique: res.Count.Unique, Low: res.Count.Low,
			High: res.Count.High, Seconds: res.Video.Duration}
	})
}

// saveFlights writes the results of flights of several clips into the output folder.
func (r *countRun) saveFlights() {
	if r.results == nil {
		return
	}
	for _, f := range r.flights {
		if len(f.clips) < 2 {
			continue
		}
		sheet, err := r.flightSheet(f)
		if err == nil {
			err = r.results.writeFlight(f.clips[0], r.flightDocument(f), sheet)
		}
		if err != nil {
			r.outcomes[f.clips[0]].unsaved = err
			r.report(err)
		}
	}
}

// flightSheet draws the count sheet of a flight, nil when its clips left no pictures.
func (r *countRun) flightSheet(f countedFlight) ([]byte, error) {
	var grounds []evidence.PartGround
	for k, i := range f.clips {
		g := evidence.PartGround{Read: func() ([]byte, error) { return nil, nil }}
		if at, ok := f.Place(k); ok && r.outcomes[i].ground != "" {
			g = evidence.PartGround{Frames: at.Frames, Seconds: at.Seconds, Place: at.Segment,
				Read: func() ([]byte, error) { return os.ReadFile(r.outcomes[i].ground) }}
		}
		grounds = append(grounds, g)
	}
	sheet, err := evidence.FlightSheet(f.name(r.plan), f.Tally(), grounds)
	if err != nil {
		return nil, fmt.Errorf("count sheet of the flight %s: %w", f.name(r.plan), err)
	}
	return sheet, nil
}

// flightEnding is what the names of the results of a flight have behind those of its first clip.
const flightEnding = ".flight"

// writeFlight writes the results of a flight whose first clip is i. A nil sheet removes a former one.
func (r *resultFolder) writeFlight(i int, d flight.Document, sheet []byte) error {
	name := r.plan.clips[i].name()
	for level := r.level[i]; level <= nameAndDigest; level++ {
		base := filepath.Join(r.dir, filepath.FromSlash(r.base(i, level)+flightEnding))
		if _, taken := r.owner[fold(r.base(i, level)+flightEnding)]; taken {
			continue
		}
		_, free, err := mayReplace(base, d.Source.SHA256)
		if err != nil {
			return fmt.Errorf("%s: results of its flight: %w", name, err)
		}
		if !free {
			continue
		}
		for ending, write := range map[string]func(io.Writer) error{".json": d.WriteJSON, ".csv": d.WriteCSV} {
			if err := writeWhole(base+ending, write); err != nil {
				return fmt.Errorf("%s: results of its flight: %w", name, err)
			}
		}
		if err := errors.Join(writeCrossings(base, d), writeFlightSheet(base, sheet)); err != nil {
			return fmt.Errorf("%s: results of its flight: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("%s: results of its flight: every name for them in %s is taken; choose another folder", name,
		footage.SafePath(r.dir))
}

func writeFlightSheet(base string, sheet []byte) error {
	if sheet != nil {
		return writeWhole(base+report.SheetEnding, bytesOf(sheet))
	}
	if err := os.Remove(base + report.SheetEnding); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// flightEntry is the entry of a flight in the list of documents. It has no count of its own name, so that a sum over
// the list cannot add it to its parts.
type flightEntry struct {
	Flight string          `json:"flight"`
	Result flight.Document `json:"flight_result"`
}

// printFlights writes a line for each flight of several clips.
func (r *countRun) printFlights(w io.Writer) {
	for _, f := range r.flights {
		if len(f.clips) < 2 {
			continue
		}
		seconds := 0.0
		for _, i := range f.clips {
			seconds += r.outcomes[i].result.Video.Duration
		}
		fmt.Fprintf(w, "one flight: %s\t%d\t%d to %d\t%.1f s\t\t\n", f.name(r.plan), f.Unique, f.Low, f.High, seconds)
	}
}

// sum adds up the flights and, with --all, the siblings that were counted too.
func (r *countRun) sum() (animals, flights int, siblings, joined bool) {
	for _, f := range r.flights {
		animals += f.Unique
		joined = joined || len(f.clips) > 1
	}
	flights = len(r.flights)
	for _, o := range r.outcomes {
		if o.result != nil && o.sibling >= 0 {
			animals, siblings = animals+o.result.Count.Unique, true
			flights++
		}
	}
	return animals, flights, siblings, joined
}

// warnFlights writes what reduces the trust in the count of a flight.
func (r *countRun) warnFlights(w io.Writer) {
	for _, f := range r.flights {
		for _, warn := range f.Warnings {
			fmt.Fprintf(w, "one flight: %s: %s\n", f.name(r.plan), warn.Text)
		}
	}
}

// modelOf is the model of the counted clips.
func (r *countRun) modelOf() (m report.Model) {
	for _, o := range r.outcomes {
		if o.result != nil {
			m = o.result.Model
		}
	}
	return m
}
