package count

import (
	"fmt"
	"math"
	"strings"
	"time"

	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/video"
)

// warnings lists what reduces the reliability of the count.
func (r *run) warnings(s Source, c tally.Result) []report.Warning {
	w := []report.Warning{}
	add := func(code, format string, args ...any) {
		w = append(w, report.Warning{Code: code, Text: fmt.Sprintf(format, args...)})
	}
	if n := len(c.Segments) - 1; n > 0 {
		add(report.CameraLost, "the motion of the camera was lost %s and the ground was not found again; "+
			"an animal seen before and after is counted twice; the low end of the interval is that of the largest part",
			plural(n, "once", fmt.Sprintf("%d times", n)))
	} else if r.guessed > 0 {
		add(report.CameraLost, "the motion of the camera is a guess for %d of %d frames", r.guessed, r.stepped)
	}
	if !s.Telemetry {
		add(report.NoTelemetry, "the footage has no telemetry; there are no ground positions")
	}
	const fewLooks, fewSteps = 6, 2 * stepFPS
	if r.looks < fewLooks && (r.stepped < fewSteps || r.o.Every > 0) {
		add(report.Sparse, "only %d frames were analysed; too few to confirm animals reliably", r.looks)
	}
	if !(r.info.FPS > 0) {
		add(report.NoFrameRate, "the container has no frame rate; %d frames per second assumed", assumedFPS)
	}
	for _, f := range r.conditions.Findings() {
		add(string(f.Code), "%s", f.Text())
	}
	r.warnOfReading(add)
	return w
}

// warnOfReading adds what was wrong with the clip itself.
func (r *run) warnOfReading(add func(code, format string, args ...any)) {
	if g := r.reading.Gaps; len(g) > 0 {
		add(report.Damaged, "%s of the footage are missing or damaged; an animal seen only there is not counted", spans(g))
	}
	if n := r.reading.Jumps; n > 0 {
		j := r.reading.Jumped[0]
		add(report.TimeJump, "the time stamps jump %sby %s at second %s; the time of the clip continues without %s",
			first(n), j.By.Round(time.Millisecond), seconds(j.At), plural(n, "the jump", "the jumps"))
	}
	if z := r.reading.Resized; len(z) > 0 {
		add(report.SizeChange, "the size of the picture changes %sto %dx%d at second %s; such frames are scaled to %dx%d",
			first(len(z)), z[0].Width, z[0].Height, seconds(z[0].At), r.info.Width, r.info.Height)
	}
}

// first begins the description of the first of n events.
func first(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf("%d times, first ", n)
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

// spans lists the first parts of a clip in words.
func spans(all []video.Span) string {
	const most = 5
	var b strings.Builder
	b.WriteString("seconds ")
	for i, s := range all[:min(len(all), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s to %s", seconds(s.From), seconds(s.To))
	}
	if n := len(all) - most; n > 0 {
		fmt.Fprintf(&b, " and %d more parts", n)
	}
	return b.String()
}

// readingOf describes in the report what was read.
func readingOf(i video.Info, r video.Reading) report.Reading {
	out := report.Reading{
		Expected: i.Frames, Decoded: r.Decoded, Damaged: r.Damaged, LostPackets: r.Lost, PixelFormat: i.PixelFormat,
		Rotation: i.Rotation, Recorded: i.Created, Missing: []report.Part{}, Streams: []report.Stream{},
	}
	if i.TimeBase[1] > 0 {
		out.TimeBase = fmt.Sprintf("%d/%d", i.TimeBase[0], i.TimeBase[1])
	}
	for _, g := range r.Gaps {
		out.Missing = append(out.Missing, report.Part{From: milli(g.From), To: milli(g.To)})
	}
	for _, j := range r.Jumped {
		out.TimeJumps = append(out.TimeJumps, report.TimeJumpAt{At: milli(j.At), By: milli(j.By)})
	}
	for _, z := range r.Resized {
		out.Sizes = append(out.Sizes, report.SizeFrom{From: milli(z.At), Width: z.Width, Height: z.Height})
	}
	for _, s := range i.Streams {
		out.Streams = append(out.Streams, report.Stream(s))
	}
	return out
}

// milli is a time in seconds, rounded to milliseconds.
func milli(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
