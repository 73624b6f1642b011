package count

import (
	"time"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
)

func (r *run) outcome(s Source, m report.Model) (Outcome, error) {
	counted := tally.Count(r.tracker.Tracks())
	features := counted.Judge(r.circumstances())
	total := time.Since(r.began).Seconds()
	res := report.Result{
		Schema: report.Schema, Footage: s.Footage, Model: m,
		Source: report.Source{Name: s.Name, Size: s.Size, SHA256: s.SHA256},
		Video: report.Video{
			Width: r.info.Width, Height: r.info.Height, FPS: r.info.FPS, Frames: r.reading.Decoded, Analysed: r.looks,
			Every: r.every, Steps: r.stepped, Tiles: r.planner.Tiles(), Duration: r.reading.Duration.Seconds(), Codec: r.info.Codec, Container: r.info.Container,
		},
		Reading: readingOf(r.info, r.reading),
		Count: report.Count{
			Unique: counted.Unique, Low: counted.Low, High: counted.High, ByClass: counted.ByClass,
			OtherAnimals: counted.Others, Method: report.Method,
		},
		Visible:    r.visible,
		Tracks:     make([]report.Track, 0, len(counted.Counted)),
		NotCounted: notCounted(counted.Uncounted),
		Warnings:   r.warnings(s, counted),
		Timings: report.Timings{TotalSeconds: total, FramesPerSec: float64(r.last+1) / total,
			DetectSeconds: r.detecting.seconds()},
	}
	for _, t := range counted.Counted {
		res.Tracks = append(res.Tracks, trackOf(t))
	}
	r.addYoung(&res, counted)
	r.addLines(&res, counted)
	jpeg, err := r.best.draw(res)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Result: res, Still: jpeg, Features: features, Trace: r.trace(m)}
	r.finishEvidence(&out, s.Name, counted)
	return out, nil
}

// circumstances are what the interval of the count depends on beside the tracks.
func (r *run) circumstances() tally.Circumstances {
	c := tally.Circumstances{
		Width: r.info.Width, Height: r.info.Height, Guessed: float64(r.guessed) / float64(max(r.stepped, 1)),
	}
	c.Hasty = r.views.Hasty()
	for _, f := range r.conditions.Findings() {
		c.Poor = min(1, c.Poor+f.Share)
	}
	return c
}

func trackOf(t *track.Track) report.Track {
	return report.Track{
		ID: t.ID, Label: t.Label(), FirstFrame: t.First, LastFrame: t.Last, Detections: t.Hits,
		Confidence: t.Confidence(), Best: bestOf(t), Segment: t.Segment, Way: wayOf(t),
	}
}
