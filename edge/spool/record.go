package spool

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"cattlecounter/shared/footage"
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

// letter stands for the part in keys.
func (p Part) letter() byte {
	if p == Thumbnail {
		return 'i' // image: t is telemetry's
	}
	return p[0]
}

// Source is a file on the card. Its identity is all three fields: a file that
// was written anew under an old name is another file.
type Source struct {
	Path    string // as the file system has it, which need not be UTF-8
	Size    int64
	ModTime time.Time
}

// storedSource is the JSON form of a Source. JSON holds nothing but UTF-8: a
// path with other bytes, as cards have them that are mounted with the wrong
// character set, is kept in raw besides.
type storedSource struct {
	Path    string    `json:"path"`
	Raw     []byte    `json:"raw,omitempty"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mod_time"`
}

// MarshalJSON implements json.Marshaler.
func (s Source) MarshalJSON() ([]byte, error) {
	out := storedSource{Path: s.Path, Size: s.Size, ModTime: s.ModTime}
	if !utf8.ValidString(s.Path) {
		out.Path, out.Raw = printable(s.Path), []byte(s.Path)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Source) UnmarshalJSON(b []byte) error {
	var in storedSource
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = Source{Path: in.Path, Size: in.Size, ModTime: in.ModTime}
	if in.Raw != nil {
		s.Path = string(in.Raw)
	}
	return nil
}

// printable is a name for people, records and the cloud.
func printable(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// Same compares identities.
func (s Source) Same(o Source) bool {
	return s.Path == o.Path && s.Size == o.Size && s.ModTime.Equal(o.ModTime)
}

// Transfer is the book-keeping of one part's upload. The server's offset always
// wins over Offset, which only says how far it was when last heard of.
type Transfer struct {
	URL    string `json:"url,omitempty"` // the tus upload, empty before the first and after a lost one
	Offset int64  `json:"offset"`        // bytes
	Done   bool   `json:"done"`          // the server has every byte
}

// Count is the cloud's final count.
type Count struct {
	Unique int `json:"unique"`
	Low    int `json:"low"` // 95 % interval
	High   int `json:"high"`
}

// Record is what the spool knows about one piece of footage; it stays when the
// content is gone.
type Record struct {
	ID        footage.ID     `json:"id"`
	Seq       int64          `json:"seq"` // order of capture on this device, independent of any clock
	State     State          `json:"state"`
	Priority  int            `json:"priority,omitempty"` // higher goes first over the link, see SetPriority
	Name      string         `json:"name"`               // base name on the card
	Source    Source         `json:"source"`
	Telemetry *Source        `json:"telemetry,omitempty"`
	SHA256    footage.Digest `json:"sha256"`
	Video     Transfer       `json:"video"`
	Sidecar   Transfer       `json:"sidecar"`
	Thumbnail Transfer       `json:"thumbnail,omitzero"`
	// HasThumbnail says that the manifest has one.
	HasThumbnail bool       `json:"has_thumbnail,omitempty"`
	DuplicateOf  footage.ID `json:"duplicate_of,omitempty"`
	Reason       string     `json:"reason,omitempty"` // why quarantined
	// Stale says that the source changed or is gone: it is not read before the
	// watcher reports it anew.
	Stale bool `json:"stale,omitempty"`
	// Attempt counts how often reading or uploading began anew. Within one the
	// state never goes back.
	Attempt int `json:"attempt,omitempty"`
	// Told bounds the offsets of this attempt that subscribers may have heard of.
	Told int64 `json:"told,omitempty"`
	// HashFaults counts how often the cloud found another digest than ours.
	HashFaults int        `json:"hash_faults,omitempty"`
	Job        *topic.Job `json:"job,omitempty"`
	Count      *Count     `json:"count,omitempty"`
	Updated    time.Time  `json:"updated"`

	// The rest lives in memory only.

	Waiting string  `json:"-"` // why nothing moves just now, empty when it does
	Rate    float64 `json:"-"` // bytes per second, 0 when not moving
	Read    int64   `json:"-"` // bytes read from the card so far

	jobKept time.Time // when Job was last written, by the monotonic clock
}

// again forgets how far every part of the upload was: it begins anew.
func (r *Record) again() {
	r.Video, r.Sidecar, r.Thumbnail = Transfer{}, Transfer{}, Transfer{}
}

// Transfer returns the book-keeping of a part.
func (r *Record) Transfer(p Part) *Transfer {
	switch p {
	case Telemetry:
		return &r.Sidecar
	case Thumbnail:
		return &r.Thumbnail
	}
	return &r.Video
}
