package report

import (
	"bytes"
	"fmt"
	"image"
	imagecolor "image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

var made = time.Date(2026, 5, 1, 18, 30, 0, 0, time.UTC)

// testPicture is a JPEG of one size.
func testPicture(t testing.TB, w, h int, caption string) Picture {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, imagecolor.RGBA{uint8(60 + x*120/w), uint8(110 + y*80/h), 60, 255})
		}
	}
	var b bytes.Buffer
	must.Do(t, jpeg.Encode(&b, img, nil))
	return Picture{JPEG: b.Bytes(), Width: w, Height: h, Caption: caption}
}

// example is a survey with a number of paddocks, recordings and animals.
func example(t testing.TB, paddocks, parts int, name func(i int) string) Input {
	t.Helper()
	n := func(i int) *int { return &i }
	captured := made.Add(-8 * time.Hour)
	v := wire.Survey{SurveyHead: wire.SurveyHead{ID: "01JTEST", Created: made, Who: "Núñez",
		NewSurvey: wire.NewSurvey{Site: "farm", Name: "Mayo"}}, Unique: 1234, Low: 1200, High: 1270, Placed: 1100, Double: 31, Outside: 4,
		Expected: &wire.Expected{Animals: 1250, Difference: n(-16), Verdict: "agrees"}, Notes: []wire.SurveyNote{
			{Code: wire.NoteUnplaced, Count: 1, Of: parts, Animals: 134}, {Code: wire.NotePartSeen, Names: []string{"Norte 40 %"}}}}
	in := Input{Report: wire.Report{Of: "survey", ID: v.ID, State: made, Zone: "America/Bogota"}, Digest: strings.Repeat("ab", 32),
		Zone: must.Get(time.LoadLocation("America/Bogota"))(t)}
	for i := range paddocks {
		p := wire.SurveyPaddock{PaddockCount: wire.PaddockCount{Name: name(i), Animals: n(20 + i), Low: n(18 + i), High: n(24 + i),
			Area: 120_000, Seen: 0.97}, Expected: &wire.Expected{Animals: 21, Difference: n(i - 1), Verdict: "more"}}
		v.Paddocks = append(v.Paddocks, p)
		w, s := -74.1+0.004*float64(i%8), 4.6+0.003*float64(i/8)
		in.Ground.Paddocks = append(in.Ground.Paddocks, Outline{name(i),
			[][][][2]float64{{{{w, s}, {w + 0.0038, s}, {w + 0.0038, s + 0.0028}, {w, s + 0.0028}, {w, s}}}}})
		in.Ground.Seen = append(in.Ground.Seen, [][][2]float64{{{w + 0.0002, s}, {w + 0.0036, s}, {w + 0.0036, s + 0.0026}, {w, s + 0.0026}}})
		in.Ground.Paths = append(in.Ground.Paths, [][2]float64{{w, s}, {w + 0.002, s + 0.0027}, {w + 0.0036, s}})
		for k := range 20 {
			in.Ground.Animals = append(in.Ground.Animals, [2]float64{w + 0.0002*float64(k%17), s + 0.0001*float64(k*7%26)})
		}
	}
	for i := range parts {
		id := footage.ID(fmt.Sprintf("01JPART%03d", i))
		result := footage.Sum([]byte("result " + id))
		v.Parts = append(v.Parts, wire.SurveyPart{Footage: id, Captured: &captured, Unique: 100, Low: 90, High: 110, Placed: 100})
		in.Report.Sources = append(in.Report.Sources, wire.ReportSource{Footage: id, Name: fmt.Sprintf("DJI_%04d.MP4", i), Size: 1 << 30,
			SHA256: footage.Sum([]byte(id)), Captured: &captured, Unique: 100, Result: &result})
	}
	in.Report.Models = []wire.ReportModel{{Name: "cattle-detr-s", Digest: footage.Sum([]byte("model")), Counts: parts}}
	in.Report.Reviews = []wire.ReportReview{{Footage: "01JPART000", Who: "anna", At: made, Animals: 101, Unique: 100, Judged: 100, Of: 100}}
	in.Report.Survey = v
	in.Sheets = []Picture{testPicture(t, 900, 400, "DJI_0001.MP4"), testPicture(t, 900, 400, "DJI_0002.MP4")}
	for range MaxSample {
		in.Sample = append(in.Sample, must.Get(jpeg.Decode(bytes.NewReader(testPicture(t, 192, 196, "").JPEG)))(t))
	}
	return in
}

