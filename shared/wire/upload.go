package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"cattlecounter/shared/footage"
)

// TusVersion is the version of the upload protocol
// (https://tus.io/protocols/resumable-upload) that both sides speak.
const TusVersion = "1.0.0"

// Headers of tus 1.0 that both sides read or write.
const (
	HeaderTusResumable   = "Tus-Resumable"
	HeaderUploadLength   = "Upload-Length"
	HeaderUploadOffset   = "Upload-Offset"
	HeaderUploadMetadata = "Upload-Metadata"
	HeaderUploadExpires  = "Upload-Expires"
)

// OffsetStream is the Content-Type of a PATCH with bytes of an upload.
const OffsetStream = "application/offset+octet-stream"

// Kind is the kind of file that an upload has.
type Kind string

// Kinds of uploads.
const (
	KindVideo     Kind = "video"
	KindTelemetry Kind = "telemetry" // the drone's .SRT sidecar; before or after its video
	KindThumbnail Kind = "thumbnail" // a small JPEG; before or after its video
)

// Kinds returns every kind.
func Kinds() []Kind { return []Kind{KindVideo, KindTelemetry, KindThumbnail} }

// MaxTelemetry is the most bytes of a telemetry sidecar that the cloud accepts.
const MaxTelemetry = 64 << 20

// MaxSize is the most bytes of this kind that the cloud accepts. It is 0 for a video:
// each server configures that limit and answers it as Tus-Max-Size.
func (k Kind) MaxSize() int64 {
	switch k {
	case KindTelemetry:
		return MaxTelemetry
	case KindThumbnail:
		return footage.MaxThumbnail
	}
	return 0
}

// Keys of Upload-Metadata.
const (
	MetaFilename = "filename"
	MetaFiletype = "filetype"
	MetaFootage  = "footage"
	MetaSHA256   = "sha256"
	MetaCaptured = "captured"
	MetaKind     = "kind"
)

// maxMetadata bounds the header Upload-Metadata, in bytes.
const maxMetadata = 8 << 10

// Metadata describes an upload, as the client sends it at its creation. The zero value of a
// field means "not known".
type Metadata struct {
	Filename string         // base name on the card
	Filetype string         // media type by that name; the server does not trust it
	Footage  footage.ID     // belongs to the device that first used it; the server makes one when it is empty
	SHA256   footage.Digest // of the whole file
	Captured time.Time
	Kind     Kind // KindVideo when it is empty
}

// Header returns the value of Upload-Metadata. Keys without a value are left out.
func (m Metadata) Header() string {
	captured := ""
	if !m.Captured.IsZero() {
		captured = m.Captured.UTC().Format(time.RFC3339)
	}
	var parts []string
	for _, p := range [][2]string{
		{MetaFilename, m.Filename}, {MetaFiletype, m.Filetype}, {MetaFootage, string(m.Footage)},
		{MetaSHA256, m.SHA256.String()}, {MetaCaptured, captured}, {MetaKind, string(m.Kind)},
	} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+base64.StdEncoding.EncodeToString([]byte(p[1])))
		}
	}
	return strings.Join(parts, ",")
}

// ParseMetadataHeader reads the header Upload-Metadata (tus 1.0, creation): pairs
// of a key and a base64 value, joined by commas. Unlike most servers it refuses a
// pair that it cannot read: a digest that is dropped unseen would not be checked.
func ParseMetadataHeader(header string) (map[string]string, error) {
	meta := map[string]string{}
	if strings.TrimSpace(header) == "" {
		return meta, nil
	}
	if len(header) > maxMetadata {
		return nil, fmt.Errorf("header has %d bytes, at most %d are allowed", len(header), maxMetadata)
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("key %.40q: want printable ASCII", key)
		}
		if _, twice := meta[key]; twice {
			return nil, fmt.Errorf("duplicate key %.40q", key)
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !utf8.Valid(value) {
			return nil, fmt.Errorf("value of %.40q: want base64 of UTF-8 text", key)
		}
		meta[key] = string(value)
	}
	return meta, nil
}

// MetadataError is a value of Upload-Metadata that cannot be used.
type MetadataError struct {
	Key string
	Err error
}

// Error implements error.
func (e *MetadataError) Error() string { return "metadata " + e.Key + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *MetadataError) Unwrap() error { return e.Err }

// Errors of metadata values.
var (
	errZeroDigest = errors.New("no file has a digest of zeros; leave the key out when the digest is not known")
	errKind       = fmt.Errorf("unknown kind, want one of %v", Kinds())
	errTime       = errors.New("want a time such as 2026-07-01T06:00:00Z (RFC 3339)")
)

// ReadMetadata checks the values that ParseMetadataHeader gave and ignores keys
// that it does not know. The error is a *MetadataError.
func ReadMetadata(meta map[string]string) (Metadata, error) {
	m := Metadata{Filename: meta[MetaFilename], Filetype: meta[MetaFiletype], Kind: KindVideo}
	var err error
	if s := meta[MetaFootage]; s != "" {
		if m.Footage, err = footage.ParseID(s); err != nil {
			return m, &MetadataError{MetaFootage, err}
		}
	}
	if s := meta[MetaSHA256]; s != "" {
		if m.SHA256, err = footage.ParseDigest(s); err == nil && m.SHA256.IsZero() {
			err = errZeroDigest
		}
		if err != nil {
			return m, &MetadataError{MetaSHA256, err}
		}
	}
	if s := meta[MetaCaptured]; s != "" {
		if m.Captured, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return m, &MetadataError{MetaCaptured, fmt.Errorf("%.40q: %w", s, errTime)}
		}
		m.Captured = m.Captured.UTC()
	}
	switch k := Kind(meta[MetaKind]); k {
	case "":
	case KindVideo, KindTelemetry, KindThumbnail:
		m.Kind = k
	default:
		return m, &MetadataError{MetaKind, fmt.Errorf("%.40q: %w", string(k), errKind)}
	}
	return m, nil
}
