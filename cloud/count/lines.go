package count

import (
	"fmt"
	"image/color"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/shared/boundary"
)

// newJudge returns the judge of the lines and zones of a clip, nil without any.
func newJudge(s boundary.Set) *crossing.Judge {
	if s.Empty() {
		return nil
	}
	return crossing.New(s)
}

// outlines draws lines and zones into the annotated video.
type outlines struct{ judge *crossing.Judge }

// Draw implements evidence.Overlay. The judge has the step already.
func (o outlines) Draw(c *evidence.Canvas, s *evidence.Step) {
	colour := color.RGBA{255, 255, 255, 255}
	width := max(1, s.Frame.Width/640)
	for _, l := range o.judge.Outlines() {
		for i, p := range l.Points {
			if i+1 < len(l.Points) || l.Zone {
				c.Line(p, l.Points[(i+1)%len(l.Points)], width, colour)
			}
		}
		anchors := l.Points
		if !l.Zone {
			anchors = []motion.Point{l.In}
			middle := motion.Point{X: (l.Points[0].X + l.Points[1].X) / 2, Y: (l.Points[0].Y + l.Points[1].Y) / 2}
			c.Line(middle, l.In, width, colour)
			l.Name += ": in"
		}
		for _, at := range anchors { // at the first one in the frame
			if at.X >= 0 && at.Y >= 0 && at.X < float64(s.Frame.Width) && at.Y < float64(s.Frame.Height) {
				c.Text(at, l.Name, colour)
				break
			}
		}
	}
}

// addLines adds lines and zones to the result, and a warning for each that could not be judged for every animal.
func (r *run) addLines(res *report.Result, counted tally.Result) {
	if r.judge == nil {
		return
	}
	found := r.judge.Result(crossing.Animals(counted))
	res.Lines, res.Zones = found.Lines, found.Zones
	warn := func(what, name string, place boundary.Place, notJudged int) {
		if notJudged == 0 {
			return
		}
		why := "the motion of the camera was lost between them"
		if res.Video.Duration > 0 && place.Seconds > res.Video.Duration {
			why = fmt.Sprintf("it is drawn at second %g and the clip has %.1f seconds", place.Seconds, res.Video.Duration)
		}
		res.Warnings = append(res.Warnings, report.Warning{Code: report.LineLost, Text: fmt.Sprintf(
			"%s %q: the place of %d of %d animals relative to it is not known, because %s; its numbers are too low",
			what, name, notJudged, counted.Unique, why)})
	}
	for _, l := range found.Lines {
		warn("line", l.Name, l.Definition.Place, l.NotJudged)
	}
	for _, z := range found.Zones {
		warn("zone", z.Name, z.Definition.Place, z.NotJudged)
	}
}
