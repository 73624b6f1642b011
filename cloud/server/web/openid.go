package web

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/openid"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

type openIDProvider interface {
	Begin(ctx context.Context, key secret.String) (address string, err error)
	Finish(ctx context.Context, key secret.String, a openid.Answer) (openid.Identity, error)
}

type identities interface {
	BeginProvider(ctx context.Context, back string) (secret.String, error)
	EndProvider(ctx context.Context, key string) (back string, err error)
	LogInByProvider(ctx context.Context, id ledger.Identity) (ledger.Person, secret.String, error)
}

const (
	// flowCookie has the secret of a log-in that is at the provider. It is sent with the way back from there, so it is not
	// strict, and is good for that alone.
	flowCookie      = "__Host-cattle-openid"
	plainFlowCookie = "cattle-openid"
	flowSeconds     = 600
	openIDCallback  = wire.APIPath + "/openid/callback"
	maxBack         = 512
)

// What the page tells about a log-in that failed: the end of its address, /#openid=KIND. The page
// knows them.
const (
	openIDUnreachable = "unreachable"
	openIDDeclined    = "declined"
	openIDNoRole      = "no-role"
	openIDDisabled    = "disabled"
	openIDFailed      = "failed"
	openIDBusy        = "busy"
)

func (s *Server) flowCookie() string {
	if s.o.Secure {
		return flowCookie
	}
	return plainFlowCookie
}

func (s *Server) setFlowCookie(c *fiber.Ctx, value string, seconds int) {
	c.Cookie(&fiber.Cookie{Name: s.flowCookie(), Value: value, Path: "/", MaxAge: seconds, Secure: s.o.Secure, HTTPOnly: true,
		SameSite: fiber.CookieSameSiteLaxMode})
}

// beginOpenID sends the browser to the provider. back is where on the page it returns to.
func (s *Server) beginOpenID(c *fiber.Ctx) error {
	if s.o.OpenID == nil {
		return problem.New(wire.SlugNotFound, "This server has no provider for log-ins (http.openid).")
	}
	back := "/"
	if v := text(c.Query("back")); v != "" {
		var ok bool
		if back, ok = ownPath(v); !ok {
			return badRequest("back: %.80q is not a path of this page, such as /flights.", v)
		}
	}
	if _, err := s.gate.limits.begin(s.now(), "openid "+s.client(c), s.gate.guesses, guessEvery); err != nil {
		return s.openIDFailed(c, openIDBusy, err)
	}
	key, err := s.o.Ledger.Identities.BeginProvider(c.UserContext(), back)
	if errors.Is(err, ledger.ErrLimit) {
		return s.openIDFailed(c, openIDBusy, err)
	}
	if err != nil {
		return err
	}
	address, err := s.o.OpenID.Begin(c.UserContext(), key)
	if err != nil {
		return s.openIDFailed(c, openIDUnreachable, err)
	}
	s.setFlowCookie(c, key.Reveal(), flowSeconds)
	return seeOther(c, address)
}

// endOpenID begins the session of somebody who comes back from the provider.
func (s *Server) endOpenID(c *fiber.Ctx) error {
	if s.o.OpenID == nil {
		return problem.New(wire.SlugNotFound, "This server has no provider for log-ins (http.openid).")
	}
	key := text(c.Cookies(s.flowCookie()))
	s.setFlowCookie(c, "", -1)
	if !strings.HasPrefix(key, ledger.TokenPrefix) || len(key) > maxToken {
		return s.openIDFailed(c, openIDFailed, errors.New("the browser has no cookie of a log-in"))
	}
	var p ledger.Person
	var session secret.String
	var back string
	err := s.guess(c, "", func(ctx context.Context) (err error) {
		if back, err = s.o.Ledger.Identities.EndProvider(ctx, key); err != nil {
			return fmt.Errorf("the log-in is used up or older than 10 minutes: %w: %w", err, openid.ErrRefused)
		}
		id, err := s.o.OpenID.Finish(ctx, secret.New(key), openid.Answer{Code: text(c.Query("code")), State: text(c.Query("state")),
			Issuer: text(c.Query("iss")), Error: text(c.Query("error"))})
		if err != nil {
			return err
		}
		p, session, err = s.o.Ledger.Identities.LogInByProvider(ctx, ledger.Identity{Issuer: id.Issuer, Subject: id.Subject, Name: id.Name,
			Role: ledger.Role(id.Grant.Role), Sites: id.Grant.Sites})
		if errors.Is(err, ledger.ErrNoRole) || errors.Is(err, ledger.ErrUnauthorised) {
			s.log.Warn("log-in at the provider refused", "subject", printable(id.Subject), "name", printable(id.Name), "err", err)
		}
		return err
	})
	if err != nil {
		return s.openIDFailed(c, openIDKind(err), err)
	}
	s.keepSession(c, p, session)
	return seeOther(c, back)
}

// openIDKind is what the page tells about an error of a log-in at the provider.
func openIDKind(err error) string {
	var limit *problem.Error
	for _, k := range []struct {
		class error
		kind  string
	}{{openid.ErrUnreachable, openIDUnreachable}, {openid.ErrDeclined, openIDDeclined}, {openid.ErrRefused, openIDFailed},
		{ledger.ErrNoRole, openIDNoRole}, {ledger.ErrUnauthorised, openIDDisabled}} {
		if errors.Is(err, k.class) {
			return k.kind
		}
	}
	if errors.As(err, &limit) {
		return openIDBusy
	}
	return openIDFailed
}

// openIDFailed sends the browser to the page, which says why there is no session and offers another way.
func (s *Server) openIDFailed(c *fiber.Ctx, kind string, err error) error {
	s.log.Warn("log-in at the provider failed", "kind", kind, "err", printable(err.Error()), "remote", s.client(c))
	return seeOther(c, "/#openid="+kind)
}

func seeOther(c *fiber.Ctx, to string) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderLocation, to)
	c.Status(fiber.StatusSeeOther)
	return nil
}

// ownPath is the path of a page of this server. What a browser could take for another host is refused.
func ownPath(v string) (string, bool) {
	u, err := url.Parse(v)
	if err != nil || len(v) > maxBack || u.IsAbs() || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(v, "/") || strings.HasPrefix(v, "//") || strings.ContainsAny(v, "\\\r\n\t") ||
		strings.HasPrefix(u.Path, "//") {
		return "", false
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String(), true
}
