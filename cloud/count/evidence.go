package count

import (
	"math"
	"os"

	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/shared/faulttext"
)

// addEvidence gives the step to the evidence.
func (r *run) addEvidence(s *step) {
	if r.evidence == nil {
		return
	}
	r.evidence.Observe(&evidence.Step{
		Frame: s.frame, Seconds: s.seconds, Pose: s.pose, Looked: s.looked, Count: r.running(s.seconds),
		Tracks: r.tracker.InView(s.pose, s.seconds, s.frame.Width, s.frame.Height),
	})
}

// finishEvidence completes the evidence and describes it in the result. A fault is a warning there.
func (r *run) finishEvidence(out *Outcome, name string, counted tally.Result) {
	if r.evidence == nil {
		return
	}
	e, err := r.evidence.Finish(name, counted)
	if err != nil {
		out.Result.Warnings = append(out.Result.Warnings, report.Warning{Code: report.NoEvidence,
			Text: "the evidence is not complete: " + faulttext.Of(err, os.TempDir()) + "; the count is not affected"})
	}
	out.Evidence = e
	doc := &report.Evidence{}
	if v := e.Video; v != nil {
		doc.Video = &report.EvidenceVideo{EvidenceFile: report.EvidenceFile{Ending: report.VideoEnding}, Width: v.Width,
			Height: v.Height, Pictures: v.Pictures, Seconds: v.Seconds}
	}
	if e.Sheet != nil {
		doc.Sheet = &report.EvidenceFile{Ending: report.SheetEnding, Bytes: int64(len(e.Sheet))}
	}
	for i, page := range e.Contact {
		doc.Contact = append(doc.Contact, report.EvidenceFile{Ending: report.ContactEnding(i + 1), Bytes: int64(len(page))})
	}
	out.Result.Evidence = doc
}

// Files returns the JPEG files of the evidence by their endings.
func (o Outcome) Files() map[string][]byte {
	files := map[string][]byte{}
	if o.Evidence.Sheet != nil {
		files[report.SheetEnding] = o.Evidence.Sheet
	}
	for i, page := range o.Evidence.Contact {
		files[report.ContactEnding(i+1)] = page
	}
	return files
}

// wayOf thins the way of a track to at most report.WayPoints, with its first and last place.
func wayOf(t *track.Track) []report.Waypoint {
	n := min(len(t.Way), report.WayPoints)
	way := make([]report.Waypoint, 0, n)
	for i := range n {
		f := t.Way[i*(len(t.Way)-1)/max(n-1, 1)]
		way = append(way, report.Waypoint{
			Frame: f.Frame, Seconds: round(f.Seconds, 1000), X: round(f.X, 10), Y: round(f.Y, 10),
			Box: &[4]float64{round(float64(f.Box.X1), 10), round(float64(f.Box.Y1), 10), round(float64(f.Box.X2), 10),
				round(float64(f.Box.Y2), 10)},
		})
	}
	return way
}

func round(v, parts float64) float64 { return math.Round(v*parts) / parts }

func notCounted(list []tally.Uncounted) []report.NotCounted {
	out := make([]report.NotCounted, 0, len(list))
	for _, u := range list {
		t := u.Track
		out = append(out, report.NotCounted{
			ID: t.ID, Reason: string(u.Reason), Of: u.Of, FirstFrame: t.First, LastFrame: t.Last, Detections: t.Hits,
			Confidence: t.Confidence(), Best: bestOf(t),
		})
	}
	return out
}

func bestOf(t *track.Track) report.Best {
	b := t.Best
	return report.Best{
		Frame: t.BestFrame, Score: float64(b.Score),
		Box: [4]float64{float64(b.X1), float64(b.Y1), float64(b.X2), float64(b.Y2)},
	}
}

// addYoung tells adults and young animals apart in the result.
func (r *run) addYoung(res *report.Result, counted tally.Result) {
	if !r.o.Young {
		return
	}
	h := r.young.Judge(counted.Counted)
	res.Young = &report.Young{Young: h.Young, Adults: h.Adults, Unmeasured: h.Unmeasured, Low: h.Low, High: h.High,
		Unknown: h.Unknown}
	for i := range res.Tracks {
		if p, ok := h.Probability[res.Tracks[i].ID]; ok {
			p = round(p, 1000)
			res.Tracks[i].Young = &p
		}
	}
}
