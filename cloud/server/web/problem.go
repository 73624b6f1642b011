package web

import (
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

// routerProblems are what the router and the server itself refuse, by status.
var routerProblems = map[int]struct {
	slug   wire.Slug
	detail string
}{
	http.StatusNotFound: {wire.SlugNotFound,
		"Nothing is at this address; /api/v1/openapi.yaml lists all addresses."},
	http.StatusMethodNotAllowed: {wire.SlugMethodNotAllowed,
		"This address has other methods; /api/v1/openapi.yaml lists them."},
	http.StatusRequestTimeout: {wire.SlugTimeout,
		"The request did not arrive in time. Send it again, without pauses."},
	http.StatusRequestEntityTooLarge: {wire.SlugTooLarge, "The body is too long for this address."},
	http.StatusRequestHeaderFieldsTooLarge: {wire.SlugHeadersTooLarge,
		"The address and the headers together may have 16 KiB. Send fewer or shorter headers."},
}

// badRequest refuses a request that makes no sense.
func badRequest(format string, args ...any) error {
	return problem.New(wire.SlugBadRequest, format, args...)
}

// problemOf gives an error its answer.
func problemOf(err error) problem.Error {
	var fe *fiber.Error
	if errors.As(err, &fe) && fe.Code < http.StatusInternalServerError {
		if r, ok := routerProblems[fe.Code]; ok {
			return *problem.New(r.slug, "%s", r.detail)
		}
		return *problem.New(wire.SlugBadRequest, "The request is not valid HTTP for this server: %s.",
			fe.Message).WithStatus(fe.Code)
	}
	return *problem.Of(err)
}

// fail is the Fiber error handler: every error of every route ends here.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	p := problemOf(err)
	p.RequestID = requestID(c)
	if p.Failed() {
		s.log.Error("request failed", "err", err, "request", p.RequestID, "method", knownMethod(c.Method()), "path",
			string(c.Context().Path()))
	}
	c.Context().Response.ResetBody()
	c.Status(p.Status)
	s.setSecurityHeaders(c)
	p.SetHeaders(c.Set)
	return c.Send(p.Body())
}