// read runs a program of poppler on a PDF. Without poppler the test fails: make setup installs it.
func read(t *testing.T, pdf []byte, program string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.pdf")
	must.Do(t, os.WriteFile(file, pdf, 0o600))
	args = append(args, file)
	if program == "pdftotext" {
		args = append(args, "-")
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return string(out)
}

func write(t testing.TB, in Input) []byte {
	t.Helper()
	var b bytes.Buffer
	must.Do(t, Write(&b, in))
	if folder := os.Getenv("SHOTS"); folder != "" {
		file := strings.ReplaceAll(t.Name(), "/", "-") + "-" + string(in.Lang) + "-" + string(in.Paper) + ".pdf"
		must.Do(t, os.WriteFile(filepath.Join(folder, file), b.Bytes(), 0o600))
	}
	return b.Bytes()
}

// Reports of every language, paper and size have at most three numbered pages with what a reader needs.
func TestReport(t *testing.T) {
	for _, c := range []struct {
		name            string
		paddocks, parts int
		pages           int
		lang            Lang
		paper           Paper
		size            string
		want            []string
	}{
		{"small", 3, 2, 2, English, A4, "595.28 x 841.89", []string{"Cattle count report", "1,234", "95 % interval: 1,200 to 1,270",
			"America/Bogota", "2026-05-01 13:30", "Page 1 of 2", "Page 2 of 2", "Núñez", "agrees", "-16", "DJI_0001.MP4", "sha256sum FILE",
			"anna on 2026-05-01", "cattle-detr-s", "Not wholly seen: Norte 40 %", "1 of 2 recordings have no positions"}},
		{"many", 60, 500, 3, Spanish, Letter, "612 x 792", []string{"Informe de conteo de ganado", "1.234", "Intervalo del 95 %: de 1.200 a 1.270",
			"Página 3 de 3", "coincide", "grabaciones más en la forma JSON", "Paddock 59", "Método", "Hectáreas"}},
		{"crowd", 2000, 1, 3, English, Letter, "612 x 792", []string{"more paddocks are in the JSON", "Page 3 of 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := example(t, c.paddocks, c.parts, func(i int) string { return fmt.Sprintf("Paddock %d", i) })
			in.Lang, in.Paper = c.lang, c.paper
			pdf := write(t, in)
			for range 2 {
				if !bytes.Equal(pdf, write(t, in)) {
					t.Error("the same input makes other bytes")
				}
			}
			pages := fmt.Sprint(c.pages)
			info := read(t, pdf, "pdfinfo")
			if !strings.Contains(info, "Pages:           "+pages+"\n") || !strings.Contains(info, c.size) {
				t.Errorf("pages: %s", info)
			}
			text := strings.Join(strings.Fields(read(t, pdf, "pdftotext", "-layout")), " ")
			for _, want := range c.want {
				if !strings.Contains(strings.ReplaceAll(text, "–1", "-1"), want) {
					t.Errorf("no %q in %s", want, text)
				}
			}
			if !strings.Contains(text, in.Digest) || !strings.Contains(text, in.Report.Sources[0].SHA256.String()) {
				t.Error("a digest is missing")
			}
		})
	}
}

// Names in any script, and bytes that are no text, stay readable, and the report says that they are written differently.
func TestReportOfAnyName(t *testing.T) {
	names := []string{"Potrero Ñandú", "Пастбище", "北京", "مرعى", "\U0001F404", "a\x00b\xff\n", strings.Repeat("x", 5000),
		"n\u0303o", "{pages}", "\u202eabc", "(x) \\ )"}
	in := example(t, len(names), 1, func(i int) string { return names[i] })
	text := read(t, write(t, in), "pdftotext", "-layout")
	for _, want := range []string{"Potrero Ñandú", "Пастбище", "Bei Jing*", "U+1F404*", "ño", "(x) \\ )", "lack; they are written in Latin"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

// A survey of nothing has a report of two pages that says so.
func TestReportOfNothing(t *testing.T) {
	in := Input{Report: wire.Report{ID: "x", Of: "survey", Zone: "UTC", Survey: wire.Survey{
		Notes: []wire.SurveyNote{{Code: wire.NoteNoCounts}}}}, Lang: English}
	pdf := write(t, in)
	if info := read(t, pdf, "pdfinfo"); !strings.Contains(info, "Pages:           2\n") {
		t.Errorf("pages: %s", info)
	}
	if text := read(t, pdf, "pdftotext"); !strings.Contains(text, "The survey has no count.") {
		t.Errorf("text: %s", text)
	}
}

// Every word is in every language.
func TestWords(t *testing.T) {
	for w := wTitle; w <= wNotes; w++ {
		for _, l := range []Lang{English, Spanish} {
			if words[l][w] == "" {
				t.Errorf("%s: no word %d", l, w)
			}
			if a, b := strings.Count(words[English][w], "%"), strings.Count(words[l][w], "%"); a != b {
				t.Errorf("%s: word %d has %d figures, in English %d", l, w, b, a)
			}
		}
	}
	for _, m := range []map[Lang]map[string]string{verdicts, missing, notes} {
		for key := range m[English] {
			if m[Spanish][key] == "" {
				t.Errorf("no Spanish word for %s", key)
			}
		}
	}
}

// FuzzName checks that no name breaks the document or brings in characters that the fonts lack.
func FuzzName(f *testing.F) {
	for _, s := range []string{"East", "北", "\xff\x00", "\U0001F404", "\u202e", "a\u0301"} {
		f.Add(s)
	}
	l, err := newLetters()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range l.show(s) {
			if !l.has(r) {
				t.Fatalf("%q has the character %U, which the fonts lack", s, r)
			}
		}
	})
}
