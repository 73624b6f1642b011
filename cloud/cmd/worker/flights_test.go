package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/video"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// counted is a run over a folder whose clips were counted, without traces. counts are by path; the content of a clip is
// its path unless copies names another one.
func counted(t *testing.T, counts map[string]int, copies map[string]string) *countRun {
	t.Helper()
	dir := t.TempDir()
	for rel := range counts {
		content := rel
		if o, ok := copies[rel]; ok {
			content = o
		}
		at := filepath.Join(dir, rel)
		must.Do(t, os.MkdirAll(filepath.Dir(at), 0o755))
		must.Do(t, os.WriteFile(at, []byte(content), 0o644))
	}
	found := must.Get(findClips(t.Context(), dir, ""))(t)
	ask := func(context.Context, string) (video.Info, error) { return video.Info{}, video.ErrNotVideo }
	r := &countRun{countCommand: &countCommand{Path: dir}, found: found, stderr: io.Discard,
		plan: must.Get(makePlan(t.Context(), found.clips, ask, io.Discard))(t)}
	r.outcomes = make([]outcome, len(r.plan.clips))
	for i := range r.outcomes {
		c := &r.plan.clips[i]
		r.outcomes[i].sibling = -1
		if r.plan.copyOf[i] >= 0 {
			continue
		}
		c.digest = footage.Sum([]byte(c.rel))
		n := counts[c.rel]
		r.outcomes[i].result = &report.Result{Schema: 1, Source: report.Source{Name: c.rel, SHA256: c.digest},
			Count: report.Count{Unique: n, Low: n, High: n}}
	}
	r.joinFlights()
	return r
}

// The chapters of a recording are one flight in table, documents and files, and the sum has it once. A copy of a part is
// in none of them.
func TestFlightOfAFolder(t *testing.T) {
	r := counted(t, map[string]int{"GX010001.MP4": 60, "GX020001.MP4": 70, "GX010009.MP4": 5, "copy/GX010001.MP4": 60},
		map[string]string{"copy/GX010001.MP4": "GX010001.MP4"})
	var out bytes.Buffer
	must.Do(t, r.printTable(&out))
	text := out.String()
	for _, want := range []string{"one flight: GX010001.MP4 + GX020001.MP4  70 ", "70 to 130",
		"sum, if no animal is in two flights      75 ", "a copy of GX010001.MP4"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
	docs := must.Get(json.Marshal(r.documents()))(t)
	var list []struct {
		Path   string `json:"path"`
		Flight string `json:"flight"`
		Count  *struct{ Unique int }
		Result *struct {
			Count struct{ Unique int }
			Parts []struct{ Name string }
		} `json:"flight_result"`
	}
	must.Do(t, json.Unmarshal(docs, &list))
	inFlight, results, sum := 0, 0, 0
	for _, e := range list {
		switch {
		case e.Result != nil:
			results++
			sum += e.Result.Count.Unique
			if len(e.Result.Parts) != 2 || e.Result.Parts[0].Name != "GX010001.MP4" {
				t.Errorf("flight %+v", e.Result)
			}
		case e.Flight != "":
			inFlight++
		case e.Count != nil:
			sum += e.Count.Unique
		}
	}
	if len(list) != 5 || inFlight != 2 || results != 1 || sum != 75 {
		t.Errorf("%d entries, %d parts, %d flights, sum %d:\n%s", len(list), inFlight, results, sum, docs)
	}
}

// The results of a flight stand beside those of its first part. A second run replaces them; another flight does not.
func TestResultsOfAFlight(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		r := counted(t, map[string]int{"GX010001.MP4": 60, "GX020001.MP4": 70}, nil)
		r.results = must.Get(newResultFolder(dir, r.plan))(t)
		r.saveFlights()
		if files := listFiles(t, dir); len(files) != 2 || !strings.Contains(files["GX010001.flight.json"], `"unique": 70`) ||
			!strings.HasPrefix(files["GX010001.flight.csv"], "animal,label,part,name,track\n") {
			t.Fatalf("files %v", files)
		}
	}
	must.Do(t, os.WriteFile(filepath.Join(dir, "GX010001.flight.json"), []byte("notes of a person"), 0o644))
	r := counted(t, map[string]int{"GX010001.MP4": 60, "GX020001.MP4": 70}, nil)
	r.results = must.Get(newResultFolder(dir, r.plan))(t)
	r.saveFlights()
	files := listFiles(t, dir)
	if files["GX010001.flight.json"] != "notes of a person" || files["GX010001.MP4.flight.json"] == "" {
		t.Errorf("files %v", files)
	}
}

// A flight is judged by the lines of the command. Table, document and file have what was found; without lines the file of
// a former run goes.
func TestLinesOfAFlight(t *testing.T) {
	dir := t.TempDir()
	r := counted(t, map[string]int{"GX010001.MP4": 60, "GX020001.MP4": 70}, nil)
	r.flights, r.lines = nil, boundary.Set{Lines: []boundary.Line{{Name: "gate", To: boundary.Point{1, 1}}}}
	r.joinFlights()
	r.results = must.Get(newResultFolder(dir, r.plan))(t)
	r.saveFlights()
	var out bytes.Buffer
	must.Do(t, r.printTable(&out))
	if text := out.String(); !strings.Contains(text, "gate  0   0    0    0 to 0        0 to 0         one flight: GX010001.MP4 + GX020001.MP4") ||
		!strings.Contains(text, `line "gate": the place of 130 animals relative to it is not known`) {
		t.Errorf("table:\n%s", text)
	}
	files := listFiles(t, dir)
	if !strings.HasPrefix(files["GX010001.flight.crossings.csv"], "name,kind,event,seconds,") ||
		!strings.Contains(files["GX010001.flight.json"], `"not_judged": 130`) {
		t.Errorf("files %v", files)
	}
	r.flights, r.lines = nil, boundary.Set{}
	r.joinFlights()
	r.saveFlights()
	if files := listFiles(t, dir); len(files) != 2 || strings.Contains(files["GX010001.flight.json"], "not_judged") {
		t.Errorf("files without lines %v", files)
	}
}
