package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

var media = map[string]string{
	"json": fiber.MIMEApplicationJSON,
	"csv":  "text/csv; charset=utf-8",
	"jpg":  "image/jpeg",
	"mp4":  "video/mp4",
}

// privately is the Cache-Control of what is not for everybody: a browser asks each time whether it has changed, and a cache
// that several people share stores nothing.
const privately = "private, no-cache"

// file is a blob that a route serves.
type file struct {
	key, media, name string
	linkable         bool // "direct" may ask for a link to the storage
}

// sendFile serves the blob that find returns for the id in the path.
func (s *Server) sendFile(find func(context.Context, footage.ID) (file, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, err := idArg(c, "id")
		if err != nil {
			return err
		}
		f, err := find(c.UserContext(), id)
		if err != nil {
			return err
		}
		if direct := c.Query("direct"); direct != "" && f.linkable {
			return s.redirect(c, f.key, direct)
		}
		err = s.sendBlob(c, f)
		if errors.Is(err, blob.ErrNotFound) {
			// A new result may have replaced this one since find.
			again, findErr := find(c.UserContext(), id)
			if findErr == nil && again.key != f.key {
				return s.sendBlob(c, again)
			}
		}
		return err
	}
}

// result finds one of the files of a result; a duplicate has those of its original.
func (s *Server) result(ext string) func(context.Context, footage.ID) (file, error) {
	return func(ctx context.Context, id footage.ID) (file, error) {
		v, err := s.resultOf(ctx, id)
		if err != nil {
			return file{}, err
		}
		return resultFile(v, ext)
	}
}

// resultFile is one of the files of the result of footage.
func resultFile(v ledger.FootageView, ext string) (file, error) {
	if v.Job == nil || v.Job.ResultKey == "" {
		return file{}, fmt.Errorf("footage %s has no result yet: %w", v.ID, ledger.ErrNotFound)
	}
	key := strings.TrimSuffix(v.Job.ResultKey, path.Ext(v.Job.ResultKey)) + "." + ext
	name := strings.TrimSuffix(path.Base("/"+v.Name), path.Ext(v.Name))
	return file{key, media[strings.TrimPrefix(path.Ext("."+ext), ".")], safeName(name) + "-count." + ext, true}, nil
}

// flightResult finds the document with the animals of a flight.
func (s *Server) flightResult(ctx context.Context, id footage.ID) (file, error) {
	f, err := s.flightFor(ctx, id)
	if err == nil && f.ResultKey == "" {
		err = fmt.Errorf("flight %s has no result document: %w", id, ledger.ErrNotFound)
	}
	return file{f.ResultKey, media["json"], safeName("flight-"+string(id)) + "-count.json", true}, err
}

// flightSheet finds the count sheet of a flight. It does not exist where no part left pictures.
func (s *Server) flightSheet(ctx context.Context, id footage.ID) (file, error) {
	f, err := s.flightFor(ctx, id)
	if err == nil && f.ResultKey == "" {
		err = fmt.Errorf("flight %s has no count sheet: %w", id, ledger.ErrNotFound)
	}
	return file{wire.FlightSheetKey(f.ResultKey), media["jpg"], safeName("flight-"+string(id)) + "-count." + wire.SheetExt, true}, err
}

// flightCrossings finds the table of crossings of a flight. It does not exist for a flight without lines.
func (s *Server) flightCrossings(ctx context.Context, id footage.ID) (file, error) {
	f, err := s.flightFor(ctx, id)
	if err == nil && (f.ResultKey == "" || len(f.Boundaries.Lines)+len(f.Boundaries.Zones) == 0) {
		err = fmt.Errorf("flight %s was judged by no lines: %w", id, ledger.ErrNotFound)
	}
	name := safeName("flight-"+string(id)) + "-count." + wire.CrossingsExt
	return file{wire.FlightCrossingsKey(f.ResultKey), media["csv"], name, true}, err
}

// sendContact serves a page of the contact sheet.
func (s *Server) sendContact(c *fiber.Ctx) error {
	page, err := strconv.Atoi(c.Params("page"))
	if err != nil || page < 1 {
		return badRequest("page: %.20q is not a number from 1.", c.Params("page"))
	}
	return s.sendFile(s.result(wire.ContactExt(page)))(c)
}

// thumbnail finds the picture that came before the video.
func (s *Server) thumbnail(ctx context.Context, id footage.ID) (file, error) {
	t, err := s.thumbnailFor(ctx, id)
	return file{key: t.BlobKey, media: media["jpg"], name: safeName(string(id)) + "-thumbnail.jpg"}, err
}

// status finds the status sidecar that the worker writes.
func (s *Server) status(ctx context.Context, id footage.ID) (file, error) {
	v, err := s.resultOf(ctx, id)
	counted := v.Original()
	if v.Job != nil {
		counted = v.Job.Footage // a sibling has no job of its own
	}
	return file{key: wire.StatusKey(counted), media: media["json"], name: wire.StatusName}, err
}

