package web

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// evidence stores a count sheet and a contact sheet of one animal beside the result of footage.
func (s *site) evidence(id string) {
	s.t.Helper()
	for ending, size := range map[string]image.Point{"sheet.jpg": {1800, 900}, "contact-1.jpg": {8 * 192, 34 + 196}} {
		img := image.NewGray(image.Rectangle{Max: size})
		for i := range img.Pix {
			img.Pix[i] = uint8(i % 251)
		}
		img.SetGray(1, 1, color.Gray{Y: uint8(len(id))})
		var b bytes.Buffer
		must.Do(s.t, jpeg.Encode(&b, img, nil))
		must.Get(s.blobs.Put(s.t.Context(), "footage/"+id+"/result/abc."+ending, &b))(s.t)
	}
}

// pdfText is the text of a PDF. It fails without pdftotext, which make setup installs.
func pdfText(t *testing.T, pdf []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.pdf")
	must.Do(t, os.WriteFile(file, pdf, 0o600))
	out, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", file, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v: %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

// A report names digests that its files have, and is the same until something changes.
func TestReports(t *testing.T) {
	s := open(t, nil)
	at := time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
	s.flownCount("one", at)
	s.flownCount("two", at.Add(5*time.Minute))
	s.evidence("one")
	boss := s.tokens[ledger.RoleOperator]
	if r := s.send("PUT", "/api/v1/sites/farm/paddocks", boss, strings.NewReader(boxes(box("Ñandú", 24.29999, -31.71, 24.301, -31.69),
		box("Far", 24.9, -31.71, 24.95, -31.69)))); r.status != 200 {
		t.Fatalf("paddocks: %s", r.body)
	}
	s.place()
	n := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm", Name: "May"}))(t)
	base := "/api/v1/surveys/" + n.ID
	doc := s.do("GET", base+"/report.json", "")
	var v wire.Report
	doc.decode(t, &v)
	if len(v.Sources) != 2 || v.Zone != "Africa/Johannesburg" || v.Of != "survey" || len(v.Sample) != 1 || v.Sample[0].Footage != "one" ||
		v.Survey.Unique != 1 || v.Models[0].Counts != 2 || len(v.Missing) != 0 {
		t.Fatalf("report %s", doc.body)
	}
	if result := s.do("GET", "/api/v1/footage/one/result", ""); footage.Sum(result.body) != *v.Sources[0].Result ||
		v.Sources[0].SHA256 != footage.Sum([]byte("one")) {
		t.Errorf("digests %+v of %s", v.Sources[0], result.body)
	}
	pages := s.do("GET", base+"/report.pdf?lang=es&paper=letter", "")
	if pages.header.Get("Content-Type") != "application/pdf" || !bytes.HasPrefix(pages.body, []byte("%PDF-")) {
		t.Fatalf("pages %d %.200s", pages.status, pages.body)
	}
	text := pdfText(t, pages.body)
	for _, want := range []string{"Ñandú", "Africa/Johannesburg", footage.Sum(doc.body).String(), v.Sources[0].Result.String(),
		footage.Sum([]byte("two")).String(), "one.mp4"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s on the pages: %s", want, text)
		}
	}
	if again := s.do("GET", base+"/report.pdf?lang=es&paper=letter", ""); !bytes.Equal(again.body, pages.body) {
		t.Error("the same report has other bytes")
	}
	if r := s.do("GET", base+"/report.json", "", "If-None-Match", doc.header.Get("ETag")); r.status != 304 {
		t.Errorf("with its entity tag: %d", r.status)
	}
	must.Do(t, s.blobs.Delete(t.Context(), "footage/two/result/abc.json"))
	must.Get(s.blobs.Put(t.Context(), "footage/one/result/abc.sheet.jpg", strings.NewReader("no picture")))(t)
	must.Get(s.blobs.Put(t.Context(), "footage/one/result/abc.contact-1.jpg", strings.NewReader("no picture")))(t)
	var flight wire.Report
	s.do("GET", "/api/v1/footage/two/report.json", "").decode(t, &flight)
	if flight.Of != "footage" || len(flight.Sources) != 1 || len(flight.Survey.Paddocks) != 1 || flight.Survey.Expected != nil {
		t.Errorf("report of footage %+v", flight)
	}
	if text := pdfText(t, s.do("GET", base+"/report.pdf", "").body); !strings.Contains(text, "count sheet (") ||
		!strings.Contains(text, "pictures of animals (1)") {
		t.Errorf("damaged pictures are not named: %s", text)
	}
}

func TestReportOfAFlight(t *testing.T) {
	s := open(t, nil)
	f := s.flight("part-1", "part-2")
	var v wire.Report
	s.do("GET", "/api/v1/flights/"+f+"/report.json", "").decode(t, &v)
	if v.Of != "flight" || len(v.Sources) != 2 || v.Survey.Unique != 9 || v.Zone != "UTC" {
		t.Errorf("report %+v", v)
	}
	if text := pdfText(t, s.do("GET", "/api/v1/flights/"+f+"/report.pdf", "").body); !strings.Contains(text, "Flight") ||
		!strings.Contains(text, "No positions are known") {
		t.Errorf("pages %s", text)
	}
}

func TestReportsRefused(t *testing.T) {
	s := open(t, func(o *Options) { o.OpenReading = false })
	s.flownCount("one", time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC))
	s.record("uncounted", "content")
	n := must.Get(s.ledger.Surveys.Add(t.Context(), ledger.Survey{Site: "farm"}))(t)
	reader := s.tokens[ledger.RoleReader]
	foreign := must.Get(s.ledger.Devices.Add(t.Context(), "south1", "south", ledger.RoleOperator))(t).Reveal()
	for _, of := range []string{"/surveys/" + n.ID, "/footage/one"} {
		for _, form := range []string{"/report.pdf", "/report.json"} {
			path := "/api/v1" + of + form
			s.do("GET", path, "").wantProblem(t, 401, "unauthorised")
			for _, token := range []string{foreign, s.tokens[ledger.RoleDevice]} {
				s.do("GET", path, token).wantProblem(t, 404, "not-found")
			}
			if r := s.do("GET", path, reader); r.status != 200 {
				t.Errorf("%s: %d %s", path, r.status, r.body)
			}
		}
		s.do("GET", "/api/v1"+of+"/report.pdf?lang=fr", reader).wantProblem(t, 400, "bad-request")
		s.do("GET", "/api/v1"+of+"/report.pdf?paper=a3", reader).wantProblem(t, 400, "bad-request")
	}
	s.do("GET", "/api/v1/footage/uncounted/report.pdf", reader).wantProblem(t, 404, "not-found")
	s.do("GET", "/api/v1/surveys/none/report.pdf", reader).wantProblem(t, 404, "not-found")
}
