package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"math"
	"slices"

	xdraw "golang.org/x/image/draw"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/server/report"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Limits of what is read for the pages. One picture is held at a time.
const (
	mostBytes   = 48 << 20 // of a picture as it is stored
	mostPixels  = 40 << 20 // of a picture: 60 MB in memory
	sheetSide   = 1500     // pixels of a sheet on the page, the longer side
	sheetTries  = 6        // the largest counts whose sheets are looked for
	mostPaths   = 12       // the largest counts whose flown paths are drawn
	mostFixes   = 2000     // of a path
	jpegQuality = 82
)

// errPicture marks stored bytes that are no picture of a size that is read.
var errPicture = errors.New("not a picture that can be shown")

// Input returns what the pages of a report show. What is not stored, or cannot be read, is named in Missing.
func (g *Gatherer) Input(ctx context.Context, s Subject, r wire.Report) (report.Input, error) {
	in := report.Input{Report: r}
	in.Report.Missing = slices.Clone(r.Missing)
	zone, _, err := g.zone(ctx, s)
	if err != nil {
		return in, err
	}
	in.Zone = zone
	if err := g.addGround(ctx, &in, s); err != nil {
		return in, err
	}
	if err := g.addSheets(ctx, &in, s); err != nil {
		return in, err
	}
	return in, g.addSample(ctx, &in)
}

// addGround adds what the map shows.
func (g *Gatherer) addGround(ctx context.Context, in *report.Input, s Subject) error {
	list, err := g.paddocks(ctx, s.Survey)
	if err != nil {
		return err
	}
	next := 0 // the paddocks of the survey are some of the list, in its order
	for _, p := range list {
		if next < len(s.Survey.Paddocks) && s.Survey.Paddocks[next].Name == p.Name {
			in.Ground.Paddocks = append(in.Ground.Paddocks, report.Outline{Name: p.Name, Polygons: p.Polygons})
			next++
		}
	}
	for _, p := range s.Counts {
		in.Ground.Seen = append(in.Ground.Seen, p.Ground.Footprint...)
		for _, a := range p.Ground.Places {
			in.Ground.Animals = append(in.Ground.Animals, [2]float64{a.Lon, a.Lat})
		}
	}
	for _, p := range largest(s.Counts, mostPaths) {
		if p.Spread.Placed == 0 {
			continue
		}
		path, err := g.flown(ctx, p.Footage.ID)
		if err != nil {
			return err
		}
		if path == nil {
			in.Report.Missing = append(in.Report.Missing, wire.ReportMissing{What: "path", Footage: p.Footage.ID})
			continue
		}
		in.Ground.Paths = append(in.Ground.Paths, path)
	}
	return nil
}

// largest are the counts with the most animals.
func largest(counts []ledger.SurveyPart, n int) []ledger.SurveyPart {
	sorted := slices.Clone(counts)
	slices.SortStableFunc(sorted, func(a, b ledger.SurveyPart) int { return b.Unique - a.Unique })
	return sorted[:min(len(sorted), n)]
}

// flown is the flown path of footage by its log; nil without a log that fits.
func (g *Gatherer) flown(ctx context.Context, id footage.ID) ([][2]float64, error) {
	v, err := g.Footage.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	length, err := g.Logs.Length(ctx, v)
	if err != nil {
		return nil, err
	}
	log, _, err := g.Logs.Find(ctx, v.Footage, length)
	if err != nil || log == nil {
		return nil, err
	}
	return pathOf(log), nil
}

func pathOf(log *flightlog.Log) (path [][2]float64) {
	step := max(1, len(log.Samples)/mostFixes)
	for i := 0; i < len(log.Samples); i += step {
		if s := log.Samples[i]; s.HasPosition() && math.Abs(s.Lat) <= 90 && math.Abs(s.Lon) <= 180 {
			path = append(path, [2]float64{s.Lon, s.Lat})
		}
	}
	return path
}

