package intake

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// newUpload makes the session that the metadata describes. The device is the
// token's: what the client writes about it is ignored.
func newUpload(d ledger.Device, meta map[string]string, size int64, deferred bool, now time.Time) (ledger.Upload,
	error) {
	u := ledger.Upload{ID: string(footage.NewID(now)), Device: d.Name, Site: d.Site, Size: size, Deferred: deferred,
		Metadata: meta}
	m, err := wire.ReadMetadata(meta)
	if err != nil {
		var bad *wire.MetadataError
		if errors.As(err, &bad) {
			return u, badMetadata(bad.Key, bad.Err)
		}
		return u, err
	}
	u.Footage, u.SHA256, u.Captured, u.Kind = m.Footage, m.SHA256, m.Captured, m.Kind
	if u.Footage == "" {
		u.Footage = footage.NewID(now)
	}
	u.Name = cleanName(m.Filename, u.Footage)
	if !footage.IsPlausible(u.Captured, now, footage.IsPlausible(now, now, false)) {
		u.Captured = time.Time{} // a client whose drone's clock was wrong
	}
	switch u.Kind {
	case wire.KindTelemetry:
		u.BlobKey = wire.TelemetryKey(u.Footage)
	case wire.KindThumbnail:
		u.BlobKey = wire.ThumbnailKey(u.Footage)
	case wire.KindVideo:
		return u, nil
	}
	most := u.Kind.MaxSize()
	if deferred {
		return u, badMetadata(wire.MetaKind,
			fmt.Errorf("an upload of kind %s must have an Upload-Length when it is created", u.Kind))
	}
	if size > most {
		return u, problem.New(wire.SlugTooLarge,
			"The file has %d bytes. An upload of kind %s may have at most %d.", size, u.Kind, most)
	}
	return u, nil
}

func badMetadata(key string, err error) error {
	return problem.New(wire.SlugBadMetadata, "Metadata %s: %v.", key, err)
}

// cleanName returns the base name of a file in the form of footage.SafeName. People recognize the file by it; it is never
// used as a path. A browser on Windows may send a whole path.
func cleanName(name string, id footage.ID) string {
	name = path.Base(name)
	if windowsPath.MatchString(name) {
		name = name[strings.LastIndex(name, `\`)+1:]
	}
	name = strings.TrimSpace(name)
	if name == "" || name == "." || name == ".." || name == "/" {
		return string(id)
	}
	return footage.SafeName(name)
}

// windowsPath matches a path with a drive or a server.
var windowsPath = regexp.MustCompile(`^([A-Za-z]:\\|\\\\)`)
