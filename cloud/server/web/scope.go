package web

import (
	"context"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// A request with the token of a device reads only what belongs to that device. Footage of
// others is answered like footage that does not exist. All other requests read everything:
// those of operators and readers and, unless Options.ReadToken is set, those without a
// token.

type scopeKey struct{}

// tokenCookie has the token of the page, where a page cannot set a header: pictures, links
// and events. It is read only when reading needs a token, and never for a change.
const tokenCookie = "cattle-token"

// readToken returns the token of a request, "" for a request without a token of this
// service. Other credentials are those of a proxy.
func (s *Server) readToken(c *fiber.Ctx) string {
	token, err := bearer(c)
	reads := c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead
	if err != nil && s.o.ReadToken && reads {
		token = text(c.Cookies(tokenCookie))
	}
	if !strings.HasPrefix(token, ledger.TokenPrefix) || len(token) > maxToken {
		return ""
	}
	return token
}

// withScope finds the device whose footage a request may read, and adds it to the context.
// A token of this service that is not valid is refused.
func (s *Server) withScope(c *fiber.Ctx) error {
	token := s.readToken(c)
	if token == "" && s.o.ReadToken {
		return problem.New(wire.SlugUnauthorised,
			"Reading needs a token here. Send the header Authorization: Bearer TOKEN. The command cloud-api device add makes one.")
	}
	if token == "" {
		return c.Next()
	}
	d, err := s.gate.admit(c.UserContext(), token)
	if err != nil {
		return err
	}
	if d.Role == ledger.RoleDevice {
		c.SetUserContext(context.WithValue(c.UserContext(), scopeKey{}, d.Name))
	}
	return c.Next()
}

// scopeOf returns the only device whose footage the request may read, "" for all devices.
func scopeOf(ctx context.Context) string {
	device, _ := ctx.Value(scopeKey{}).(string)
	return device
}

// mayRead reports whether the request may read what a device uploaded.
func mayRead(ctx context.Context, device string) bool {
	scope := scopeOf(ctx)
	return scope == "" || scope == device
}

// footageFor returns footage that the request may read, or ErrNotFound.
func (s *Server) footageFor(ctx context.Context, id footage.ID) (ledger.FootageView, error) {
	v, err := s.o.Ledger.Footage.Get(ctx, id)
	if err == nil && !mayRead(ctx, v.Device) {
		err = fmt.Errorf("footage %s: %w", id, ledger.ErrNotFound)
	}
	return v, err
}

// resultOf returns footage whose result and status files the request may read, or
// ErrNotFound. The files of a duplicate are those of its original, whose id they contain.
func (s *Server) resultOf(ctx context.Context, id footage.ID) (ledger.FootageView, error) {
	v, err := s.o.Ledger.Footage.Get(ctx, id)
	switch {
	case err != nil:
		return v, err
	case !mayRead(ctx, v.Device):
		return v, fmt.Errorf("footage %s: %w", id, ledger.ErrNotFound)
	case v.DuplicateOf != "" && !mayRead(ctx, v.OriginalDevice):
		return v, fmt.Errorf("footage %s has the content of another device's footage and no files: %w", id,
			ledger.ErrNotFound)
	}
	return v, nil
}

// wholeViewFor is wholeView without the id of an original that the request may not read.
// Job and count of the duplicate then show the id of the duplicate.
func wholeViewFor(ctx context.Context, f ledger.FootageView) wire.Footage {
	v := wholeView(f)
	if v.DuplicateOf == "" || mayRead(ctx, f.OriginalDevice) {
		return v
	}
	v.DuplicateOf = ""
	if v.Job != nil {
		v.Job.Footage = v.ID
	}
	if v.Count != nil {
		v.Count.Footage, v.Count.DuplicateOf = v.ID, ""
	}
	return v
}

// jobFor returns a job of footage that the request may read, or ErrNotFound.
func (s *Server) jobFor(ctx context.Context, id footage.ID) (ledger.Job, error) {
	j, err := s.o.Ledger.Jobs.Get(ctx, string(id))
	if err != nil || scopeOf(ctx) == "" {
		return j, err
	}
	f, err := s.o.Ledger.Footage.Get(ctx, j.Footage)
	if err == nil && !mayRead(ctx, f.Device) {
		err = fmt.Errorf("job %s: %w", id, ledger.ErrNotFound)
	}
	return j, err
}

// countFor returns the count of footage that the request may read, or ErrNotFound.
func (s *Server) countFor(ctx context.Context, id footage.ID) (wire.Count, error) {
	v, err := s.footageFor(ctx, id)
	if err != nil {
		return wire.Count{}, fmt.Errorf("count of %w", err)
	}
	if v.Count == nil {
		return wire.Count{}, fmt.Errorf("count of footage %s: %w", id, ledger.ErrNotFound)
	}
	return *wholeViewFor(ctx, v).Count, nil
}

// flightFor returns a flight that the request may read, or ErrNotFound.
func (s *Server) flightFor(ctx context.Context, id footage.ID) (ledger.FlightView, error) {
	v, err := s.o.Ledger.Flights.Get(ctx, string(id))
	if err == nil && !mayRead(ctx, v.Device) {
		return ledger.FlightView{}, fmt.Errorf("flight %s: %w", id, ledger.ErrNotFound)
	}
	return v, err
}

// thumbnailFor returns a thumbnail that the request may read, or ErrNotFound.
func (s *Server) thumbnailFor(ctx context.Context, id footage.ID) (ledger.Thumbnail, error) {
	t, err := s.o.Ledger.Thumbnails.Get(ctx, id)
	if err == nil && !mayRead(ctx, t.Device) {
		return ledger.Thumbnail{}, fmt.Errorf("thumbnail of %s: %w", id, ledger.ErrNotFound)
	}
	return t, err
}

// mayReadChange reports whether the request may read a change.
func mayReadChange(ctx context.Context, c progress.Change) bool {
	switch {
	case c.Job != nil:
		return mayRead(ctx, c.Job.Footage.Device)
	case c.Count != nil:
		return mayRead(ctx, c.Count.Footage.Device)
	case c.Footage != nil:
		return mayRead(ctx, c.Footage.Device)
	case c.Flight != nil:
		return mayRead(ctx, c.Flight.Device)
	case c.Upload != nil:
		return mayRead(ctx, c.Upload.Upload.Device)
	case c.Station != nil:
		return mayRead(ctx, c.Station.Device)
	}
	return false
}

// footageViewFor is footageView without the id of an original that the request may not
// read. The id is also removed when the ledger cannot be read.
func (s *Server) footageViewFor(ctx context.Context, f ledger.Footage) wire.Footage {
	v := footageView(f)
	if scopeOf(ctx) == "" || v.DuplicateOf == "" {
		return v
	}
	original, err := s.o.Ledger.Footage.Get(ctx, v.DuplicateOf)
	if err != nil || !mayRead(ctx, original.Device) {
		v.DuplicateOf = ""
	}
	return v
}