// linkLife is how long a direct link is valid: enough to begin a download.
const linkLife = 15 * time.Minute

// redirect answers with a link to the storage.
func (s *Server) redirect(c *fiber.Ctx, key, direct string) error {
	if direct != "1" {
		return badRequest("direct: %.20q is neither 1 nor absent.", direct)
	}
	linker, ok := s.o.Blobs.(blob.Linker)
	if !ok {
		return problem.New(wire.SlugNoDirectLinks, "The storage of this server has no direct links. Ask without direct.")
	}
	to, err := linker.Link(c.UserContext(), key, linkLife)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Redirect(to, fiber.StatusTemporaryRedirect)
}

// sendBlob streams a blob, or the requested range of it.
func (s *Server) sendBlob(c *fiber.Ctx, f file) error {
	return s.sendBlobWhile(c, f, func(context.Context) error { return nil })
}

// sendBlobWhile is sendBlob that asks before each piece whether it may go on.
func (s *Server) sendBlobWhile(c *fiber.Ctx, f file, may func(context.Context) error) error {
	info, err := s.o.Blobs.Stat(c.UserContext(), f.key)
	if err != nil {
		return err
	}
	tag := fmt.Sprintf(`"%x-%x%s"`, info.Size, info.Modified.UnixNano(), info.Version)
	c.Set(fiber.HeaderETag, tag)
	c.Set(fiber.HeaderCacheControl, privately)
	c.Set(fiber.HeaderLastModified, info.Modified.UTC().Format(time.RFC1123[:len(time.RFC1123)-3]+"GMT"))
	c.Set(fiber.HeaderAcceptRanges, "bytes")
	c.Set(fiber.HeaderContentType, f.media)
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	from, length, part, err := rangeOf(c, tag, info.Size)
	if err != nil {
		return err
	}
	if part {
		c.Status(fiber.StatusPartialContent)
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes %d-%d/%d", from, from+length-1, info.Size))
	}
	c.Set(fiber.HeaderContentDisposition, `inline; filename="`+f.name+`"`)
	if c.Method() == fiber.MethodHead {
		c.Context().Response.Header.SetContentLength(int(length))
		c.Context().Response.SkipBody = true
		return nil
	}
	r, err := s.o.Blobs.Open(c.UserContext(), f.key, from, length)
	if err != nil {
		return err
	}
	access, release := s.gate.follow(context.WithoutCancel(c.UserContext()), holderOf(c.UserContext()), sessionOf(c.UserContext()))
	c.Context().SetBodyStream(&paced{ReadCloser: r, conn: c.Context().Conn(), access: access, release: release, may: may}, int(length))
	return nil
}

// paced sets a new write deadline for every piece of an answer, so that a large file may
// take longer than one deadline. The answer is cut when the access of its holder ends.
type paced struct {
	io.ReadCloser
	conn    net.Conn
	access  context.Context
	release func()
	may     func(context.Context) error
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if p.access.Err() != nil {
		return 0, context.Cause(p.access)
	}
	if err := p.may(p.access); err != nil {
		return 0, err
	}
	if err := p.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return p.ReadCloser.Read(b)
}

// Close implements io.Closer.
func (p *paced) Close() error {
	p.release()
	return p.ReadCloser.Close()
}

func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if t := strings.TrimPrefix(strings.TrimSpace(part), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// rangeOf reads a Range header with one byte range (RFC 9110 section 14). The answer to
// several ranges, to a header that is not valid, and to an If-Range that no longer
// matches is the whole document.
func rangeOf(c *fiber.Ctx, tag string, size int64) (from, length int64, part bool, err error) {
	spec, ok := strings.CutPrefix(c.Get(fiber.HeaderRange), "bytes=")
	if ir := c.Get(fiber.HeaderIfRange); !ok || ir != "" && ir != tag {
		return 0, size, false, nil
	}
	first, last, ok := strings.Cut(spec, "-")
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	switch {
	case !ok || strings.Contains(spec, ","):
		return 0, size, false, nil
	case first == "" && errB == nil && b >= 0: // the last b bytes
		a, b = max(size-b, 0), size-1
	case errA == nil && last == "":
		b = size - 1
	case errA != nil || errB != nil || a > b:
		return 0, size, false, nil
	}
	if b = min(b, size-1); a > b || a < 0 {
		c.Set(fiber.HeaderContentRange, fmt.Sprintf("bytes */%d", size))
		return 0, 0, false, problem.New(wire.SlugBadRange, "The document has %d bytes.", size)
	}
	return a, b - a + 1, true, nil
}

// safeName replaces characters that are not safe in a header or a file name.
func safeName(s string) string {
	const longest = 80
	out := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, s)
	if out == "" {
		return "footage"
	}
	return out[:min(len(out), longest)]
}
