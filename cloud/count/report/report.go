// Package report holds the result document of one count and its CSV form. It is pure Go and does no I/O itself.
package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"cattlecounter/shared/cell"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// Schema is the version of the result document. It changes only when readers of the older version would read wrong
// values; fields may be added at any time.
const Schema = 1

// Result is the result document of one piece of footage. Everything but Timings is the same whenever the same footage
// is counted with the same model and options.
type Result struct {
	Schema  int        `json:"schema"`
	Footage footage.ID `json:"footage,omitempty"` // empty for a file counted without a server
	Source  Source     `json:"source"`
	Model   Model      `json:"model"`
	Video   Video      `json:"video"`
	Reading Reading    `json:"reading"`
	Count   Count      `json:"count"`
	Visible []Visible  `json:"visible"`
	Tracks  []Track    `json:"tracks"`
	// NotCounted are the tracks that were seen and not counted, in order of ID.
	NotCounted []NotCounted `json:"not_counted"`
	Young      *Young       `json:"young,omitempty"`    // nil when it was not asked for
	Evidence   *Evidence    `json:"evidence,omitempty"` // nil when none was asked for
	Lines      []Line       `json:"lines,omitempty"`    // in order of their definitions
	Zones      []Zone       `json:"zones,omitempty"`
	Place      *Place       `json:"place,omitempty"` // nil when positions were not looked for
	Warnings   []Warning    `json:"warnings"`
	Timings    Timings      `json:"timings"`
}

// Source is the file that was counted.
type Source struct {
	Name   string         `json:"name"`
	Size   int64          `json:"size"` // bytes
	SHA256 footage.Digest `json:"sha256"`
}

// Model is the detector and its settings.
type Model struct {
	Name      string         `json:"name"`
	Digest    footage.Digest `json:"digest"` // SHA-256 of the ONNX file
	Provider  string         `json:"provider"`
	Threshold float64        `json:"threshold"`
	Tile      int            `json:"tile"`    // pixels, 0 for whole frames
	Overlap   float64        `json:"overlap"` // share of a tile
}

// Video describes the footage as decoded.
type Video struct {
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	FPS       float64 `json:"fps"`
	Frames    int     `json:"frames"`   // decoded
	Steps     int     `json:"steps"`    // frames through which the camera and the animals were followed
	Every     int     `json:"every"`    // frames from one step to the next
	Analysed  int     `json:"analysed"` // steps at which the detector looked at the frame or a part of it
	Tiles     int     `json:"tiles"`    // that the detector looked at
	Duration  float64 `json:"duration_seconds"`
	Codec     string  `json:"codec"`
	Container string  `json:"container"`
}

// Reading tells what was read of the footage.
type Reading struct {
	Expected    int          `json:"expected_frames,omitempty"` // announced by the container, 0 when it does not
	Decoded     int          `json:"decoded_frames"`
	Damaged     int          `json:"damaged_frames"`  // of the decoded ones
	LostPackets int          `json:"lost_packets"`    // that cannot be decoded
	Missing     []Part       `json:"missing_seconds"` // missing or damaged parts
	TimeJumps   []TimeJumpAt `json:"time_jumps,omitempty"`
	Sizes       []SizeFrom   `json:"sizes,omitempty"` // changes of the size of the picture
	TimeBase    string       `json:"time_base,omitempty"`
	Rotation    int          `json:"rotation"` // degrees counterclockwise by which a player turns the picture
	PixelFormat string       `json:"pixel_format,omitempty"`
	Recorded    time.Time    `json:"recorded,omitzero"` // by the container
	Streams     []Stream     `json:"streams"`
}

// Part is a part of the footage.
type Part struct {
	From float64 `json:"from"` // seconds
	To   float64 `json:"to"`
}

// TimeJumpAt is a place where the time stamps do not fit the frames.
type TimeJumpAt struct {
	At float64 `json:"at"` // seconds
	By float64 `json:"by"` // seconds, negative for a clock that restarts
}

