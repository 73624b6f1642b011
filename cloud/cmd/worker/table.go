package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"cattlecounter/cloud/count/report"
	"cattlecounter/shared/footage"
)

// place says which file of a folder an entry of the list of documents is about.
type place struct {
	Path      string `json:"path"`                 // relative to the counted folder
	CopyOf    string `json:"copy_of,omitempty"`    // path of a file with the same content
	SiblingOf string `json:"sibling_of,omitempty"` // path of the counted file of the same flight
	Flight    string `json:"flight,omitempty"`     // the flight of several files that it is a part of
	Note      string `json:"note,omitempty"`       // for a person
}

// countedClip is the entry of a counted clip.
type countedClip struct {
	place
	report.Result
}

// otherClip is the entry of a clip that was not counted: a copy, a sibling, or one that cannot be counted.
type otherClip struct {
	place
	Source report.Source `json:"source"`
	Error  string        `json:"error,omitempty"`
}

// print writes the results as a table or as JSON.
func (r *countRun) print(w io.Writer) error {
	switch {
	case r.JSON && r.found.folder:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r.documents())
	case r.JSON && r.outcomes[0].result != nil:
		return r.outcomes[0].result.WriteJSON(w)
	case r.JSON: // the error is on stderr
		return nil
	}
	return r.printTable(w)
}

// documents lists every file in the order of its path.
func (r *countRun) documents() []any {
	type entry struct {
		rel      string
		document any
	}
	var entries []entry
	for i, c := range r.plan.clips {
		o := r.outcomes[i]
		if o.result != nil {
			entries = append(entries, entry{c.rel, countedClip{r.place(i), *o.result}})
			continue
		}
		other := otherClip{place: r.place(i), Source: report.Source{Name: c.sourceName(), Size: c.size, SHA256: c.digest}}
		if o.err != nil {
			other.Error = footage.SafeText(o.err.Error())
		}
		entries = append(entries, entry{c.rel, other})
	}
	for _, f := range r.found.faults {
		name := footage.SafePath(f.rel)
		entries = append(entries, entry{f.rel, otherClip{place: place{Path: name},
			Source: report.Source{Name: baseOf(name)}, Error: footage.SafeText(f.err.Error())}})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.rel, b.rel) })
	documents := make([]any, 0, len(entries))
	for _, e := range entries {
		documents = append(documents, e.document)
	}
	for _, f := range r.flights {
		if len(f.clips) > 1 {
			documents = append(documents, flightEntry{f.name(r.plan), r.flightDocument(f)})
		}
	}
	return documents
}

// place describes a clip among the others.
func (r *countRun) place(i int) place {
	p := place{Path: r.plan.clips[i].name(), Note: r.remark(i)}
	if original := r.plan.copyOf[i]; original >= 0 {
		p.CopyOf = r.plan.clips[original].name()
	} else if best := r.outcomes[i].sibling; best >= 0 {
		p.SiblingOf = r.plan.clips[best].name()
	}
	if n := r.outcomes[i].flight; n > 0 {
		p.Flight = r.flights[n-1].name(r.plan)
	}
	return p
}

// remark says in plain words what a person should know about a clip besides its count. It is empty for most.
func (r *countRun) remark(i int) string {
	role := footage.ReadName(r.plan.clips[i].rel)
	o := r.outcomes[i]
	switch original, best := r.plan.copyOf[i], o.sibling; {
	case original >= 0:
		return fmt.Sprintf("a copy of %s; not counted again", r.plan.clips[original].name())
	case best >= 0 && o.result != nil:
		return fmt.Sprintf("%s of the same flight as %s; counted because of --all", role, r.plan.clips[best].name())
	case best >= 0 && o.err == nil:
		return fmt.Sprintf("%s of the same flight as %s; not counted again (--all counts it)", role,
			r.plan.clips[best].name())
	case r.plan.notes[i] != "":
		return r.plan.notes[i]
	case role.Proxy && r.found.folder && o.result != nil:
		return "a low-resolution copy whose original is not in the folder or cannot be counted"
	}
	return ""
}

// printTable writes a line per counted clip, the sum, and what a person should know besides.
func (r *countRun) printTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	counted := 0
	for i, o := range r.outcomes {
		if o.result == nil {
			continue
		}
		res := o.result
		if counted == 0 {
			fmt.Fprintln(t, "FOOTAGE\tANIMALS\t95 % INTERVAL\tLENGTH\tLOOKED AT\tTOOK")
		}
		counted++
		fmt.Fprintf(t, "%s\t%d\t%d to %d\t%.1f s\t%d of %d frames\t%.1f s\n", r.plan.clips[i].name(), res.Count.Unique,
			res.Count.Low, res.Count.High, res.Video.Duration, res.Video.Analysed, res.Video.Frames, res.Timings.TotalSeconds)
	}
	r.printFlights(t)
	if sum, flights, siblings, joined := r.sum(); flights > 1 {
		label := "sum, if no animal is in two clips"
		if joined {
			label = "sum, if no animal is in two flights"
		}
		if siblings {
			label = "sum with siblings, which show the same animals"
		}
		fmt.Fprintf(t, "%s\t%d\t\t\t\t\n", label, sum)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if m := r.modelOf(); counted > 0 {
		fmt.Fprintf(w, "Counted by %s, SHA-256 %s.\n", m.Name, m.Digest)
	}
	if err := r.printLines(w); err != nil {
		return err
	}
	if err := r.printPlaces(w); err != nil {
		return err
	}
	r.warnFlights(w)
	r.printRemarks(w)
	return nil
}

// printRemarks writes a line for each file that was left out or needs attention.
func (r *countRun) printRemarks(w io.Writer) {
	for i, c := range r.plan.clips {
		if remark := r.remark(i); remark != "" {
			fmt.Fprintf(w, "%s: %s\n", c.name(), remark)
		}
		if r.outcomes[i].result == nil {
			continue
		}
		for _, label := range slices.Sorted(maps.Keys(r.outcomes[i].result.Count.OtherAnimals)) {
			fmt.Fprintf(w, "%s: not counted: %d of the class %q\n", c.name(), r.outcomes[i].result.Count.OtherAnimals[label], label)
		}
		for _, warn := range r.outcomes[i].result.Warnings {
			if warn.Code != report.NoTelemetry { // expected: this command has no telemetry
				fmt.Fprintf(w, "%s: %s\n", c.name(), warn.Text)
			}
		}
	}
	for _, note := range r.found.notes {
		fmt.Fprintln(w, note)
	}
}

func baseOf(shown string) string {
	trimmed := strings.TrimSuffix(shown, "/")
	return trimmed[strings.LastIndex(trimmed, "/")+1:]
}
