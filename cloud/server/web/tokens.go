package web

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

// tokens are what programs use in place of a login. Those of stations are made by enrolment.
type tokens interface {
	AddWith(ctx context.Context, d ledger.Device) (secret.String, error)
	List(ctx context.Context) ([]ledger.Device, error)
	Revoke(ctx context.Context, name string) error
}

func tokenView(d ledger.Device) wire.Token {
	return wire.Token{Name: d.Name, Role: string(d.Role), Sites: d.Sites, Created: d.Created, Expires: d.Expires, LastSeen: d.LastSeen,
		Revoked: d.Revoked}
}

// managedTokens are the tokens of programs that the holder manages.
func (s *Server) managedTokens(ctx context.Context) ([]ledger.Device, error) {
	all, err := s.o.Ledger.Tokens.List(ctx)
	h := holderOf(ctx)
	return slices.DeleteFunc(all, func(d ledger.Device) bool { return d.Role == ledger.RoleDevice || !within(h, d.Sites) }), err
}

func (s *Server) listTokens(c *fiber.Ctx) error {
	all, err := s.managedTokens(c.UserContext())
	if err != nil {
		return err
	}
	return sendJSON(c, pageOf(all, "", tokenView))
}

// addToken makes a token. The answer has it, and it is never shown again.
func (s *Server) addToken(c *fiber.Ctx) error {
	var in wire.NewToken
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	if in.Role == string(ledger.RoleReader) {
		in.Role = string(ledger.RoleViewer) // the same rights
	}
	h := holderOf(c.UserContext())
	role, sites, err := grantable(h, in.Role, in.Sites)
	if err != nil {
		return err
	}
	if in.Days < 1 || in.Days > longestDays {
		return badRequest("days: %d is not a number from 1 to %d.", in.Days, longestDays)
	}
	if err := s.freeToken(c.UserContext(), in.Name); err != nil {
		return err
	}
	end := s.now().UTC().AddDate(0, 0, in.Days).Truncate(time.Second)
	d := ledger.Device{Name: in.Name, Site: homeSite(sites), Role: role, Sites: sites, Expires: &end}
	token, err := s.o.Ledger.Tokens.AddWith(c.UserContext(), d)
	if err != nil {
		return err
	}
	s.log.Info("token added", "token", in.Name, "role", role, "expires", end, "who", h.Name)
	d.Created = s.now().UTC()
	v := tokenView(d)
	v.Token = token.Reveal()
	return sendJSON(c, v)
}

// freeToken fails with ErrExists when a station or token that the holder does not manage has a name. A new token takes the
// place of a revoked one, so it would move that to another site.
func (s *Server) freeToken(ctx context.Context, name string) error {
	all, err := s.o.Ledger.Tokens.List(ctx)
	h := holderOf(ctx)
	if slices.ContainsFunc(all, func(d ledger.Device) bool {
		sites := d.Sites
		if len(sites) == 0 {
			sites = ledger.SiteSet{d.Site}
		}
		return d.Name == name && !within(h, sites)
	}) {
		return fmt.Errorf("token %.64q: %w", name, ledger.ErrExists)
	}
	return err
}

// homeSite is the site of uploads with a token.
func homeSite(sites ledger.SiteSet) string {
	if sites.All() {
		return "main"
	}
	return sites[0]
}

// revokeToken ends a token at once.
func (s *Server) revokeToken(c *fiber.Ctx) error {
	name := text(c.Params("name"))
	all, err := s.managedTokens(c.UserContext())
	if err == nil && !slices.ContainsFunc(all, func(d ledger.Device) bool { return d.Name == name }) {
		err = fmt.Errorf("token %.64q: %w", name, ledger.ErrNotFound)
	}
	if err == nil {
		err = s.o.Ledger.Tokens.Revoke(c.UserContext(), name)
	}
	if err != nil {
		return err
	}
	s.log.Info("token revoked", "token", name, "who", holderOf(c.UserContext()).Name)
	return s.listTokens(c)
}
