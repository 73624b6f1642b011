package report

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"

	"codeberg.org/go-pdf/fpdf"
)

// roomForEvidence is the height for which map and sheets stand on the first page.
const roomForEvidence = 120.0

// evidence has the rows that did not fit on the first page, the map and count sheets, on a page of their own unless the
// first one has room.
func (d *drawing) evidence(rest []row) {
	hasMap := d.in.Ground.bounds() != nil
	if len(rest) == 0 && !hasMap && len(d.in.Sheets) == 0 {
		d.font(full, false, gray)
		d.pdf.SetY(d.pdf.GetY() + 2)
		d.flow(d.say(wMapNone)+" "+d.say(wSheetNone), line)
		return
	}
	if len(rest) > 0 || d.left() < roomForEvidence {
		d.pdf.AddPage()
		d.pdf.SetY(margin)
	}
	if len(rest) > 0 {
		fit := min(len(rest), int(d.left()*restShare/d.height()))
		d.table(rest[:fit])
		if more := len(rest) - fit; more > 0 {
			d.font(small, false, gray)
			d.flow(fmt.Sprintf(d.say(wMore), d.number(more)), line)
		}
	}
	sheets := d.in.Sheets[:min(len(d.in.Sheets), MaxSheets)]
	d.heading(d.say(wMap))
	if !hasMap {
		d.font(full, false, gray)
		d.flow(d.say(wMapNone), line)
	} else {
		share := 0.58
		if len(sheets) == 0 {
			share = 0.93
		}
		d.drawMap(share * (d.left() - 8))
		d.font(small, false, gray)
		d.flow(d.say(wMapText), 3.5)
	}
	d.heading(d.say(wSheet))
	if len(sheets) == 0 {
		d.font(full, false, gray)
		d.flow(d.say(wSheetNone), line)
		return
	}
	d.sheets(sheets)
}

// sheets draws count sheets side by side in the rest of the page.
func (d *drawing) sheets(list []Picture) {
	const gap = 4
	width := (d.width - gap*float64(len(list)-1)) / float64(len(list))
	top, height := d.pdf.GetY(), d.left()-5
	for i, p := range list {
		x := margin + float64(i)*(width+gap)
		w, h := within(p, width, height)
		d.picture(fmt.Sprintf("sheet %d", i), p, x, top, w, h)
		d.font(small, false, gray)
		d.put(x, top+h+3, width, d.name(p.Caption))
	}
}

// within is the size of a picture in a space.
func within(p Picture, width, height float64) (w, h float64) {
	scale := min(width/float64(max(p.Width, 1)), height/float64(max(p.Height, 1)))
	return float64(p.Width) * scale, float64(p.Height) * scale
}

// picture draws a picture. fpdf orders pictures by their width alone, so those of one width would come in any order: the
// second one loses a column of pixels.
func (d *drawing) picture(name string, p Picture, x, y, w, h float64) {
	for d.widths[p.Width] && p.Width > 1 && d.err == nil {
		p, d.err = narrower(p)
	}
	d.widths[p.Width] = true
	options := fpdf.ImageOptions{ImageType: "JPG"}
	d.pdf.RegisterImageOptionsReader(name, options, bytes.NewReader(p.JPEG))
	d.pdf.ImageOptions(name, x, y, w, h, false, options, 0, "")
}

// narrower is a picture without its last column.
func narrower(p Picture) (Picture, error) {
	img, err := jpeg.Decode(bytes.NewReader(p.JPEG))
	if err != nil {
		return p, fmt.Errorf("picture %.60q: %w", p.Caption, err)
	}
	size := image.Rect(0, 0, p.Width-1, p.Height)
	out := image.NewRGBA(size)
	draw.Draw(out, size, img, img.Bounds().Min, draw.Src)
	return encode(out, p.Caption)
}

// quality of pictures that the report encodes.
const quality = 85

func encode(img image.Image, caption string) (Picture, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality}); err != nil {
		return Picture{}, fmt.Errorf("picture %.60q: %w", caption, err)
	}
	return Picture{JPEG: b.Bytes(), Width: img.Bounds().Dx(), Height: img.Bounds().Dy(), Caption: caption}, nil
}
