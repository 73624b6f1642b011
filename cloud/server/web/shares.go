package web

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

const (
	// shareHeader has the key of a link. It is in the part of the address after #, which browsers send to no server, so it
	// is in no log of a proxy.
	shareHeader = "X-Share-Key"
	sharesShown = 100
	longestDays = 366
)

type shares interface {
	Add(ctx context.Context, survey string, life time.Duration) (ledger.Share, secret.String, error)
	List(ctx context.Context, survey string, limit int) ([]ledger.Share, error)
	Revoke(ctx context.Context, survey, id string) error
	Open(ctx context.Context, key string) (ledger.Share, error)
}

func shareView(s ledger.Share) wire.Share {
	return wire.Share{ID: s.ID, Survey: s.Survey, Who: s.Who, Created: s.Created, Expires: s.Expires, Revoked: s.Revoked}
}

// sharedSurvey returns the survey in the path, for a holder that may share it.
func (s *Server) sharedSurvey(c *fiber.Ctx) (ledger.Survey, error) {
	id, err := idArg(c, "id")
	if err != nil {
		return ledger.Survey{}, err
	}
	n, err := s.o.Ledger.Surveys.Get(c.UserContext(), string(id))
	if err == nil && !mayUseSite(c.UserContext(), access.Change, n.Site) {
		err = fmt.Errorf("survey %s: %w", id, ledger.ErrNotFound)
	}
	return n, err
}

func (s *Server) listShares(c *fiber.Ctx) error {
	n, err := s.sharedSurvey(c)
	if err != nil {
		return err
	}
	all, err := s.o.Ledger.Shares.List(c.UserContext(), n.ID, sharesShown)
	if err != nil {
		return err
	}
	return sendJSON(c, pageOf(all, "", shareView))
}

// addShare makes a link to a survey. The answer has its key, which is never shown again.
func (s *Server) addShare(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	n, err := s.sharedSurvey(c)
	if err != nil {
		return err
	}
	var in wire.NewShare
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	if in.Days < 1 || in.Days > longestDays {
		return badRequest("days: %d is not a number from 1 to %d.", in.Days, longestDays)
	}
	share, key, err := s.o.Ledger.Shares.Add(ledger.By(c.UserContext(), d.Name), n.ID, time.Duration(in.Days)*24*time.Hour)
	if err != nil {
		return err
	}
	s.log.Info("survey shared", "survey", n.ID, "share", share.ID, "expires", share.Expires, "who", d.Name)
	v := shareView(share)
	v.Key = key.Reveal()
	return sendJSON(c, v)
}

// revokeShare ends a link at once.
func (s *Server) revokeShare(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	n, err := s.sharedSurvey(c)
	if err != nil {
		return err
	}
	share, err := idArg(c, "share")
	if err == nil {
		err = s.o.Ledger.Shares.Revoke(ledger.By(c.UserContext(), d.Name), n.ID, string(share))
	}
	if err != nil {
		return err
	}
	return s.listShares(c)
}

// getShared answers with the survey of a link. It needs no login, and shows nothing but that survey.
func (s *Server) getShared(c *fiber.Ctx) error {
	key := text(c.Get(shareHeader))
	var share ledger.Share
	err := s.guess(c, "", func(ctx context.Context) (err error) {
		if !strings.HasPrefix(key, ledger.TokenPrefix) || len(key) > maxToken {
			return ledger.ErrUnauthorised
		}
		share, err = s.o.Ledger.Shares.Open(ctx, key)
		return err
	})
	if errors.Is(err, ledger.ErrUnauthorised) {
		return problem.New(wire.SlugUnauthorised,
			"The link is not valid: it has expired, was revoked or is incomplete. Ask for a new one.")
	}
	if err != nil {
		return err
	}
	n, err := s.o.Ledger.Surveys.Get(c.UserContext(), share.Survey)
	if err != nil {
		return err
	}
	v, err := s.takeSurvey(c.UserContext(), n)
	if err != nil {
		return err
	}
	return sendJSON(c, wire.SharedSurvey{Survey: v, Expires: share.Expires, SharedBy: share.Who})
}
