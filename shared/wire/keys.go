package wire

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"cattlecounter/shared/footage"
)

// VideoKey is the blob key of a video. Each upload session has its own key:
// two sessions may bring the same footage to two servers, and the one that is not
// recorded must not overwrite the blob of the other.
func VideoKey(id footage.ID, session string, c footage.Container) string {
	return fmt.Sprintf("footage/%s/original-%s.%s", id, session, c)
}

// TelemetryKey is the blob key of the telemetry sidecar of a video.
func TelemetryKey(id footage.ID) string { return fmt.Sprintf("footage/%s/telemetry.srt", id) }

// ThumbnailKey is the blob key of the thumbnail of a video.
func ThumbnailKey(id footage.ID) string { return fmt.Sprintf("footage/%s/thumbnail.jpg", id) }

// StatusKey is the blob key of the status sidecar: the last progress of the job,
// in the form of topic.Job.
func StatusKey(id footage.ID) string { return fmt.Sprintf("footage/%s/%s", id, StatusName) }

// StatusName is the file name of the status sidecar.
const StatusName = "video_status.json"

// CrossingsExt is the ext of the crossings of lines and the visits of zones.
const CrossingsExt = "crossings.csv"

// Forms of a result that a person checks a count with.
const (
	AnnotatedExt = "annotated.mp4" // the footage with boxes, track numbers and the running count
	SheetExt     = "sheet.jpg"     // the flown ground with every counted animal marked once
	GroundExt    = "ground"        // small pictures of the flown ground, for the sheet of the flight
)

// ContactExt is the form of a page of the contact sheet, from 1: a picture of each counted animal.
func ContactExt(page int) string { return fmt.Sprintf("contact-%d.jpg", page) }

// IsEvidence reports whether a blob key is that of an annotated video, a count sheet, the pictures for one or a page of a
// contact sheet.
func IsEvidence(key string) bool {
	_, ext, _ := strings.Cut(path.Base(key), ".")
	return ext == AnnotatedExt || ext == SheetExt || ext == GroundExt || strings.HasPrefix(ext, "contact-") && strings.HasSuffix(ext, ".jpg")
}

// ResultPrefix begins the blob keys of all results of a footage.
func ResultPrefix(id footage.ID) string { return fmt.Sprintf("footage/%s/result/", id) }

// TraceKey is the blob key of what the count of footage left for the count of its flight.
func TraceKey(id footage.ID, model footage.Digest, fence int64) string {
	return ResultKey(id, model, fence, "trace")
}

// FlightKey is the blob key of the result document of a flight. Each joining writes another one, whose digest no other
// joining has.
func FlightKey(joining footage.Digest) string { return fmt.Sprintf("%s%s.json", FlightPrefix, joining) }

// FlightPrefix begins the blob keys of all results of flights.
const FlightPrefix = "flights/"

// FlightCrossingsKey is the blob key of the crossings that belong to the result document of a flight.
func FlightCrossingsKey(result string) string {
	return strings.TrimSuffix(result, ".json") + "." + CrossingsExt
}

// FlightSheetKey is the blob key of the count sheet that belongs to the result document of a flight.
func FlightSheetKey(result string) string {
	return strings.TrimSuffix(result, ".json") + "." + SheetExt
}

// GroundKey is the blob key of the pictures of the ground that belong to a trace.
func GroundKey(trace string) string { return strings.TrimSuffix(trace, ".trace") + "." + GroundExt }

// ResultKey is the blob key of one form of a result: ext is json, csv, jpg, CrossingsExt,
// AnnotatedExt, SheetExt, GroundExt or a ContactExt. fence is that of the attempt: a recount writes
// beside the result that counts until the ledger names the new one.
func ResultKey(id footage.ID, model footage.Digest, fence int64, ext string) string {
	return fmt.Sprintf("%s%s-%d.%s", ResultPrefix(id), model, fence, ext)
}

// ResultFence returns the fence of the attempt that wrote the key of a result. It is 0 for
// the keys of earlier versions, which had none.
func ResultFence(key string) int64 {
	name, _, _ := strings.Cut(path.Base(key), ".")
	_, number, _ := strings.Cut(name, "-")
	fence, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return fence
}
