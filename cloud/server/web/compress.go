package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"cattlecounter/shared/wire"
)

// Answers of the API that are read are compressed, because links to a ranch are slow. A compressed answer that has both a
// secret and text of an attacker gives the secret away by its length (BREACH). Therefore only answers to GET are compressed:
// tokens, codes, links and keys are answers to POST. The one secret that is read is the CSRF token of a session, and its
// answer is never compressed. Streams of events, uploads, pictures and videos are not either: the first must not wait, and
// the others are compressed already.

const (
	leastCompressed = 1 << 10 // bytes; below, the headers cost as much as is saved
	mostCompressed  = 4 << 20 // bytes; a larger answer is streamed as it is, because compressing holds it in memory
	brotliLevel     = 4       // as fast as gzip, and smaller
	gzipLevel       = 6
)

// uncompressed are the paths whose answers have a secret.
var uncompressed = []string{wire.APIPath + "/session"}

// compressible are the kinds of answers that become smaller.
var compressible = []string{fiber.MIMEApplicationJSON, "application/geo+json", "application/yaml", "application/gpx+xml",
	"application/vnd.google-earth.kml+xml", "text/csv"}

// compress compresses what the API answers to GET. Each coding of a document has an entity tag of its own, which a client
// may send back in If-None-Match and If-Match: it names the same document.
func compress(c *fiber.Ctx) error {
	path := string(c.Context().Path())
	if !strings.HasPrefix(path, wire.APIPath+"/") || slices.Contains(uncompressed, path) {
		return c.Next()
	}
	sent := text(c.Get(fiber.HeaderIfNoneMatch))
	for _, name := range []string{fiber.HeaderIfNoneMatch, fiber.HeaderIfMatch} {
		if v := c.Get(name); v != "" {
			c.Request().Header.Set(name, withoutCodings(v))
		}
	}
	if err := c.Next(); err != nil || c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead {
		return err
	}
	r := c.Response()
	tag := string(r.Header.Peek(fiber.HeaderETag))
	if r.StatusCode() == fiber.StatusNotModified {
		c.Vary(fiber.HeaderAcceptEncoding)
		for _, x := range compressions {
			if v := tagWith(tag, x.coding); tag != "" && strings.Contains(sent, v) {
				r.Header.Set(fiber.HeaderETag, v)
			}
		}
		return nil
	}
	if r.StatusCode() != fiber.StatusOK || len(r.Header.ContentEncoding()) > 0 || !isCompressible(string(r.Header.ContentType())) {
		return nil
	}
	c.Vary(fiber.HeaderAcceptEncoding)
	for _, x := range compressions {
		if accepts(c.Get(fiber.HeaderAcceptEncoding), x.coding) {
			return encode(r, x.coding, tag)
		}
	}
	return nil
}

func isCompressible(media string) bool {
	kind, _, _ := strings.Cut(media, ";")
	return slices.Contains(compressible, strings.TrimSpace(kind))
}

// encode replaces the body of an answer by its compressed form, where that is worth it. The error is that of reading a stored
// file, of which nothing was sent yet.
func encode(r *fasthttp.Response, coding, tag string) error {
	if r.IsBodyStream() && (r.Header.ContentLength() < leastCompressed || r.Header.ContentLength() > mostCompressed) {
		return nil // also a stream whose length is not known
	}
	var body []byte
	if r.IsBodyStream() {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.BodyStream(), mostCompressed)); err == nil && len(body) != r.Header.ContentLength() {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("compress an answer: %w", err)
		}
	} else if body = r.Body(); len(body) < leastCompressed || len(body) > mostCompressed {
		return nil
	}
	small, err := compressed(coding, body)
	if err != nil {
		return err
	}
	r.SetBodyRaw(small)
	r.Header.SetContentLength(len(small))
	r.Header.SetContentEncoding(coding)
	r.Header.Del(fiber.HeaderAcceptRanges) // a part of this form is of no use
	if tag != "" {
		r.Header.Set(fiber.HeaderETag, tagWith(tag, coding))
	}
	return nil
}

// coder compresses into what Reset names.
type coder interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// coders are idle coders by their codings; each holds up to a megabyte.
var coders = map[string]*sync.Pool{
	"br": {New: func() any { return coder(brotli.NewWriterLevel(nil, brotliLevel)) }},
	"gzip": {New: func() any {
		w, err := gzip.NewWriterLevel(nil, gzipLevel)
		if err != nil {
			panic(err) // the level is a constant
		}
		return coder(w)
	}},
}

// compressed returns a coding of a body.
func compressed(coding string, body []byte) ([]byte, error) {
	w := coders[coding].Get().(coder) //nolint:forcetypeassert // New makes nothing else
	defer coders[coding].Put(w)
	var out bytes.Buffer
	w.Reset(&out)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compress an answer: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress an answer: %w", err)
	}
	return out.Bytes(), nil
}

// tagWith is the entity tag of a coding of a document.
func tagWith(tag, coding string) string { return strings.TrimSuffix(tag, `"`) + "-" + coding + `"` }

// withoutCodings replaces the tags of codings in a header by those of their documents.
func withoutCodings(header string) string {
	for _, x := range compressions {
		header = strings.ReplaceAll(header, "-"+x.coding+`"`, `"`)
	}
	return header
}
