// Package report draws the report of a count as a PDF of one to three pages: for a bank, an auditor, an insurer. It does no
// I/O, knows no clock, and makes the same bytes of the same input.
//
// Text is set in the Go fonts (golang.org/x/image/font/gofont, BSD-3-Clause), which have Latin, Greek and Cyrillic letters.
// Names in other scripts are written in Latin letters with a mark, and the report says so.
package report

import (
	"errors"
	"fmt"
	"image"
	"io"
	"time"

	"codeberg.org/go-pdf/fpdf"

	"cattlecounter/shared/wire"
)

// Lang is the language of a report.
type Lang string

// Languages.
const (
	English Lang = "en"
	Spanish Lang = "es"
)

// Paper is the size of the pages.
type Paper string

// Sizes of pages.
const (
	A4     Paper = "a4"
	Letter Paper = "letter"
)

// ErrUnknown marks a language or a paper that there is none of.
var ErrUnknown = errors.New("not known")

// ParseLang reads a language; "" is English. Its error wraps ErrUnknown.
func ParseLang(s string) (Lang, error) {
	switch l := Lang(s); l {
	case "":
		return English, nil
	case English, Spanish:
		return l, nil
	}
	return "", fmt.Errorf("language %.20q: %w; use en or es", s, ErrUnknown)
}

// ParsePaper reads a size of pages; "" is A4. Its error wraps ErrUnknown.
func ParsePaper(s string) (Paper, error) {
	switch p := Paper(s); p {
	case "":
		return A4, nil
	case A4, Letter:
		return p, nil
	}
	return "", fmt.Errorf("paper %.20q: %w; use a4 or letter", s, ErrUnknown)
}

// Picture is a JPEG with what it shows.
type Picture struct {
	JPEG          []byte
	Width, Height int // pixels
	Caption       string
}

// Ground is what the map shows. Coordinates are WGS 84 degrees, longitude first.
type Ground struct {
	Paddocks []Outline // in the order of Report.Survey.Paddocks
	Seen     [][][][2]float64
	Paths    [][][2]float64
	Animals  [][2]float64
}

// Outline is the border of a paddock.
type Outline struct {
	Name     string
	Polygons [][][][2]float64
}

// Input is all that a report shows.
type Input struct {
	Report wire.Report
	Digest string         // SHA-256 of the report as JSON, which the pages name
	Zone   *time.Location // of all times; nil is UTC
	Ground Ground
	Sheets []Picture     // the first MaxSheets are drawn
	Sample []image.Image // the animals of Report.Sample in their order, each at most some 200 pixels wide
	Lang   Lang          // "" is English
	Paper  Paper         // "" is A4
}

// Pictures and animals that fit on the pages.
const (
	MaxSheets = 2
	MaxSample = 24
)

// Write writes the report. The error is one of w, or of a picture that is no JPEG.
func Write(w io.Writer, in Input) error {
	d, err := newDrawing(in)
	if err != nil {
		return err
	}
	d.summary()
	rest := d.paddocks()
	d.evidence(rest)
	d.proof()
	if d.err != nil {
		return fmt.Errorf("report of %s: %w", in.Report.ID, d.err)
	}
	if err := d.pdf.Output(w); err != nil {
		return fmt.Errorf("report of %s: %w", in.Report.ID, err)
	}
	return nil
}

// Margins in millimetres.
const (
	margin = 15.0
	foot   = 14.0
	full   = 9.0 // size of running text in points
	small  = 7.0
	line   = 4.2 // height of a line of running text

	allPages = "{pages}" // stands for the number of pages until it is known

	cellMargin = 1.0 // of the cells of tables
)

// drawing is a report while it is drawn.
type drawing struct {
	in     Input
	pdf    *fpdf.Fpdf
	text   *letters
	words  map[word]string
	zone   *time.Location
	widths map[int]bool // of the pictures, in pixels
	err    error        // the first one of a picture
	width  float64      // between the margins
	bottom float64      // where the footer begins
}

