package web

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// Problem is the body of every error answer (RFC 9457). Type says what went
// wrong to programs, Detail to people.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// ProblemMedia is the media type of a Problem.
const ProblemMedia = "application/problem+json"

// Classes of errors that arise in this package.
var (
	errBadRequest   = errors.New("request not understood")
	errUnauthorised = errors.New("a token is needed")
	errForbidden    = errors.New("the token does not allow this")
	errNotReady     = errors.New("not ready")
	errTooMany      = errors.New("too many listeners")
	errRange        = errors.New("range not satisfiable")
	errNoLinks      = errors.New("the storage has no direct links; ask without direct")
)

// classes is the one place where error classes become answers; the first
// class that fits counts. Detail is the error's text, or instead, when that is set: then
// the text is for the log alone.
var classes = []struct {
	class  error
	status int
	slug   string
	title  string

	instead string
}{
	{errBadRequest, http.StatusBadRequest, "bad-request", "The request is not understood", ""},
	{errUnauthorised, http.StatusUnauthorized, "unauthorised", "A valid token is needed", ""},
	{ledger.ErrUnauthorised, http.StatusUnauthorized, "unauthorised", "A valid token is needed", ""},
	{errForbidden, http.StatusForbidden, "forbidden", "The token does not allow this", ""},
	{errRange, http.StatusRequestedRangeNotSatisfiable, "bad-range", "The range lies outside the document", ""},
	{errNoLinks, http.StatusNotImplemented, "no-direct-links", "There are no direct links here", ""},
	{errTooMany, http.StatusServiceUnavailable, "too-many-listeners", "Too many listeners, try again later", ""},
	{errNotReady, http.StatusServiceUnavailable, "not-ready", "The service is not ready", ""},
	{ledger.ErrNotFound, http.StatusNotFound, "not-found", "There is no such thing", ""},
	{blob.ErrNotFound, http.StatusNotFound, "not-found", "There is no such thing", ""},
	{job.ErrTransition, http.StatusConflict, "conflict", "The job's state does not allow this", ""},
	{ledger.ErrExists, http.StatusConflict, "conflict", "It exists already", ""},
	{ledger.ErrCursor, http.StatusBadRequest, "bad-request", "The request is not understood", ""},
	{ledger.ErrInvalid, http.StatusBadRequest, "bad-request", "The request is not understood", ""},
	{footage.ErrInvalid, http.StatusBadRequest, "bad-request", "The request is not understood", ""},
	{ledger.ErrNoSpace, http.StatusInsufficientStorage, "no-space", "The storage is full", ""},
	{blob.ErrNoSpace, http.StatusInsufficientStorage, "no-space", "The storage is full", ""},
	{ledger.ErrUnreachable, http.StatusServiceUnavailable, "unreachable", "The ledger does not answer, try again",
		"The service cannot reach its database. It goes on by itself when the database is back."}, // not where that is
	{blob.ErrUnreachable, http.StatusServiceUnavailable, "unreachable", "The storage does not answer, try again",
		"The service cannot reach its storage. It goes on by itself when that is back."},
	{ledger.ErrBusy, http.StatusServiceUnavailable, "busy", "The ledger is busy, try again", ""},
	{context.Canceled, http.StatusServiceUnavailable, "stopping", "The service is stopping", ""},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "busy", "The ledger is busy, try again", ""},
}

// slugs of what the router and the server itself refuse.
var routerSlugs = map[int]string{
	http.StatusNotFound:                    "not-found",
	http.StatusMethodNotAllowed:            "method-not-allowed",
	http.StatusRequestTimeout:              "timeout",
	http.StatusRequestEntityTooLarge:       "too-large",
	http.StatusRequestHeaderFieldsTooLarge: "headers-too-large",
}

// routerDetails say what to do about these.
var routerDetails = map[int]string{
	http.StatusNotFound:                    "Nothing is at this address; /api/v1/openapi.yaml lists what there is.",
	http.StatusMethodNotAllowed:            "This address takes other methods; /api/v1/openapi.yaml lists them.",
	http.StatusRequestTimeout:              "The request did not arrive in time. Send it again, without pauses.",
	http.StatusRequestEntityTooLarge:       "The body is too long for this address.",
	http.StatusRequestHeaderFieldsTooLarge: "Address and headers may have 16 KiB together. Send less in them.",
}

// problemOf gives an error its answer. known is false for a fault of the
// server, whose text is not for the client.
func problemOf(err error) (p Problem, known bool) {
	var fe *fiber.Error
	if errors.As(err, &fe) && fe.Code < http.StatusInternalServerError {
		slug, ok := routerSlugs[fe.Code]
		if !ok {
			slug = "bad-request"
		}
		return Problem{Type: "/problems/" + slug, Title: http.StatusText(fe.Code), Status: fe.Code, Detail: routerDetails[fe.Code]}, true
	}
	for _, c := range classes {
		if errors.Is(err, c.class) {
			return Problem{Type: "/problems/" + c.slug, Title: c.title, Status: c.status, Detail: cmp.Or(c.instead, err.Error())}, c.instead == ""
		}
	}
	return Problem{Type: "/problems/internal", Title: "The server failed", Status: http.StatusInternalServerError,
		Detail: "The log of the server tells more; the request id finds it."}, false
}

// fail is the Fiber error handler: every error of every route ends here.
func (s *Server) fail(c *fiber.Ctx, err error) error {
	p, known := problemOf(err)
	p.RequestID = requestID(c)
	if !known {
		s.log.Error("request failed", "err", err, "request", p.RequestID, "method", knownMethod(c.Method()), "path", string(c.Context().Path()))
	}
	if p.Status == http.StatusUnauthorized {
		c.Set(fiber.HeaderWWWAuthenticate, `Bearer realm="cattlecounter"`)
	}
	if p.Status == http.StatusServiceUnavailable {
		c.Set(fiber.HeaderRetryAfter, "5")
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	c.Context().Response.ResetBody()
	c.Status(p.Status)
	secure(c)
	c.Set(fiber.HeaderContentType, ProblemMedia)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Send(text)
}
