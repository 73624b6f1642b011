package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
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

// static has the files of the page in memory.
type static struct{ files map[string]asset }

type asset struct {
	text  []byte
	media string
	tag   string
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
		text, err := fs.ReadFile(from, name)
		sum := sha256.Sum256(text)
		s.files["/"+name] = asset{text: text, media: media, tag: `"` + hex.EncodeToString(sum[:12]) + `"`}
		return err
	})
}

// servePage serves the page and what it loads.
func (s *Server) servePage(c *fiber.Ctx) error {
	name := path.Clean("/" + strings.TrimPrefix(string(c.Context().Path()), "/"))
	if name == "/" {
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
	c.Set(fiber.HeaderContentType, a.media)
	c.Set(fiber.HeaderETag, a.tag)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	if matches(c.Get(fiber.HeaderIfNoneMatch), a.tag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	return c.Send(a.text)
}
