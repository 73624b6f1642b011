package web

import (
	"strings"

	"github.com/gofiber/fiber/v2"
)

// tagJSON gives every document that is read as JSON an entity tag of its content, unless it has one, and answers a client
// that has the same document with status 304 (RFC 9110 section 13.1.2). The document is computed all the same; what is
// saved is the way to a station or a page on a poor link.
func tagJSON(c *fiber.Ctx) error {
	if err := c.Next(); err != nil {
		return err
	}
	r := c.Response()
	if m := c.Method(); m != fiber.MethodGet && m != fiber.MethodHead || r.StatusCode() != fiber.StatusOK || r.IsBodyStream() ||
		len(r.Header.Peek(fiber.HeaderETag)) > 0 || !strings.HasPrefix(string(r.Header.ContentType()), fiber.MIMEApplicationJSON) {
		return nil
	}
	tag := tagOf(r.Body())
	c.Set(fiber.HeaderETag, tag)
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		r.ResetBody()
		r.Header.SetContentType("")
		c.Status(fiber.StatusNotModified)
	}
	return nil
}