// SizeFrom is a change of the size of the picture.
type SizeFrom struct {
	From   float64 `json:"from"` // seconds
	Width  int     `json:"width"`
	Height int     `json:"height"`
}

// Stream is one stream of the container.
type Stream struct {
	Type   string `json:"type"` // video, audio, data, subtitle or attachment
	Codec  string `json:"codec"`
	Name   string `json:"name,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Frames int    `json:"frames,omitempty"` // 0 when unknown
	Cover  bool   `json:"cover,omitempty"`  // a still picture for players
	Chosen bool   `json:"chosen,omitempty"` // the one that was counted
}

// Count is the number of different animals, with a 95 % interval.
type Count struct {
	Unique  int            `json:"unique"`
	Low     int            `json:"low"`
	High    int            `json:"high"`
	ByClass map[string]int `json:"by_class"`
	// OtherAnimals are animals that the model takes for others than cattle, by class. They are not in Unique.
	OtherAnimals map[string]int `json:"other_animals,omitempty"`
	Method       string         `json:"method"`
}

// Method describes how Unique is found.
const Method = "tracks in ground coordinates with camera motion from the background, counted when confirmed by several detections"

// Visible is the largest number of animals in one frame of a second of footage.
type Visible struct {
	Second  int `json:"second"`
	Animals int `json:"animals"`
}

// Track is one counted animal.
type Track struct {
	ID         int     `json:"id"`
	Label      string  `json:"label"`
	FirstFrame int     `json:"first_frame"`
	LastFrame  int     `json:"last_frame"`
	Detections int     `json:"detections"`
	Confidence float64 `json:"confidence"` // mean score, 0..1
	Best       Best    `json:"best"`
	// Segment is the piece of footage that the ground coordinates of Way belong to. Coordinates of different segments are
	// unrelated.
	Segment int        `json:"segment"`
	Way     []Waypoint `json:"way"` // in order of time, at most WayPoints
	// Young is the probability that the animal is young; nil when it was not asked for or is not known.
	Young *float64 `json:"young_probability,omitempty"`
	// Position is nil when it is not known. Offset is set instead when there is no flight log.
	Position *Position `json:"position,omitempty"`
	Offset   *Offset   `json:"offset,omitempty"`
}

// Young tells adults and young animals among the counted ones apart, by their length relative to the herd.
type Young struct {
	// Unknown is why there is no answer, and empty otherwise: too-few animals were seen whole, or the view is oblique.
	Unknown    string `json:"unknown,omitempty"`
	Young      int    `json:"young"`
	Low        int    `json:"young_low"` // 95 % interval of the young among the measured animals
	High       int    `json:"young_high"`
	Adults     int    `json:"adults"`
	Unmeasured int    `json:"unmeasured"` // animals that were never seen whole
}

// WayPoints bounds the way of one track in the document.
const WayPoints = 32

// Waypoint is the place of an animal on the ground at one detection.
type Waypoint struct {
	Frame   int     `json:"frame"`
	Seconds float64 `json:"seconds"`
	X       float64 `json:"x"` // pixels of the first frame of the segment
	Y       float64 `json:"y"`
	// Box is the detection, x1, y1, x2, y2 in pixels of the frame. Documents of older versions have none.
	Box *[4]float64 `json:"box,omitempty"`
}

// NotCounted is a track that was not counted, and why, so that a reviewer can disagree.
type NotCounted struct {
	ID int `json:"id"`
	// Reason is too-brief (too few looks to tell), weak (low scores, or looks without a detection), part-of (a part of
	// another animal), same-as (a further track of another animal), outside (its middle was never in the picture) or
	// size (much larger or smaller than the animals around it) or other-animal (listed in Count.OtherAnimals).
	Reason     string  `json:"reason"`
	Of         int     `json:"of,omitempty"` // the track that stands for the animal, for part-of and same-as
	FirstFrame int     `json:"first_frame"`
	LastFrame  int     `json:"last_frame"`
	Detections int     `json:"detections"`
	Confidence float64 `json:"confidence"` // mean score, 0..1
	Best       Best    `json:"best"`
}

// Evidence lists the files that were made for a person who checks the count. Their names begin like that of this
// document and end as Ending says.
type Evidence struct {
	Video   *EvidenceVideo `json:"video,omitempty"`   // the footage with boxes, IDs and the running count
	Sheet   *EvidenceFile  `json:"sheet,omitempty"`   // the whole flown ground with every counted animal marked once
	Contact []EvidenceFile `json:"contact,omitempty"` // one picture of each counted animal, by page
}

// EvidenceFile is one file.
type EvidenceFile struct {
	Ending string `json:"ending"` // such as .sheet.jpg
	Bytes  int64  `json:"bytes"`
}

// EvidenceVideo is the annotated video.
type EvidenceVideo struct {
	EvidenceFile
	Width    int     `json:"width"` // pixels
	Height   int     `json:"height"`
	Pictures int     `json:"pictures"`
	Seconds  float64 `json:"duration_seconds"`
}

// Endings of the files of a result after their common beginning.
const (
	VideoEnding = "." + wire.AnnotatedExt
	SheetEnding = "." + wire.SheetExt
)

// ContactEnding is the ending of a page of the contact sheet, from 1.
func ContactEnding(page int) string { return "." + wire.ContactExt(page) }

// Best is the detection of an animal with the highest score.
type Best struct {
	Frame int        `json:"frame"`
	Box   [4]float64 `json:"box"` // x1, y1, x2, y2 in pixels of the frame
	Score float64    `json:"score"`
}

// Warning is a reason for less trust in the count.
type Warning struct {
	Code string `json:"code"` // stable, for programs
	Text string `json:"text"`
}

// Codes of warnings. The codes of package condition are warnings too: thermal, gray, underexposed, night, overexposed,
// snow, fog and blurred.
const (
	CameraLost  = "camera-lost"  // the motion of the camera is unknown for a part of the clip
	NoTelemetry = "no-telemetry" // no ground positions
	Sparse      = "sparse"       // too few frames to confirm animals well
	NoFrameRate = "no-frame-rate"
	Damaged     = "damaged"     // parts of the footage are missing or damaged
	TimeJump    = "time-jump"   // the time stamps jump
	SizeChange  = "size-change" // the size of the picture changes
	LineLost    = "line-lost"   // a line or a zone is not judged for all animals
	NoEvidence  = "no-evidence" // the annotated video or a sheet cannot be made; the count is not affected
)

// Timings tells how long the parts of the count took.
type Timings struct {
	TotalSeconds  float64 `json:"total_seconds"`
	FramesPerSec  float64 `json:"frames_per_second"` // of footage, decoded
	DetectSeconds float64 `json:"detect_seconds"`    // in detection, summed over parallel frames
}

// WriteJSON writes the document, indented, with a newline at the end.
func (r Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteCSV writes a header line and one line per counted animal. New columns are added at the end.
func (r Result) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"id", "label", "first_frame", "last_frame", "detections", "confidence", "best_frame", "x1",
		"y1", "x2", "y2", "model", "model_sha256"}}
	for _, t := range r.Tracks {
		row := []string{
			strconv.Itoa(t.ID), cell.Text(t.Label), strconv.Itoa(t.FirstFrame), strconv.Itoa(t.LastFrame),
			strconv.Itoa(t.Detections), strconv.FormatFloat(t.Confidence, 'f', 3, 64), strconv.Itoa(t.Best.Frame),
		}
		for _, v := range t.Best.Box {
			row = append(row, strconv.FormatFloat(v, 'f', 1, 64))
		}
		rows = append(rows, append(row, cell.Text(r.Model.Name), r.Model.Digest.String()))
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("write result as CSV: %w", err)
	}
	return nil
}
