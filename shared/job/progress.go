package job

// Stage is the part of the work that a worker does at the moment.
type Stage string

// Stages of a job, in order.
const (
	StageDownload Stage = "download"
	StageDetect   Stage = "detect" // decoding, detection and counting run at the same time
	StageReport   Stage = "report" // writing the results
)

// Progress is how far one attempt at a job is. The zero value is its beginning.
// It is embedded wherever progress is stored or sent, so its fields stand flat in
// every JSON document. Each attempt begins with a new one; within an attempt
// Percent and Count never fall.
type Progress struct {
	Stage       Stage    `json:"stage,omitempty"` // empty while no worker holds the job
	FramesDone  int      `json:"frames_done"`
	FramesTotal int      `json:"frames_total"` // 0 when the container does not say
	Percent     float64  `json:"percent"`      // 0 to 100
	FPS         float64  `json:"fps"`          // frames of footage processed per second
	ETASeconds  *float64 `json:"eta_seconds,omitempty"`
	Count       int      `json:"count"` // unique animals so far
}
