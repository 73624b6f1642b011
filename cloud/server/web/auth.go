package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

const (
	maxToken = 256
	// tokenCookie has a token of the page, where a page cannot set a header: pictures, links
	// and events. It is never read for a change.
	tokenCookie = "cattle-token"
	// sessionCookie has the session of a person who logged in. The prefix makes browsers refuse it
	// without https, for subdomains and for a part of the page.
	sessionCookie = "__Host-cattle-session"
	plainCookie   = "cattle-session" // over plain HTTP
	csrfHeader    = "X-CSRF-Token"
)

// bearer returns the token of this service in the header of a request, "" for none. Other
// credentials are those of a proxy.
func bearer(c *fiber.Ctx) string {
	scheme, token, ok := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	token = strings.TrimSpace(token)
	if !ok || !strings.EqualFold(scheme, "bearer") || !strings.HasPrefix(token, ledger.TokenPrefix) || len(token) > maxToken {
		return ""
	}
	return strings.Clone(token)
}

func reads(c *fiber.Ctx) bool {
	return c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead || c.Method() == fiber.MethodOptions
}

// cookieName is the name of the cookie of sessions.
func (s *Server) cookieName() string {
	if s.o.Secure {
		return sessionCookie
	}
	return plainCookie
}

// session returns the secret of the session of a request, "" for none.
func (s *Server) session(c *fiber.Ctx) string {
	v := c.Cookies(s.cookieName())
	if !strings.HasPrefix(v, ledger.TokenPrefix) || len(v) > maxToken {
		return ""
	}
	return strings.Clone(v)
}

// identify returns the holder of a request: of its token, of its session, or where reading is
// open a client without a name. The zero holder may do nothing. A token that is not valid is
// an error, a session that has ended is not.
func (s *Server) identify(c *fiber.Ctx) (access.Holder, error) {
	token := bearer(c)
	if token == "" && reads(c) && s.session(c) == "" {
		if v := c.Cookies(tokenCookie); strings.HasPrefix(v, ledger.TokenPrefix) && len(v) <= maxToken {
			token = strings.Clone(v)
		}
	}
	if token != "" {
		h, err := s.gate.admit(c.UserContext(), s.client(c), "token", token)
		if err == nil && !h.Person {
			s.seen(c, h.Name)
		}
		return h, err
	}
	if session := s.session(c); session != "" {
		h, err := s.gate.admit(c.UserContext(), s.client(c), "session", session)
		switch {
		case errors.Is(err, ledger.ErrUnauthorised):
		case err != nil:
			return h, err
		case !reads(c) && subtle.ConstantTimeCompare([]byte(c.Get(csrfHeader)), []byte(csrfToken(session))) != 1:
			return access.Holder{}, problem.New(wire.SlugForbidden,
				"The header %s is missing or wrong. GET /api/v1/session returns its value.", csrfHeader)
		default:
			return h, nil
		}
	}
	if s.o.OpenReading {
		return access.Open(), nil
	}
	return access.Holder{}, nil
}

