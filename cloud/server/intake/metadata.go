package intake

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

const (
	maxMetadata  = 8 << 10 // bytes of the header
	maxName      = 255     // bytes of a file name
	maxTelemetry = 64 << 20
)

// parseMetadata reads the tus header Upload-Metadata (tus 1.0, creation): pairs
// of a key and a base64 value, joined by commas. It refuses what tusd skips in
// silence, because a digest that was dropped unseen would not be checked.
func parseMetadata(header string) (map[string]string, error) {
	meta := map[string]string{}
	if strings.TrimSpace(header) == "" {
		return meta, nil
	}
	if len(header) > maxMetadata {
		return nil, fmt.Errorf("header of %d bytes, at most %d", len(header), maxMetadata)
	}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("key %.40q: want printable ASCII", key)
		}
		if _, twice := meta[key]; twice {
			return nil, fmt.Errorf("key %.40q stands twice", key)
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !utf8.Valid(value) {
			return nil, fmt.Errorf("value of %.40q: want base64 of UTF-8 text", key)
		}
		meta[key] = string(value)
	}
	return meta, nil
}

// newUpload makes the session that the metadata describes. The device is the
// token's, whatever the client says.
func newUpload(d ledger.Device, meta map[string]string, size int64, deferred bool, now time.Time) (ledger.Upload, error) {
	bad := func(key string, err error) error {
		return problem(badMetadata, http.StatusBadRequest, "Metadata %s: %v.", key, err)
	}
	u := ledger.Upload{
		ID: string(footage.NewID(now)), Footage: footage.NewID(now), Device: d.Name, Site: d.Site,
		Kind: ledger.KindVideo, Size: size, Deferred: deferred, Metadata: meta,
	}
	var err error
	if s := meta["footage"]; s != "" {
		if u.Footage, err = footage.ParseID(s); err != nil {
			return u, bad("footage", err)
		}
	}
	if s := meta["sha256"]; s != "" {
		if u.SHA256, err = footage.ParseDigest(s); err != nil {
			return u, bad("sha256", err)
		}
		if u.SHA256.IsZero() { // which stands for none
			return u, bad("sha256", errors.New("all zeros is the digest of no file; leave it out when it is not known"))
		}
	}
	if s := meta["captured"]; s != "" {
		if u.Captured, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return u, bad("captured", fmt.Errorf("%.40q is not a time such as 2026-07-01T06:00:00Z (RFC 3339)", s))
		}
		u.Captured = u.Captured.UTC()
	}
	switch s := meta["kind"]; s {
	case "", ledger.KindVideo:
	case ledger.KindTelemetry:
		u.Kind, u.BlobKey = s, telemetryKey(u.Footage)
		if deferred {
			return u, bad("kind", fmt.Errorf("telemetry must say its Upload-Length at once"))
		}
		if size > maxTelemetry {
			return u, problem(tooLarge, http.StatusRequestEntityTooLarge, "Telemetry has %d bytes, at most %d are taken.", size, maxTelemetry)
		}
	case ledger.KindThumbnail:
		u.Kind, u.BlobKey = s, thumbnailKey(u.Footage)
		if deferred {
			return u, bad("kind", fmt.Errorf("a thumbnail must say its Upload-Length at once"))
		}
		if size > footage.MaxThumbnail {
			return u, problem(tooLarge, http.StatusRequestEntityTooLarge, "The thumbnail has %d bytes, at most %d are taken.", size, footage.MaxThumbnail)
		}
	default:
		return u, bad("kind", fmt.Errorf("%.40q is none of %s, %s and %s", s, ledger.KindVideo, ledger.KindTelemetry, ledger.KindThumbnail))
	}
	u.Name = cleanName(meta["filename"], u.Footage)
	return u, nil
}

// cleanName keeps what people need to recognise the file: its base name, by
// either kind of slash, without control characters. It is never used as a path.
func cleanName(name string, id footage.ID) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name))
	for len(name) > maxName {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	if name == "" || name == "." || name == ".." || name == "/" {
		return string(id)
	}
	return name
}

// videoKey is a session's own: of two that bring one piece of footage at two servers one is
// recorded, and the other must not have written over its blob.
func videoKey(id footage.ID, upload string, c footage.Container) string {
	return fmt.Sprintf("footage/%s/original-%s.%s", id, upload, c)
}

func thumbnailKey(id footage.ID) string { return fmt.Sprintf("footage/%s/thumbnail.jpg", id) }

func telemetryKey(id footage.ID) string { return fmt.Sprintf("footage/%s/telemetry.srt", id) }
