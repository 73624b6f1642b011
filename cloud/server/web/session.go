package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

const (
	maxLoginBody = 4 << 10
	cookieLife   = 30 * 24 * time.Hour
)

// getSession says who the client is, and what it sends with changes.
func (s *Server) getSession(c *fiber.Ctx) error {
	return s.answerSession(c, holderOf(c.UserContext()), s.session(c))
}

func (s *Server) answerSession(c *fiber.Ctx, h access.Holder, session string, backup ...secret.String) error {
	v := wire.Session{Name: h.Name, Role: string(h.Role), Sites: h.Sites, Reads: h.May(access.Read),
		SecondFactor: h.Factor, Passwords: !s.o.NoPasswords}
	if s.o.OpenID != nil {
		v.OpenID = s.o.OpenIDName
	}
	for _, code := range backup {
		v.BackupCodes = append(v.BackupCodes, code.Reveal())
	}
	if h.Person && session != "" {
		v.CSRF = csrfToken(session)
	}
	if h.Name == "" {
		n, err := s.o.Ledger.People.Count(c.UserContext())
		if err != nil {
			return err
		}
		v.Setup = n == 0
	}
	for _, a := range access.Actions() {
		if h.May(a) {
			v.May = append(v.May, string(a))
		}
	}
	return sendJSON(c, v)
}

// readForm reads a JSON body. It accepts only the media type that a form of another site cannot send.
func (s *Server) readForm(c *fiber.Ctx, into any) error {
	media, _, _ := bytes.Cut(c.Request().Header.ContentType(), []byte(";"))
	if string(media) != fiber.MIMEApplicationJSON {
		return badRequest("Send a body with Content-Type: application/json.")
	}
	body, err := s.readBody(c, maxLoginBody)
	if err != nil {
		return err
	}
	r := json.NewDecoder(bytes.NewReader(body))
	r.DisallowUnknownFields()
	if r.Decode(into) != nil { // its error could show a part of a password
		return badRequest("The body is not the JSON object of this address. See /api/v1/openapi.yaml for its form.")
	}
	return nil
}

// logIn begins a session with a name, a password and a code of the second factor.
func (s *Server) logIn(c *fiber.Ctx) error {
	var session secret.String
	p, err := s.withPassword(c, func(ctx context.Context, p ledger.Person, step ledger.SecondStep) (err error) {
		session, err = s.o.Ledger.People.LogIn(ctx, p, step)
		return err
	})
	if err != nil {
		return err
	}
	s.gate.limits.loggedIn(p.Name, s.client(c))
	return s.beginSession(c, p, session, nil)
}

// logInWithCode begins a session with a one-time code in place of the password.
func (s *Server) logInWithCode(c *fiber.Ctx) error {
	var in wire.Code
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	var p ledger.Person
	var session secret.String
	err := s.guess(c, "", func(ctx context.Context) error {
		return s.withFactor(c, "code "+csrfToken(in.Code.Reveal()), in.Factor, func(step ledger.SecondStep) (err error) {
			p, session, err = s.o.Ledger.People.LogInWithCode(ctx, in.Code.Reveal(), step)
			return err
		})
	})
	if err != nil {
		return wrongCode(err)
	}
	return s.beginSession(c, p, session, nil)
}

// setUp adds the first admin with the code of the console, and logs them in. Where admins need a second factor the log-in
// is refused, and the admin sets one up first.
func (s *Server) setUp(c *fiber.Ctx) error {
	var in wire.Setup
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	p := ledger.Person{Name: in.Name, Sites: ledger.SiteSet{ledger.AllSites}, Generation: 1}
	err := s.guess(c, "", func(ctx context.Context) error {
		return s.o.Ledger.People.AddFirst(ctx, in.Code.Reveal(), p, in.Password.Reveal())
	})
	if err != nil {
		return wrongCode(err)
	}
	p.Role = ledger.RoleAdmin
	session, err := s.o.Ledger.People.LogIn(c.UserContext(), p, ledger.SecondStep{Required: s.o.SecondFactor})
	if err != nil {
		return factorProblem(err)
	}
	return s.beginSession(c, p, session, nil)
}

// guess tries something that a stranger could guess, within the limits of failures of the address, and of the user
// where that is not "".
func (s *Server) guess(c *fiber.Ctx, user string, try func(context.Context) error) error {
	address, err := s.gate.limits.begin(s.now(), "address "+s.client(c), s.gate.guesses, guessEvery)
	if err != nil {
		return err
	}
	account := func() {}
	if user != "" {
		if account, err = s.gate.limits.begin(s.now(), user, userGuesses, userGuessWait); err != nil {
			return err
		}
	}
	err = try(c.UserContext())
	if err == nil || asksForFactor(err) { // the password was right
		address()
		account()
	}
	return err
}

// wrongCode replaces the refusal of a code by its answer.
func wrongCode(err error) error {
	if errors.Is(err, ledger.ErrUnauthorised) {
		return problem.New(wire.SlugUnauthorised, "The code is wrong, used up or older than 15 minutes. Ask for a new one.")
	}
	return err
}

// beginSession sets the cookie of a new session and ends the one before it. The answer has the new backup codes.
func (s *Server) beginSession(c *fiber.Ctx, p ledger.Person, session secret.String, backup []secret.String) error {
	if before := s.session(c); before != "" {
		if err := s.o.Ledger.Sessions.EndSession(c.UserContext(), before); err != nil {
			s.log.Warn("earlier session not ended", "user", p.Name, "err", err)
		}
		s.gate.forget(before)
	}
	s.keepSession(c, p, session)
	return s.answerSession(c, access.OfPerson(p), session.Reveal(), backup...)
}

// keepSession gives the browser the cookie of a new session.
func (s *Server) keepSession(c *fiber.Ctx, p ledger.Person, session secret.String) {
	s.setCookie(c, session.Reveal(), int(cookieLife/time.Second))
	s.log.Info("logged in", "user", p.Name, "remote", s.client(c))
}

func (s *Server) setCookie(c *fiber.Ctx, value string, seconds int) {
	c.Cookie(&fiber.Cookie{Name: s.cookieName(), Value: value, Path: "/", MaxAge: seconds, Secure: s.o.Secure,
		HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode})
}

// logOut ends the session, or with everywhere=1 all sessions of the person.
func (s *Server) logOut(c *fiber.Ctx) error {
	h, session := holderOf(c.UserContext()), s.session(c)
	if h.Person {
		end := func(ctx context.Context) error { return s.o.Ledger.Sessions.EndSession(ctx, session) }
		if c.Query("everywhere") == "1" {
			end = func(ctx context.Context) error { return s.o.Ledger.Sessions.LogOut(ctx, h.Name) }
		}
		if err := end(c.UserContext()); err != nil {
			return err
		}
		s.gate.forget(session)
		s.log.Info("logged out", "user", h.Name)
	}
	s.setCookie(c, "", -1)
	return s.answerSession(c, access.Holder{}, "")
}