// addSheets adds the count sheets of the largest counts. A flight whose parts are all in the survey has one of its own.
func (g *Gatherer) addSheets(ctx context.Context, in *report.Input, s Subject) error {
	seen := map[string]bool{}
	looked := 0
	for _, p := range largest(s.Counts, len(s.Counts)) {
		if looked == sheetTries || len(in.Sheets) == report.MaxSheets {
			break
		}
		key, name, err := g.sheetKey(ctx, s, p)
		if err != nil {
			return err
		}
		if key == "" || seen[key] {
			continue
		}
		seen[key] = true
		looked++
		img, err := g.decode(ctx, key)
		if errors.Is(err, blob.ErrNotFound) || errors.Is(err, errPicture) {
			in.Report.Missing = append(in.Report.Missing, wire.ReportMissing{What: "sheet", Footage: p.Footage.ID})
			continue
		}
		if err != nil {
			return err
		}
		sheet, err := shrink(img, name)
		if err != nil {
			return err
		}
		in.Sheets = append(in.Sheets, sheet)
	}
	return nil
}

// sheetKey is the blob key of the sheet of a part or of its flight, with a caption.
func (g *Gatherer) sheetKey(ctx context.Context, s Subject, p ledger.SurveyPart) (key, name string, err error) {
	if id := p.Footage.Flight; id != "" {
		here := 0
		for _, q := range s.Counts {
			if q.Footage.Flight == id {
				here++
			}
		}
		f, err := g.Flights.Get(ctx, id)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) {
			return "", "", err
		}
		if err == nil && f.ResultKey != "" && here == p.Joint.Parts {
			return wire.FlightSheetKey(f.ResultKey), p.Footage.Name + fmt.Sprintf(" (+%d)", here-1), nil
		}
	}
	key, err = g.resultKey(ctx, p.Footage.ID)
	if err != nil || key == "" {
		return "", "", err
	}
	return sibling(key, wire.SheetExt), p.Footage.Name, nil
}

// shrink is a picture in the size of the page.
func shrink(img image.Image, caption string) (report.Picture, error) {
	size := img.Bounds().Size()
	scale := min(1, sheetSide/float64(max(size.X, size.Y)))
	to := image.Rect(0, 0, max(1, int(float64(size.X)*scale)), max(1, int(float64(size.Y)*scale)))
	out := image.NewRGBA(to)
	xdraw.ApproxBiLinear.Scale(out, to, img, img.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return report.Picture{}, err
	}
	return report.Picture{JPEG: b.Bytes(), Width: to.Dx(), Height: to.Dy(), Caption: caption}, nil
}

// addSample cuts the animals of the sample out of the contact sheets, one sheet at a time.
func (g *Gatherer) addSample(ctx context.Context, in *report.Input) error {
	white := image.NewUniform(image.White.C)
	in.Sample = make([]image.Image, len(in.Report.Sample))
	for i, a := range in.Report.Sample {
		if in.Sample[i] != nil {
			continue
		}
		key, err := g.contactKey(ctx, a)
		if err != nil {
			return err
		}
		page, err := g.decode(ctx, key)
		missing := errors.Is(err, blob.ErrNotFound) || errors.Is(err, errPicture)
		if err != nil && !missing {
			return err
		}
		if missing {
			in.Report.Missing = append(in.Report.Missing, wire.ReportMissing{What: "pictures", Footage: a.Footage})
			page = white
		}
		for k := i; k < len(in.Report.Sample); k++ {
			if b := in.Report.Sample[k]; b.Footage == a.Footage && b.Page == a.Page {
				in.Sample[k] = cut(page, b.Cell-1)
			}
		}
	}
	return nil
}

// cut copies a cell of a contact sheet, so that the sheet can go.
func cut(page image.Image, cell int) image.Image {
	from := page.Bounds().Min
	if page.Bounds().Dx() > 1<<20 { // that of one colour has no bounds
		from = image.Point{}
	}
	from = from.Add(image.Pt(cell%sheetColumns*cellWidth, titleHeight+cell/sheetColumns*cellHeight))
	out := image.NewRGBA(image.Rect(0, 0, cellWidth, cellHeight))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), page, from, draw.Src)
	return out
}

// decode reads a stored picture. Its error wraps errPicture for bytes that are no JPEG, or are too large.
func (g *Gatherer) decode(ctx context.Context, key string) (image.Image, error) {
	info, err := g.Blobs.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if info.Size > mostBytes {
		return nil, fmt.Errorf("%s has %d bytes: %w", key, info.Size, errPicture)
	}
	b, err := ground.ReadBlob(ctx, g.Blobs, key, mostBytes)
	if err != nil {
		return nil, err
	}
	size, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil || size.Width*size.Height > mostPixels {
		return nil, fmt.Errorf("%s: %w", key, errPicture)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", key, errPicture, err)
	}
	return img, nil
}