// csrfToken is what a change with a session must send besides the cookie: another site can make
// a browser send the cookie, but can read neither of them.
func csrfToken(session string) string {
	sum := sha256.Sum256([]byte("csrf " + session))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// seen records when a token was used.
func (s *Server) seen(c *fiber.Ctx, name string) {
	if !s.gate.due(name) {
		return
	}
	if err := s.o.Ledger.Devices.Touch(c.UserContext(), name, s.now().UTC()); err != nil {
		s.log.Warn("cannot record when the device was seen", "device", name, "err", err)
	}
}

// permit finds the holder of a request and refuses one who may not do the action. The context
// then has the holder, and names it in the audit log.
func (s *Server) permit(c *fiber.Ctx, action access.Action) error {
	h, err := s.identify(c)
	if err != nil && action == access.Public && reads(c) {
		h, err = access.Holder{}, nil // health is for everybody, also with a token that is not valid
	}
	if err != nil {
		return err
	}
	withHolder(c, h)
	if h.Person {
		withSession(c, s.session(c))
	}
	if h.Name != "" {
		c.SetUserContext(ledger.By(c.UserContext(), h.Name))
	}
	switch {
	case action == access.Public || h.May(action):
		return nil
	case h.Name == "":
		return problem.New(wire.SlugUnauthorised, "Log in, or send the header Authorization: Bearer TOKEN. The command "+
			"cloud-api user add adds a person, and cloud-api device add a station.")
	}
	return problem.New(wire.SlugForbidden, "%s has the role %s at %s and may not do this (%s).", h.Name, h.Role, h.Sites, action)
}

// guarded is a router whose routes are open only to those whom a rule of cloud/server/access lets
// in. A route without a rule is refused.
type guarded struct {
	s      *Server
	router fiber.Router
	prefix string
}

func (g guarded) add(method, path string, handler fiber.Handler) {
	action, known := access.Rule(method, g.prefix+path)
	g.router.Add(method, path, func(c *fiber.Ctx) error {
		if !known {
			return problem.New(wire.SlugForbidden, "The server has no rule for who may do this.")
		}
		if err := g.s.permit(c, action); err != nil {
			return err
		}
		return handler(c)
	})
}

// Get adds a route that reads, with GET and HEAD.
func (g guarded) Get(path string, handler fiber.Handler) {
	g.add(fiber.MethodHead, path, handler)
	g.add(fiber.MethodGet, path, handler)
}

// Post adds a route.
func (g guarded) Post(path string, handler fiber.Handler) { g.add(fiber.MethodPost, path, handler) }

// Put adds a route.
func (g guarded) Put(path string, handler fiber.Handler) { g.add(fiber.MethodPut, path, handler) }

// Patch adds a route.
func (g guarded) Patch(path string, handler fiber.Handler) { g.add(fiber.MethodPatch, path, handler) }

// Delete adds a route.
func (g guarded) Delete(path string, handler fiber.Handler) { g.add(fiber.MethodDelete, path, handler) }

// uploader is who an upload belongs to. A person or token of several sites names one of them in the
// header Upload-Site.
func (s *Server) uploader(c *fiber.Ctx) (ledger.Device, error) {
	if err := s.permit(c, access.Upload); err != nil {
		return ledger.Device{}, err
	}
	h := holderOf(c.UserContext())
	site := text(c.Get("Upload-Site"))
	if site == "" {
		var err error
		if site, err = s.homeOf(c.UserContext(), h); err != nil {
			return ledger.Device{}, err
		}
	}
	if !h.Sites.Has(site) {
		return ledger.Device{}, problem.New(wire.SlugForbidden, "%s may not upload for site %.64q.", h.Name, site)
	}
	if _, err := ledger.ParseSiteSet([]string{site}); err != nil || site == ledger.AllSites {
		return ledger.Device{}, badRequest("Upload-Site %.64q is not a name of a site.", site)
	}
	return ledger.Device{Name: h.Name, Site: site, Role: h.Role, Sites: h.Sites, Generation: h.Generation}, nil
}

// homeOf is the site of a holder who has only one, or the only site that there is.
func (s *Server) homeOf(ctx context.Context, h access.Holder) (string, error) {
	if h.Home != "" {
		return h.Home, nil
	}
	if len(h.Sites) == 1 && !h.Sites.All() {
		return h.Sites[0], nil
	}
	ds, err := s.o.Ledger.Devices.List(ctx)
	if err != nil {
		return "", err
	}
	const first = "main" // before there is a station
	home := ""
	for _, d := range ds {
		switch {
		case d.Role != ledger.RoleDevice || d.Revoked != nil || !h.Sites.Has(d.Site) || d.Site == home:
		case home != "":
			return "", badRequest("There are several sites. Send the header Upload-Site with the name of one.")
		default:
			home = d.Site
		}
	}
	if home == "" {
		home = first
	}
	return home, nil
}

// authenticate returns the holder of a change. The rule of its route has let it in.
func (s *Server) authenticate(c *fiber.Ctx) (ledger.Device, error) {
	h := holderOf(c.UserContext())
	if h.Name == "" {
		return ledger.Device{}, fmt.Errorf("change without a holder: %w", ledger.ErrUnauthorised)
	}
	return ledger.Device{Name: h.Name, Role: h.Role, Sites: h.Sites, Generation: h.Generation}, nil
}
