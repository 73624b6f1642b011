package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/server/report/gather"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	// shareHeader has the key of a link. It is in the part of the address after #, which browsers send to no server, so it
	// is in no log of a proxy.
	shareHeader = "X-Share-Key"
	// shareCookie has the key for pictures and videos, which cannot send a header. It goes to the addresses of the link
	// alone.
	shareCookie = "cattle-share"
)

// openShare returns the link of a request, and its key.
func (s *Server) openShare(c *fiber.Ctx) (ledger.Share, string, error) {
	key := text(c.Get(shareHeader))
	if key == "" && c.Params("share") != "" {
		key = text(c.Cookies(shareCookie))
	}
	var share ledger.Share
	err := s.guess(c, "", func(ctx context.Context) (err error) {
		if !strings.HasPrefix(key, ledger.TokenPrefix) || len(key) > maxToken {
			return ledger.ErrUnauthorised
		}
		share, err = s.o.Ledger.Shares.Open(ctx, key)
		if id := c.Params("share"); err == nil && id != "" && id != share.ID {
			err = ledger.ErrUnauthorised
		}
		return err
	})
	if errors.Is(err, ledger.ErrUnauthorised) {
		return share, "", problem.New(wire.SlugUnauthorised,
			"The link is not valid: it has expired, was revoked or is incomplete. Ask for a new one.")
	}
	c.SetUserContext(context.WithValue(c.UserContext(), linkKey{}, true))
	return share, key, err
}

// sharedSubject counts what a link shows.
func (s *Server) sharedSubject(ctx context.Context, share ledger.Share) (gather.Subject, error) {
	switch share.Kind {
	case ledger.ShareSurvey:
		return s.surveySubject(ctx, footage.ID(share.Shared.ID))
	case ledger.ShareFlight:
		f, err := s.o.Ledger.Flights.Get(ctx, share.Shared.ID)
		if err != nil {
			return gather.Subject{}, err
		}
		return s.joinedSubject(ctx, f)
	}
	v, err := s.o.Ledger.Footage.Get(ctx, footage.ID(share.Shared.ID))
	if err == nil && (v.DuplicateOf != "" || v.SiblingOf != "") { // became one after the link was made
		err = fmt.Errorf("footage %s has no count of its own: %w", v.ID, ledger.ErrNotFound)
	}
	if err != nil {
		return gather.Subject{}, err
	}
	return s.countedSubject(ctx, v)
}

// getShared answers with what a link shows. It needs no login, and shows nothing else. The cookie of the answer opens the
// pictures of the link.
func (s *Server) getShared(c *fiber.Ctx) error {
	share, key, err := s.openShare(c)
	if err != nil {
		return err
	}
	sub, err := s.sharedSubject(c.UserContext(), share)
	if err != nil {
		return err
	}
	c.Cookie(&fiber.Cookie{Name: shareCookie, Value: key, Path: wire.APIPath + "/shared/" + share.ID, HTTPOnly: true,
		Secure: s.o.Secure, SameSite: fiber.CookieSameSiteStrictMode, Expires: share.Expires})
	v := wire.SharedSurvey{ID: share.ID, Of: string(share.Kind), Survey: sub.Survey, Expires: share.Expires, SharedBy: share.Who,
		Video: share.Video, Names: []string{}}
	if share.Kind != ledger.ShareSurvey {
		for _, p := range sub.Counts {
			v.Names = append(v.Names, p.Footage.Name)
		}
	}
	return sendJSON(c, v)
}

func (s *Server) sharedReport(form reportForm) fiber.Handler {
	return func(c *fiber.Ctx) error {
		share, _, err := s.openShare(c)
		if err != nil {
			return err
		}
		sub, err := s.sharedSubject(c.UserContext(), share)
		if err != nil {
			return err
		}
		return form(c, sub)
	}
}

// sharedPart returns footage that a link shows. Links to surveys show no footage.
func (s *Server) sharedPart(c *fiber.Ctx) (share ledger.Share, key string, v ledger.FootageView, err error) {
	if share, key, err = s.openShare(c); err != nil {
		return share, key, v, err
	}
	id, err := idArg(c, "id")
	if err != nil {
		return share, key, v, err
	}
	there := share.Kind == ledger.ShareFootage && share.Shared.ID == string(id)
	if share.Kind == ledger.ShareFlight {
		f, err := s.o.Ledger.Flights.Get(c.UserContext(), share.Shared.ID)
		if err != nil {
			return share, key, v, err
		}
		there = slices.ContainsFunc(f.Parts, func(p ledger.Part) bool { return p.Footage == id })
	}
	if there {
		v, err = s.o.Ledger.Footage.Get(c.UserContext(), id)
	}
	if err == nil && (!there || v.DuplicateOf != "" || v.SiblingOf != "") {
		err = fmt.Errorf("footage %s of link %s: %w", id, share.ID, ledger.ErrNotFound)
	}
	return share, key, v, err
}

// sendSharedFile serves a file of the result of footage that a link shows.
func (s *Server) sendSharedFile(ext string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		share, key, v, err := s.sharedPart(c)
		if err != nil {
			return err
		}
		if ext == wire.AnnotatedExt && !share.Video {
			return fmt.Errorf("video of link %s: %w", share.ID, ledger.ErrNotFound)
		}
		f, err := resultFile(v, ext)
		if err != nil {
			return err
		}
		return s.sendSharedBlob(c, f, key)
	}
}

// sendSharedSheet serves the count sheet of the whole flight.
func (s *Server) sendSharedSheet(c *fiber.Ctx) error {
	share, key, err := s.openShare(c)
	if err != nil {
		return err
	}
	if share.Kind != ledger.ShareFlight {
		return fmt.Errorf("sheet of link %s: it shows no flight: %w", share.ID, ledger.ErrNotFound)
	}
	f, err := s.o.Ledger.Flights.Get(c.UserContext(), share.Shared.ID)
	if err == nil && f.ResultKey == "" {
		err = fmt.Errorf("flight %s has no count sheet: %w", f.ID, ledger.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return s.sendSharedBlob(c, file{key: wire.FlightSheetKey(f.ResultKey), media: media["jpg"], name: "flight-count." + wire.SheetExt}, key)
}

// sendSharedBlob serves a file until the link ends.
func (s *Server) sendSharedBlob(c *fiber.Ctx, f file, key string) error {
	last := s.now()
	return s.sendBlobWhile(c, f, func(ctx context.Context) error {
		if now := s.now(); now.Sub(last) >= followEvery {
			last = now
			_, err := s.o.Ledger.Shares.Open(ctx, key)
			return err
		}
		return nil
	})
}

// sendSharedPositions answers with the animals, the path and the seen ground of footage as GeoJSON.
func (s *Server) sendSharedPositions(c *fiber.Ctx) error {
	_, _, v, err := s.sharedPart(c)
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	leave, err := s.enterPlacing(ctx)
	if err != nil {
		return err
	}
	defer leave()
	p, err := s.placedView(ctx, v)
	if err != nil {
		return err
	}
	body, err := s.writePositions(ctx, p, mapfile.GeoJSON)
	if err != nil {
		return err
	}
	return sendTagged(c, body, mapfile.GeoJSON.ContentType(), "positions.geojson")
}
