package web

import (
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

const (
	sharesShown = 100
	longestDays = 366
)

type shares interface {
	Add(ctx context.Context, of ledger.Shared, video bool, life time.Duration) (ledger.Share, secret.String, error)
	List(ctx context.Context, of ledger.Shared, limit int) ([]ledger.Share, error)
	Revoke(ctx context.Context, of ledger.Shared, id string) error
	Open(ctx context.Context, key string) (ledger.Share, error)
}

// shareRoutes registers links, and what they show.
func (s *Server) shareRoutes(api guarded) {
	for path, find := range map[string]sharedFinder{
		"/surveys/:id": s.sharedSurvey, "/flights/:id": s.sharedFlight, "/footage/:id": s.sharedFootage,
	} {
		api.Get(path+"/shares", s.listShares(find))
		api.Post(path+"/shares", s.addShare(find))
		api.Delete(path+"/shares/:share", s.revokeShare(find))
	}
	api.Get("/shared", s.getShared)
	api.Get("/shared/:share/report.pdf", s.sharedReport(s.reportPDF))
	api.Get("/shared/:share/report.json", s.sharedReport(s.reportJSON))
	api.Get("/shared/:share/sheet", s.sendSharedSheet)
	api.Get("/shared/:share/footage/:id/sheet", s.sendSharedFile(wire.SheetExt))
	api.Get("/shared/:share/footage/:id/still", s.sendSharedFile("jpg"))
	api.Get("/shared/:share/footage/:id/video", s.sendSharedFile(wire.AnnotatedExt))
	api.Get("/shared/:share/footage/:id/positions", s.sendSharedPositions)
}

func shareView(s ledger.Share) wire.Share {
	v := wire.Share{ID: s.ID, Who: s.Who, Created: s.Created, Expires: s.Expires, Revoked: s.Revoked, Video: s.Video}
	switch s.Kind {
	case ledger.ShareSurvey:
		v.Survey = s.Shared.ID
	case ledger.ShareFlight:
		v.Flight = s.Shared.ID
	case ledger.ShareFootage:
		v.Footage = s.Shared.ID
	}
	return v
}

// sharedFinder returns what the path names, for a holder that may share it.
type sharedFinder func(ctx context.Context, id footage.ID) (ledger.Shared, error)

func (s *Server) sharedSurvey(ctx context.Context, id footage.ID) (ledger.Shared, error) {
	n, err := s.o.Ledger.Surveys.Get(ctx, string(id))
	return shareable(ctx, ledger.Shared{Kind: ledger.ShareSurvey, ID: n.ID}, n.Site, err)
}

func (s *Server) sharedFlight(ctx context.Context, id footage.ID) (ledger.Shared, error) {
	f, err := s.flightFor(ctx, id)
	return shareable(ctx, ledger.Shared{Kind: ledger.ShareFlight, ID: f.ID}, f.Site, err)
}

// sharedFootage returns footage that was counted itself. The result of a copy or a sibling is that of other footage, which
// may belong to somebody else.
func (s *Server) sharedFootage(ctx context.Context, id footage.ID) (ledger.Shared, error) {
	v, err := s.footageFor(ctx, id)
	of, err := shareable(ctx, ledger.Shared{Kind: ledger.ShareFootage, ID: string(id)}, v.Site, err)
	if err == nil && (v.DuplicateOf != "" || v.SiblingOf != "" || v.Count == nil) {
		err = badRequest("The footage has no count of its own. Share the footage that was counted.")
	}
	return of, err
}

// shareable refuses what the holder may not change.
func shareable(ctx context.Context, of ledger.Shared, site string, err error) (ledger.Shared, error) {
	if err == nil && !mayUseSite(ctx, access.Change, site) {
		err = fmt.Errorf("%s: %w", of, ledger.ErrNotFound)
	}
	return of, err
}

// shareArg finds what the path names.
func shareArg(c *fiber.Ctx, find sharedFinder) (ledger.Shared, error) {
	id, err := idArg(c, "id")
	if err != nil {
		return ledger.Shared{}, err
	}
	return find(c.UserContext(), id)
}

func (s *Server) listShares(find sharedFinder) fiber.Handler {
	return func(c *fiber.Ctx) error {
		of, err := shareArg(c, find)
		if err != nil {
			return err
		}
		return s.sendShares(c, of)
	}
}

func (s *Server) sendShares(c *fiber.Ctx, of ledger.Shared) error {
	all, err := s.o.Ledger.Shares.List(c.UserContext(), of, sharesShown)
	if err != nil {
		return err
	}
	return sendJSON(c, pageOf(all, "", shareView))
}

// addShare makes a link. The answer has its key, which is never shown again.
func (s *Server) addShare(find sharedFinder) fiber.Handler {
	return func(c *fiber.Ctx) error {
		d, err := s.authenticate(c)
		if err != nil {
			return err
		}
		of, err := shareArg(c, find)
		if err != nil {
			return err
		}
		var in wire.NewShare
		if err := s.readForm(c, &in); err != nil {
			return err
		}
		switch {
		case in.Days < 1 || in.Days > longestDays:
			return badRequest("days: %d is not a number from 1 to %d.", in.Days, longestDays)
		case in.Video && of.Kind == ledger.ShareSurvey:
			return badRequest("video: a link to a survey shows no videos. Make links to its flights.")
		}
		share, key, err := s.o.Ledger.Shares.Add(ledger.By(c.UserContext(), d.Name), of, in.Video,
			time.Duration(in.Days)*24*time.Hour)
		if err != nil {
			return err
		}
		s.log.Info("link made", "of", of.String(), "share", share.ID, "expires", share.Expires, "video", in.Video, "who", d.Name)
		v := shareView(share)
		v.Key = key.Reveal()
		return sendJSON(c, v)
	}
}

// revokeShare ends a link at once.
func (s *Server) revokeShare(find sharedFinder) fiber.Handler {
	return func(c *fiber.Ctx) error {
		d, err := s.authenticate(c)
		if err != nil {
			return err
		}
		of, err := shareArg(c, find)
		if err != nil {
			return err
		}
		share, err := idArg(c, "share")
		if err == nil {
			err = s.o.Ledger.Shares.Revoke(ledger.By(c.UserContext(), d.Name), of, string(share))
		}
		if err != nil {
			return err
		}
		return s.sendShares(c, of)
	}
}
