package spool

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

// Part is one of the files that belong to a piece of footage.
type Part string

// Parts.
const (
	Video     Part = "video"
	Telemetry Part = "telemetry"
	Thumbnail Part = "thumbnail"
)

// keyLetter names the part in keys.
func (p Part) keyLetter() byte {
	if p == Thumbnail {
		return 'i' // for image, because t is for telemetry
	}
	return p[0]
}

// Source is a file on the card. Path, size, time and fingerprint together are its identity. A new file under an old
// name is another file. The fingerprint tells them apart even if a camera whose clock was reset repeats size and time.
type Source struct {
	Path    string // as in the file system, not always valid UTF-8
	Size    int64
	ModTime time.Time
	// Print is the fingerprint of the content (edge/cardfile), zero in records of releases that had none.
	Print footage.Digest
}

// storedSource is the JSON form of a Source. JSON holds only UTF-8. Cards that are mounted with the wrong character
// set have paths with other bytes; raw keeps such a path.
type storedSource struct {
	Path    string         `json:"path"`
	Raw     []byte         `json:"raw,omitempty"`
	Size    int64          `json:"size"`
	ModTime time.Time      `json:"mod_time"`
	Print   footage.Digest `json:"print,omitzero"`
}

// MarshalJSON implements json.Marshaler.
func (s Source) MarshalJSON() ([]byte, error) {
	out := storedSource{Path: s.Path, Size: s.Size, ModTime: s.ModTime, Print: s.Print}
	if !utf8.ValidString(s.Path) {
		out.Path, out.Raw = strings.ToValidUTF8(s.Path, "\uFFFD"), []byte(s.Path)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Source) UnmarshalJSON(b []byte) error {
	var in storedSource
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = Source{Path: in.Path, Size: in.Size, ModTime: in.ModTime, Print: in.Print}
	if in.Raw != nil {
		s.Path = string(in.Raw)
	}
	return nil
}

// Same reports whether both are the same file.
func (s Source) Same(o Source) bool { return s.sameName(o) && s.Print == o.Print }

// sameName reports whether path, size and time are equal, whatever the content is.
func (s Source) sameName(o Source) bool {
	return s.Path == o.Path && s.Size == o.Size && s.ModTime.Equal(o.ModTime)
}

// sameButTime reports whether path, size and fingerprint are equal and the time is not.
func (s Source) sameButTime(o Source) bool {
	return s.Path == o.Path && s.Size == o.Size && !s.Print.IsZero() && s.Print == o.Print && !s.ModTime.Equal(o.ModTime)
}

// mayBeSame reports whether both may be the same file: at least one has no fingerprint, or both have the same.
func (s Source) mayBeSame(o Source) bool {
	return s.sameName(o) && (s.Print == o.Print || s.Print.IsZero() || o.Print.IsZero())
}

// Transfer is the state of one part's upload. Offset is the last one that is known here; the
// server's own offset always decides.
type Transfer struct {
	URL    string `json:"url,omitempty"` // of the tus upload, "" before the first and after a lost one
	Offset int64  `json:"offset"`        // bytes
	Done   bool   `json:"done"`          // the server has every byte
}

// Count is the cloud's final count.
type Count struct {
	Unique int `json:"unique"`
	Low    int `json:"low"` // 95 % interval
	High   int `json:"high"`
	// JobSeq is the number of the newest job message that was known when the count was fetched. The cloud can count
	// footage again: a later message that the job is done tells of another count.
	JobSeq int64 `json:"job_seq,omitempty"`
}

// Record is what the spool knows about one piece of footage. It stays after the content was
// deleted.
type Record struct {
	ID        footage.ID     `json:"id"`
	Seq       int64          `json:"seq"` // order of capture on this device, independent of any clock
	State     State          `json:"state"`
	Priority  int            `json:"priority,omitempty"` // the highest is sent first, see Records.SetPriority
	Name      string         `json:"name"`               // base name on the card
	Source    Source         `json:"source"`
	Telemetry *Source        `json:"telemetry,omitempty"`
	SHA256    footage.Digest `json:"sha256"`
	// TelemetrySHA256 is the digest of the spooled telemetry, zero without one. See TelemetryConfirmed.
	TelemetrySHA256 footage.Digest `json:"telemetry_sha256,omitzero"`
	// LogOf marks a flight log that arrived after its video: it is the footage of that video. The log has a record, a
	// manifest (with the log as its video) and chunks like footage, and is uploaded as telemetry of LogOf.
	LogOf     footage.ID `json:"log_of,omitempty"`
	Video     Transfer   `json:"video"`
	Sidecar   Transfer   `json:"sidecar"`
	Thumbnail Transfer   `json:"thumbnail,omitzero"`
	// HasThumbnail is true when the manifest has a thumbnail.
	HasThumbnail bool `json:"has_thumbnail,omitempty"`
	// Captured is when the video was recorded, zero when that is not known, and CapturedFrom where that time is from.
	Captured     time.Time          `json:"captured,omitzero"`
	CapturedFrom footage.TimeSource `json:"captured_from,omitempty"`
	DuplicateOf  footage.ID         `json:"duplicate_of,omitempty"`
	Reason       string             `json:"reason,omitempty"` // why quarantined
	// Stale is true when the source changed or is missing. It is read only after the watcher
	// reports it again.
	Stale bool `json:"stale,omitempty"`
	// UploadedAs is the id under which the cloud knows the footage, when ID is in use there
	// for other footage; "" means ID. IDsTaken counts such refusals since the last success.
	UploadedAs footage.ID `json:"uploaded_as,omitempty"`
	IDsTaken   int        `json:"ids_taken,omitempty"`
	// Attempt counts how often reading or uploading restarted. Within an attempt the state
	// never goes back.
	Attempt int `json:"attempt,omitempty"`
	// Published bounds the offsets of this attempt that subscribers may know.
	Published int64 `json:"told,omitempty"`
	// HashFaults counts how often the content arrived at the cloud with a wrong digest.
	HashFaults int        `json:"hash_faults,omitempty"`
	Job        *topic.Job `json:"job,omitempty"`
	Count      *Count     `json:"count,omitempty"`
	Updated    time.Time  `json:"updated"`

	// The fields below are in memory only.

	Waiting string  `json:"-"` // why the footage does not move on now, "" when it does
	Rate    float64 `json:"-"` // bytes per second, 0 without a running upload
	Read    int64   `json:"-"` // bytes read from the card so far

	jobSaved time.Time // when Job was last written, by the monotonic clock
}

// TelemetryConfirmed reports whether the cloud has the spooled telemetry with the right digest. Telemetry that the
// cloud refused is done as well, but has no upload.
func (r *Record) TelemetryConfirmed() bool {
	return !r.TelemetrySHA256.IsZero() && r.Sidecar.Done && r.Sidecar.URL != ""
}

// CloudID returns the id under which the cloud knows the footage.
func (r *Record) CloudID() footage.ID {
	if r.UploadedAs != "" {
		return r.UploadedAs
	}
	return r.ID
}

// HasUpload reports whether the cloud has created an upload of a part, so that the cloud's id belongs to this device.
func (r *Record) HasUpload() bool {
	return r.Video.URL != "" || r.Sidecar.URL != "" || r.Thumbnail.URL != ""
}

// resetTransfers restarts the upload of every part.
func (r *Record) resetTransfers() {
	r.Video, r.Sidecar, r.Thumbnail = Transfer{}, Transfer{}, Transfer{}
}

// Transfer returns the upload state of a part.
func (r *Record) Transfer(p Part) *Transfer {
	switch p {
	case Telemetry:
		return &r.Sidecar
	case Thumbnail:
		return &r.Thumbnail
	}
	return &r.Video
}

// CountDue reports that the footage's job is done and that the count of it was not fetched since.
func (r Record) CountDue() bool {
	return r.Job != nil && r.Job.State == job.Done && (r.Count == nil || r.Count.JobSeq < r.Job.Seq)
}
