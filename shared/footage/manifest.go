package footage

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ManifestVersion is the version that this code writes and the only one it reads.
const ManifestVersion = 1

// ChunkSize is the size in bytes of every chunk but the last one of a file.
const ChunkSize = 4 << 20

// MaxThumbnail is the most bytes a thumbnail has.
const MaxThumbnail = 512 << 10

// Chunk describes bytes [Index*ChunkSize, Index*ChunkSize+Size) of a file.
type Chunk struct {
	Index  int    `json:"index"`
	Size   int64  `json:"size"`
	SHA256 Digest `json:"sha256"`
}

// File describes the content of one file cut into chunks.
type File struct {
	Name   string  `json:"name"` // SafeName of the base name on the card
	Size   int64   `json:"size"` // bytes
	SHA256 Digest  `json:"sha256"`
	Chunks []Chunk `json:"chunks"`
}

// Manifest is written once, after every chunk it names is durable. Its presence
// says that the footage is completely spooled.
type Manifest struct {
	Version  int       `json:"version"`
	Footage  ID        `json:"footage"`
	Captured time.Time `json:"captured"` // UTC; zero when no plausible time is known
	// CapturedFrom is where Captured comes from. "" with a time is the modification time on the card.
	CapturedFrom TimeSource `json:"captured_from,omitempty"`
	Video        File       `json:"video"`
	// Telemetry is the drone's .SRT sidecar, nil when there was none.
	Telemetry *File `json:"telemetry,omitempty"`
	// Thumbnail is a small JPEG that the camera left, nil when there was none.
	Thumbnail *File `json:"thumbnail,omitempty"`
	// TelemetryOf marks the manifest of a flight log that arrived after its video: Video is the log, and TelemetryOf the
	// footage of the video.
	TelemetryOf ID `json:"telemetry_of,omitempty"`
}

// DecodeManifest parses and validates JSON. The error wraps ErrInvalid.
func DecodeManifest(b []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w: %w", err, ErrInvalid)
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Validate checks that the manifest describes whole files without gaps. Every
// fault is reported; the error wraps ErrInvalid.
func (m Manifest) Validate() error {
	var errs []error
	if m.Version != ManifestVersion {
		errs = append(errs, fmt.Errorf("version %d, want %d", m.Version, ManifestVersion))
	}
	if _, err := ParseID(string(m.Footage)); err != nil {
		errs = append(errs, err)
	}
	if m.TelemetryOf != "" {
		if _, err := ParseID(string(m.TelemetryOf)); err != nil {
			errs = append(errs, fmt.Errorf("telemetry_of: %w", err))
		}
	}
	errs = append(errs, m.Video.validate("video"))
	if m.Telemetry != nil {
		errs = append(errs, m.Telemetry.validate("telemetry"))
	}
	if m.Thumbnail != nil {
		errs = append(errs, m.Thumbnail.validate("thumbnail"))
		if m.Thumbnail.Size > MaxThumbnail {
			errs = append(errs, fmt.Errorf("thumbnail: %d bytes, at most %d", m.Thumbnail.Size, MaxThumbnail))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("manifest %q: %w: %w", m.Footage, err, ErrInvalid)
	}
	return nil
}

func (f File) validate(what string) error {
	var errs []error
	if f.SHA256.IsZero() {
		errs = append(errs, fmt.Errorf("%s: no sha256", what))
	}
	if f.Size <= 0 {
		errs = append(errs, fmt.Errorf("%s: size %d", what, f.Size))
	}
	left := f.Size
	for i, c := range f.Chunks {
		want := min(left, ChunkSize)
		if c.Index != i || c.Size != want || want <= 0 || c.SHA256.IsZero() {
			return errors.Join(append(errs, fmt.Errorf("%s: chunk %d has index %d and size %d, want size %d", what, i, c.Index,
				c.Size, want))...)
		}
		left -= c.Size
	}
	if left != 0 {
		errs = append(errs, fmt.Errorf("%s: chunks miss %d of %d bytes", what, left, f.Size))
	}
	return errors.Join(errs...)
}
