package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const notBuilt = `The page of CattleCounter was not built into this program.

Build it with  npm ci && npm run build  in cloud/server/dashboard, then build cloud-api again.
The API works without it: /api/v1/openapi.yaml describes it.
`

var pageMedia = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".json": "application/json",
	".webmanifest": "application/manifest+json", ".txt": "text/plain; charset=utf-8", ".map": "application/json",
}

// views are the first parts of the paths that the page itself understands, as in dashboard/src/router.ts.
var views = []string{"flights", "flight", "footage", "map", "history", "stations", "queue", "paddocks", "surveys", "shared", "settings",
	"programs"}

// compressions are the codings of the compressed copies of files, best first, with their endings.
var compressions = []struct{ coding, ending string }{{"br", ".br"}, {"gzip", ".gz"}}

// static has the files of the page in memory.
type static struct{ files map[string]asset }

type asset struct {
	text   []byte
	coded  map[string][]byte // compressed copies by coding
	media  string
	digest string
	// fixed means that the content of the path never changes: its name has a digest.
	fixed bool
}

func newStatic(from fs.FS) (*static, error) {
	s := &static{files: map[string]asset{}}
	if from == nil {
		return s, nil
	}
	return s, fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		media, known := pageMedia[path.Ext(name)]
		if err != nil || d.IsDir() || !known {
			return err
		}
		a := asset{media: media, coded: map[string][]byte{}, fixed: strings.HasPrefix(path.Base(name), "part-")}
		if a.text, err = fs.ReadFile(from, name); err != nil {
			return err
		}
		for _, c := range compressions {
			if b, err := fs.ReadFile(from, name+c.ending); err == nil {
				a.coded[c.coding] = b
			}
		}
		sum := sha256.Sum256(a.text)
		a.digest = hex.EncodeToString(sum[:12])
		s.files["/"+name] = a
		return nil
	})
}

// servePage serves the page and what it loads.
func (s *Server) servePage(c *fiber.Ctx) error {
	name := path.Clean("/" + strings.TrimPrefix(string(c.Context().Path()), "/"))
	if first, _, _ := strings.Cut(name[1:], "/"); name == "/" || slices.Contains(views, first) {
		name = "/index.html"
		if _, built := s.page.files[name]; !built {
			c.Set(fiber.HeaderContentType, pageMedia[".txt"])
			return c.SendString(notBuilt)
		}
	}
	a, ok := s.page.files[name]
	if !ok {
		return fiber.ErrNotFound
	}
	body, tag := a.text, `"`+a.digest+`"`
	if len(a.coded) > 0 {
		c.Vary(fiber.HeaderAcceptEncoding)
	}
	for _, x := range compressions {
		if b := a.coded[x.coding]; b != nil && accepts(c.Get(fiber.HeaderAcceptEncoding), x.coding) {
			body, tag = b, `"`+a.digest+"-"+x.coding+`"`
			c.Set(fiber.HeaderContentEncoding, x.coding)
			break
		}
	}
	c.Set(fiber.HeaderContentType, a.media)
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	if a.fixed {
		c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	}
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		c.Response().Header.Del(fiber.HeaderContentEncoding)
		c.Status(fiber.StatusNotModified)
		return nil
	}
	return c.Send(body)
}

// accepts reports whether a header Accept-Encoding names a coding with a weight above 0 (RFC 9110, section 12.5.3).
func accepts(header, coding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, parameter, weighted := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), coding) {
			continue
		}
		_, q, found := strings.Cut(parameter, "=")
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || found && err == nil && weight > 0
	}
	return false
}
