package web

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// A request reads what its holder may read (cloud/server/access). Footage of others is
// answered like footage that does not exist.

type (
	holderKey  struct{}
	sessionKey struct{}
)

// withHolder adds the holder to the context of a request.
func withHolder(c *fiber.Ctx, h access.Holder) {
	c.SetUserContext(context.WithValue(c.UserContext(), holderKey{}, h))
}

// holderOf returns the holder of a request; the zero value may do nothing.
func holderOf(ctx context.Context) access.Holder {
	h, _ := ctx.Value(holderKey{}).(access.Holder)
	return h
}

// withSession adds the secret of the session of a request to its context.
func withSession(c *fiber.Ctx, session string) {
	c.SetUserContext(context.WithValue(c.UserContext(), sessionKey{}, session))
}

// sessionOf returns the secret of the session of a request, "" for a token.
func sessionOf(ctx context.Context) string {
	s, _ := ctx.Value(sessionKey{}).(string)
	return s
}

// scopeOf returns the only device whose footage the request may read, "" for all devices of its sites.
func scopeOf(ctx context.Context) string { return holderOf(ctx).Device }

// sitesOf returns the sites that lists are restricted to, nil for all sites.
func sitesOf(ctx context.Context) ledger.SiteSet {
	h := holderOf(ctx)
	if h.Device != "" || h.Sites.All() {
		return nil // a list for a device is restricted by its name
	}
	return append(ledger.SiteSet{}, h.Sites...)
}

// readsAll reports whether nothing is hidden from a request.
func readsAll(ctx context.Context) bool { return scopeOf(ctx) == "" && sitesOf(ctx) == nil }

// mayRead reports whether the request may read what a device of a site uploaded.
func mayRead(ctx context.Context, site, device string) bool {
	return holderOf(ctx).MayAt(access.Read, site, device)
}

// mayReadDevice reports whether the request may read of a device. Tokens of people and programs are for
// admins, and for their holders.
func mayReadDevice(ctx context.Context, d ledger.Device) bool {
	h := holderOf(ctx)
	if d.Role == ledger.RoleDevice || h.Role == ledger.RoleDevice {
		return mayRead(ctx, d.Site, d.Name)
	}
	return h.Name == d.Name || h.May(access.Administer)
}

// footageFor returns footage that the request may read, or ErrNotFound.
func (s *Server) footageFor(ctx context.Context, id footage.ID) (ledger.FootageView, error) {
	v, err := s.o.Ledger.Footage.Get(ctx, id)
	if err == nil && !mayRead(ctx, v.Site, v.Device) {
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
	case !mayRead(ctx, v.Site, v.Device):
		return v, fmt.Errorf("footage %s: %w", id, ledger.ErrNotFound)
	case v.DuplicateOf != "" && !mayRead(ctx, v.OriginalSite, v.OriginalDevice):
		return v, fmt.Errorf("footage %s has the content of another device's footage and no files: %w", id,
			ledger.ErrNotFound)
	}
	return v, nil
}

// wholeViewFor is wholeView without the id of an original that the request may not read.
// Job and count of the duplicate then show the id of the duplicate.
func wholeViewFor(ctx context.Context, f ledger.FootageView) wire.Footage {
	v := wholeView(f)
	if v.DuplicateOf == "" || mayRead(ctx, f.OriginalSite, f.OriginalDevice) {
		return v
	}
	v.DuplicateOf = ""
	if v.Job != nil {
		v.Job.Footage = v.ID
	}
	if v.Count != nil {
		v.Count.Footage, v.Count.DuplicateOf = v.ID, ""
		v.Count.Spread, v.Count.Totals = wire.Spread{}, boundary.Totals{} // names of the other site's paddocks and lines
	}
	return v
}

// jobFor returns a job of footage that the request may read, or ErrNotFound.
func (s *Server) jobFor(ctx context.Context, id footage.ID) (ledger.Job, error) {
	j, err := s.o.Ledger.Jobs.Get(ctx, string(id))
	if err != nil || readsAll(ctx) {
		return j, err
	}
	f, err := s.o.Ledger.Footage.Get(ctx, j.Footage)
	if err == nil && !mayRead(ctx, f.Site, f.Device) {
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
	if err == nil && !mayRead(ctx, v.Site, v.Device) {
		return ledger.FlightView{}, fmt.Errorf("flight %s: %w", id, ledger.ErrNotFound)
	}
	return v, err
}

// thumbnailFor returns a thumbnail that the request may read, or ErrNotFound.
func (s *Server) thumbnailFor(ctx context.Context, id footage.ID) (ledger.Thumbnail, error) {
	t, err := s.o.Ledger.Thumbnails.Get(ctx, id)
	if err == nil && !mayRead(ctx, t.Site, t.Device) {
		return ledger.Thumbnail{}, fmt.Errorf("thumbnail of %s: %w", id, ledger.ErrNotFound)
	}
	return t, err
}

// mayReadChange reports whether the request may read a change.
func mayReadChange(ctx context.Context, c progress.Change) bool {
	switch {
	case c.Job != nil:
		return mayRead(ctx, c.Job.Footage.Site, c.Job.Footage.Device)
	case c.Count != nil:
		return mayRead(ctx, c.Count.Footage.Site, c.Count.Footage.Device)
	case c.Footage != nil:
		return mayRead(ctx, c.Footage.Site, c.Footage.Device)
	case c.Flight != nil:
		return mayRead(ctx, c.Flight.Site, c.Flight.Device)
	case c.Upload != nil:
		return mayRead(ctx, c.Upload.Upload.Site, c.Upload.Upload.Device)
	case c.Station != nil:
		return mayRead(ctx, c.Station.Site, c.Station.Device)
	}
	return false
}

// footageViewFor is footageView without the id of an original that the request may not
// read. The id is also removed when the ledger cannot be read.
func (s *Server) footageViewFor(ctx context.Context, f ledger.Footage) wire.Footage {
	v := footageView(f)
	if readsAll(ctx) || v.DuplicateOf == "" {
		return v
	}
	original, err := s.o.Ledger.Footage.Get(ctx, v.DuplicateOf)
	if err != nil || !mayRead(ctx, original.Site, original.Device) {
		v.DuplicateOf = ""
	}
	return v
}
