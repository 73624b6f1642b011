package report

import (
	"fmt"

	"cattlecounter/shared/wire"
)

// row is a line of the table of paddocks.
type row struct {
	cells [8]string
	bold  bool
	color color // of the last cell
}

// Widths of the columns as shares of the page, and how each is aligned.
var (
	columns = [8]float64{0.055, 0.28, 0.095, 0.13, 0.075, 0.095, 0.085, 0.185}
	aligned = [8]string{"R", "L", "R", "R", "R", "R", "R", "L"}
)

// Heights of rows, and the part of the second page that rows may take.
const (
	rowHeight    = 4.8
	tightRow     = 3.8
	manyPaddocks = 30
	restShare    = 0.45
)

// paddocks draws the table on the first page. It returns the rows that do not fit.
func (d *drawing) paddocks() (rest []row) {
	v := &d.in.Report.Survey
	if len(v.Paddocks) == 0 {
		return nil
	}
	rows := make([]row, 0, len(v.Paddocks))
	for i, p := range v.Paddocks {
		rows = append(rows, d.rowOf(fmt.Sprint(i+1), p.PaddockCount, p.Expected))
	}
	whole := d.rowOf("", wire.PaddockCount{Name: d.say(wWhole), Animals: &v.Unique, Low: &v.Low, High: &v.High}, v.Expected)
	whole.cells[4], whole.cells[5], whole.bold = "", "", true
	d.pdf.SetY(d.pdf.GetY() + 2)
	fit := max(0, int((d.left()-3*rowHeight)/d.height()))
	fit = min(fit, len(rows))
	d.table(append(append([]row{}, rows[:fit]...), whole))
	return rows[fit:]
}

// height is that of a row: many paddocks stand closer.
func (d *drawing) height() float64 {
	if len(d.in.Report.Survey.Paddocks) > manyPaddocks {
		return tightRow
	}
	return rowHeight
}

func (d *drawing) rowOf(number string, p wire.PaddockCount, e *wire.Expected) row {
	count := func(n *int) string {
		if n == nil {
			return "–"
		}
		return d.number(*n)
	}
	interval := "–"
	if p.Low != nil && p.High != nil {
		interval = d.number(*p.Low) + " – " + d.number(*p.High)
	}
	r := row{cells: [8]string{number, d.name(p.Name), count(p.Animals), interval, fmt.Sprintf("%.0f %%", 100*p.Seen),
		d.decimal(p.Area / 10_000), "–", "–"}, color: black}
	if e != nil {
		r.cells[6], r.cells[7] = d.number(e.Animals), d.verdict(e)
		switch e.Verdict {
		case "agrees":
			r.color = green
		case "fewer", "more":
			r.color = red
		}
		if e.Difference != nil && *e.Difference != 0 {
			r.cells[7] = d.signed(*e.Difference) + ", " + r.cells[7]
		}
	}
	return r
}

// table draws rows below a head.
func (d *drawing) table(rows []row) {
	h := d.height()
	size := full - 0.5
	if h == tightRow {
		size = small
	}
	d.font(small, true, gray)
	d.tableRow([8]string{"", d.say(wPaddock), d.say(wCount), d.say(wRange), d.say(wSeen), d.say(wArea), d.say(wExpected),
		d.say(wVerdict)}, rowHeight, gray)
	d.pdf.SetDrawColor(200, 200, 200)
	for _, r := range rows {
		d.pdf.SetLineWidth(0.1)
		d.pdf.Line(margin, d.pdf.GetY(), margin+d.width, d.pdf.GetY())
		d.font(size, r.bold, black)
		d.tableRow(r.cells, h, r.color)
	}
}

func (d *drawing) tableRow(cells [8]string, height float64, last color) {
	d.pdf.SetX(margin)
	for i, c := range cells {
		w := columns[i] * d.width
		if i == len(cells)-1 {
			d.pdf.SetTextColor(last[0], last[1], last[2])
		}
		d.pdf.CellFormat(w, height, d.fit(c, w-2), "", 0, aligned[i], false, 0, "")
	}
	d.pdf.Ln(height)
}
