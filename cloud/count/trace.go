package count

import (
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
)

// trace is what the count of the flight needs of this clip.
func (r *run) trace(m report.Model) *flight.Trace {
	c := r.circumstances()
	return r.views.Trace(flight.Trace{
		Width: r.info.Width, Height: r.info.Height, FPS: r.fps, Frames: r.reading.Decoded,
		Seconds: r.reading.Duration.Seconds(), Codec: r.info.Codec, Started: r.info.Created, Model: m.Digest.String(),
		Guessed: c.Guessed, Poor: c.Poor,
	}, r.tracker.Tracks(), r.camera.Map())
}
