package report

import (
	"fmt"
	"image"
	"image/draw"
	"strings"

	"cattlecounter/shared/wire"
)

const (
	sampleColumns = 12
	mostModels    = 2
	mostReviews   = 3
	signHeight    = 17.0
)

// proof is the last page: the sample, the method, digests, and where to sign.
func (d *drawing) proof() {
	d.pdf.AddPage()
	d.pdf.SetY(margin - 3)
	d.sample()
	d.reviews()
	d.heading(d.say(wMethod))
	d.font(full-0.5, false, black)
	d.flow(d.say(wMethodText), line-0.4)
	models := d.in.Report.Models
	for _, m := range models[:min(len(models), mostModels)] {
		d.flow(fmt.Sprintf(d.say(wModel), d.short(m.Name, 60), d.number(m.Counts)), line-0.4)
		d.digest("SHA-256 " + m.Digest.String())
	}
	d.heading(d.say(wDigests))
	d.sources()
	d.pdf.SetY(d.pdf.GetY() + 1)
	d.font(full-0.5, false, black)
	d.flow(d.say(wVerifyText), line-0.4)
	d.gaps()
	d.sign()
}

// sample draws the animals that were drawn by lot, with boxes to tick.
func (d *drawing) sample() {
	d.heading(d.say(wSample))
	d.font(full-0.5, false, black)
	pictures := d.in.Sample[:min(len(d.in.Sample), MaxSample)]
	if len(pictures) == 0 {
		d.flow(d.say(wSampleNone), line)
		return
	}
	d.flow(fmt.Sprintf(d.say(wSampleText), d.number(len(pictures))), line-0.4)
	mosaic, err := encode(mosaicOf(pictures), "sample")
	if err != nil {
		d.err = err
		return
	}
	top := d.pdf.GetY() + 1
	perPixel := d.width / float64(mosaic.Width)
	d.picture("sample", mosaic, margin, top, d.width, float64(mosaic.Height)*perPixel)
	d.font(5.5, false, black)
	d.pdf.SetDrawColor(90, 90, 90)
	d.pdf.SetLineWidth(0.15)
	for i := range pictures {
		x := margin + float64(i%sampleColumns*cellSide)*perPixel
		y := top + float64(i/sampleColumns*(cellSide+tickHeight)+cellSide)*perPixel
		const box = 1.9
		for k := range 3 {
			at := x + float64(k*cellSide)/3.1*perPixel
			d.pdf.Rect(at, y+0.4, box, box, "D")
			d.pdf.Text(at+box+0.4, y+0.4+box-0.1, fmt.Sprint(k))
		}
	}
	d.pdf.SetY(top + float64(mosaic.Height)*perPixel)
}

// Cells of the mosaic in pixels. Below each picture is room for boxes to tick.
const (
	cellSide   = 200
	cellGap    = 6
	tickHeight = 46
)

// mosaicOf puts pictures into one, in rows on white. A picture that is larger than a cell is cut.
func mosaicOf(list []image.Image) image.Image {
	rows := (len(list) + sampleColumns - 1) / sampleColumns
	out := image.NewRGBA(image.Rect(0, 0, sampleColumns*cellSide-cellGap, rows*(cellSide+tickHeight)))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	for i, p := range list {
		from := image.Pt(i%sampleColumns*cellSide, i/sampleColumns*(cellSide+tickHeight))
		size := p.Bounds().Size()
		size.X, size.Y = min(size.X, cellSide-cellGap), min(size.Y, cellSide)
		draw.Draw(out, image.Rectangle{Min: from, Max: from.Add(size)}, p, p.Bounds().Min, draw.Src)
	}
	return out
}

// reviews says what people made of the counts.
func (d *drawing) reviews() {
	all := d.in.Report.Reviews
	if len(all) == 0 {
		return
	}
	d.heading(d.say(wReviews))
	d.font(full-0.5, false, black)
	for _, r := range all[:min(len(all), mostReviews)] {
		d.flow(fmt.Sprintf(d.say(wReview), d.short(r.Who, 40), d.moment(r.At), d.number(r.Animals), d.number(r.Unique),
			d.number(r.Judged), d.number(r.Of))+" · "+d.short(string(r.Footage), 40), line-0.4)
	}
	if more := len(all) - mostReviews; more > 0 {
		d.flow("+ "+d.number(more), line-0.4)
	}
}

// digest writes a line in letters of one width.
func (d *drawing) digest(s string) {
	d.pdf.SetFont(typewrit, "", small)
	d.flow(s, 3.4)
	d.font(full-0.5, false, black)
}

// sources lists recordings with their digests, as many as leave room to verify and to sign.
func (d *drawing) sources() {
	d.font(full-0.5, false, black)
	d.flow(d.say(wDigestsText), line-0.4)
	const each, rest = 9.6, 38.0 + signHeight
	all := d.in.Report.Sources
	fit := min(len(all), max(1, int((d.left()-rest)/each)))
	for i := range all[:fit] {
		d.source(&all[i])
	}
	if more := len(all) - fit; more > 0 {
		d.font(small, false, gray)
		d.flow(fmt.Sprintf(d.say(wOthers), d.number(more)), 3.4)
	}
}

func (d *drawing) source(s *wire.ReportSource) {
	d.font(small+0.5, true, black)
	captured := "–"
	if s.Captured != nil {
		captured = d.moment(*s.Captured)
	}
	d.put(margin, d.pdf.GetY()+2.6, d.width, fmt.Sprintf("%s · %s · %s · %s %s", d.short(s.Name, 60), captured,
		d.short(string(s.Footage), 40), d.number(s.Unique), d.say(wAnimals)))
	result := "–"
	if s.Result != nil {
		result = s.Result.String()
	}
	y := d.pdf.GetY() + 5.6
	for _, l := range [2][2]string{{s.SHA256.String(), d.say(wFileDigest)}, {result, d.say(wResultDigest)}} {
		d.pdf.SetFont(typewrit, "", small-0.5)
		d.pdf.Text(margin, y, l[0])
		d.font(small-0.5, false, gray)
		d.put(margin+92, y, d.width-92, l[1])
		y += 2.8
	}
	d.pdf.SetY(d.pdf.GetY() + 9.6)
}

// gaps names what is not shown, and explains the mark of foreign names.
func (d *drawing) gaps() {
	var list []string
	seen := map[string]int{}
	for _, m := range d.in.Report.Missing {
		if seen[m.What]++; seen[m.What] == 1 {
			list = append(list, m.What)
		}
	}
	d.font(small, false, gray)
	if len(list) > 0 {
		for i, what := range list {
			list[i] = fmt.Sprintf("%s (%d)", missing[d.in.Lang][what], seen[what])
		}
		d.flow(fmt.Sprintf(d.say(wMissing), strings.Join(list, ", ")), 3.4)
	}
	if d.text.foreign {
		d.flow(d.say(wForeign), 3.4)
	}
}

// sign draws the lines for a signature at the foot of the page.
func (d *drawing) sign() {
	y := d.bottom - 5
	part := d.width / 3
	d.pdf.SetDrawColor(60, 60, 60)
	d.pdf.SetLineWidth(0.2)
	d.font(small, false, gray)
	for i, w := range []word{wName, wDate, wSign} {
		x := margin + float64(i)*part
		d.pdf.Line(x, y, x+part-6, y)
		d.put(x, y+3.2, part, d.say(w))
	}
}
