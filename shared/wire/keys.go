package wire

import (
	"fmt"

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

// ResultKey is the blob key of one form of a result: ext is json, csv, jpg or CrossingsExt.
// Repeating a job with the same model writes the same keys.
func ResultKey(id footage.ID, model footage.Digest, ext string) string {
	return fmt.Sprintf("footage/%s/result/%s.%s", id, model, ext)
}
