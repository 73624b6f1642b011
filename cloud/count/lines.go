package count

import (
	"fmt"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
	"cattlecounter/shared/boundary"
)

// newJudge returns the judge of the lines and zones of a clip, nil without any.
func newJudge(s boundary.Set) *crossing.Judge {
	if s.Empty() {
		return nil
	}
	return crossing.New(s)
}

// judgeStep passes a step on to the judge. looked is as in crossing.Step.
func (r *run) judgeStep(f *video.Frame, seconds float64, pose motion.Pose, looked []motion.Rect) {
	if r.judge == nil {
		return
	}
	r.judge.Add(crossing.Step{Frame: f.Index, Seconds: seconds, Width: f.Width, Height: f.Height, Pose: pose, Looked: looked})
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