func newDrawing(in Input) (*drawing, error) {
	size := "A4"
	if in.Paper == Letter {
		size = "Letter"
	}
	d := &drawing{in: in, pdf: fpdf.New("P", "mm", size, ""), zone: in.Zone,
		widths: map[int]bool{}}
	if in.Lang != Spanish {
		d.in.Lang = English
	}
	d.words = words[d.in.Lang]
	if d.zone == nil {
		d.zone = time.UTC
	}
	var err error
	if d.text, err = newLetters(); err != nil {
		return nil, err
	}
	d.text.addTo(d.pdf)
	d.pdf.SetCatalogSort(true)
	made := in.Report.State
	if made.IsZero() {
		made = in.Report.Survey.Created
	}
	d.pdf.SetCreationDate(made.UTC())
	d.pdf.SetModificationDate(made.UTC())
	d.pdf.SetTitle(d.say(wTitle)+" – "+d.name(in.Report.Survey.Site), true)
	d.pdf.SetCreator("CattleCounter", true)
	d.pdf.SetLang(string(d.in.Lang))
	d.pdf.SetMargins(margin, margin, margin)
	d.pdf.SetAutoPageBreak(false, 0)
	d.pdf.AliasNbPages(allPages)
	w, h := d.pdf.GetPageSize()
	d.width, d.bottom = w-2*margin, h-margin-foot+5
	d.pdf.SetFooterFunc(d.footer)
	d.pdf.AddPage()
	return d, d.pdf.Error()
}

// footer numbers the page, and names the report and the state of its figures on each.
func (d *drawing) footer() {
	_, h := d.pdf.GetPageSize()
	d.pdf.SetDrawColor(170, 170, 170)
	d.pdf.SetLineWidth(0.2)
	d.pdf.Line(margin, h-margin-5, margin+d.width, h-margin-5)
	d.font(small, false, gray)
	left := fmt.Sprintf(d.say(wFooter), d.in.Report.ID, d.moment(d.in.Report.State))
	d.put(margin, h-margin-1, d.width-30, left)
	edge := margin + d.width - d.pdf.GetStringWidth(fmt.Sprintf(d.say(wPage), d.pdf.PageNo(), "9"))
	d.pdf.Text(edge, h-margin-1, fmt.Sprintf(d.say(wPage), d.pdf.PageNo(), allPages)) // becomes one digit
	d.font(small, false, gray)
	d.put(margin, h-margin+2.5, d.width, "SHA-256 (report.json) "+d.in.Digest)
}

type color [3]int

var (
	black = color{20, 20, 20}
	gray  = color{95, 95, 95}
	green = color{30, 110, 60}
	red   = color{165, 40, 30}
)

func (d *drawing) font(size float64, bold bool, c color) {
	style := ""
	if bold {
		style = "B"
	}
	d.pdf.SetFont(family, style, size)
	d.pdf.SetTextColor(c[0], c[1], c[2])
}

// put writes one line whose base is at y, cut to a width.
func (d *drawing) put(x, y, width float64, s string) { d.pdf.Text(x, y, d.fit(s, width)) }

// fit cuts a line to a width.
func (d *drawing) fit(s string, width float64) string {
	if d.pdf.GetStringWidth(s) <= width {
		return s
	}
	r := []rune(s)
	low, high := 0, len(r)
	for low < high {
		mid := (low + high + 1) / 2
		if d.pdf.GetStringWidth(string(r[:mid])+"…") <= width {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return string(r[:low]) + "…"
}

// flow writes running text from the current position on.
func (d *drawing) flow(s string, height float64) {
	d.pdf.SetX(margin)
	d.pdf.SetCellMargin(0)
	d.pdf.MultiCell(d.width, height, s, "", "L", false)
	d.pdf.SetCellMargin(cellMargin)
}

// heading begins a section.
func (d *drawing) heading(s string) {
	d.pdf.SetY(d.pdf.GetY() + 3)
	d.font(11, true, black)
	d.put(margin, d.pdf.GetY()+4, d.width, s)
	d.pdf.SetY(d.pdf.GetY() + 6)
}

// left is the height between the current position and the footer.
func (d *drawing) left() float64 { return d.bottom - d.pdf.GetY() }

func (d *drawing) say(w word) string { return d.words[w] }

// name is text of a user in letters that the fonts have.
func (d *drawing) name(s string) string { return d.text.show(s) }

// moment is a time in the zone of the report.
func (d *drawing) moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(d.zone).Format("2006-01-02 15:04")
}
