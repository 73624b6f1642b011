package beacon

import (
	"testing"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// A new id for the cloud is published only after the cloud has an upload under it: until
// then another device could take the id.
func TestNewIDIsPublishedWithItsUpload(t *testing.T) {
	sent := spool.Transfer{URL: "http://cloud/files/1"}
	for name, c := range map[string]struct {
		record spool.Record
		want   footage.ID
	}{
		"no upload yet":     {spool.Record{ID: "f", UploadedAs: "g", State: spool.Uploading}, ""},
		"thumbnail":         {spool.Record{ID: "f", UploadedAs: "g", State: spool.Spooled, Thumbnail: sent}, "g"},
		"telemetry":         {spool.Record{ID: "f", UploadedAs: "g", State: spool.Uploading, Sidecar: sent}, "g"},
		"video":             {spool.Record{ID: "f", UploadedAs: "g", State: spool.Reclaimed, Video: sent}, "g"},
		"the id is its own": {spool.Record{ID: "f", State: spool.Uploading, Video: sent}, ""},
	} {
		if got := new(Beacon).payload(c.record); got.UploadedAs != c.want || got.Footage != "f" {
			t.Errorf("%s: got uploaded_as %q of footage %s, want %q of f", name, got.UploadedAs, got.Footage, c.want)
		}
	}
}
