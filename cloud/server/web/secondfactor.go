package web

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image/png"

	"github.com/gofiber/fiber/v2"
	"github.com/pquerna/otp"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

const qrPixels = 240 // width and height of the QR code of a key

// withPassword reads a name, a password and a code, and does something for the person who has this name and password. It
// returns the person.
func (s *Server) withPassword(c *fiber.Ctx, do func(context.Context, ledger.Person, ledger.SecondStep) error) (
	p ledger.Person, err error) {
	var in wire.LogIn
	if s.o.NoPasswords {
		return p, problem.New(wire.SlugForbidden, "This server takes no passwords (http.passwords). Log in at %s, or with a code of "+
			"cloud-api user code NAME.", s.o.OpenIDName)
	}
	if err := s.readForm(c, &in); err != nil {
		return p, err
	}
	err = s.guess(c, s.gate.limits.user(in.Name, s.client(c)), func(ctx context.Context) (err error) {
		if p, err = s.o.Ledger.People.CheckPassword(ctx, in.Name, in.Password.Reveal()); err != nil {
			return err
		}
		return s.withFactor(c, "person "+p.Name, in.Factor, func(step ledger.SecondStep) error { return do(ctx, p, step) })
	})
	if errors.Is(err, ledger.ErrUnauthorised) {
		s.log.Warn("log-in refused", "user", printable(in.Name), "remote", s.client(c))
		err = problem.New(wire.SlugUnauthorised, "The name or the password is wrong, or the user is disabled.")
	}
	return p, err
}

// withFactor does something that may need the second factor of somebody who has shown the password. Failures of who are
// limited.
func (s *Server) withFactor(c *fiber.Ctx, who string, code secret.String, do func(ledger.SecondStep) error) error {
	step := ledger.SecondStep{Code: code, Required: s.o.SecondFactor}
	if code.IsZero() {
		return factorProblem(do(step))
	}
	succeeded, err := s.gate.limits.begin(s.now(), "second factor of "+who, factorGuesses, factorGuessWait)
	if err != nil {
		return err
	}
	err = do(step)
	switch {
	case err == nil:
		succeeded()
	case errors.Is(err, ledger.ErrUnauthorised):
		s.log.Warn("second factor refused", "remote", s.client(c))
		return problem.New(wire.SlugSecondFactor, "The code is wrong or was used before. Wait for the next code of the app, and "+
			"check the clock of the telephone; or use a backup code.")
	}
	return factorProblem(err)
}

// factorProblem replaces the wish for a second factor by its answer.
func factorProblem(err error) error {
	switch {
	case errors.Is(err, ledger.ErrSecondFactor):
		return problem.New(wire.SlugSecondFactor, "Enter the code of the authenticator app, or a backup code.").Because(err)
	case errors.Is(err, ledger.ErrNoSecondFactor):
		return problem.New(wire.SlugNoSecondFactor, "Your role needs a second factor. Log in with name and password to set "+
			"one up.").Because(err)
	}
	return err
}

// asksForFactor reports whether an attempt failed only because it had no second factor.
func asksForFactor(err error) bool {
	return errors.Is(err, ledger.ErrSecondFactor) || errors.Is(err, ledger.ErrNoSecondFactor)
}

// newSecondFactor answers with the key of an authenticator app. It is in use after confirmSecondFactor.
func (s *Server) newSecondFactor(c *fiber.Ctx) error {
	var address secret.String
	if _, err := s.withPassword(c, func(ctx context.Context, p ledger.Person, step ledger.SecondStep) (err error) {
		address, err = s.o.Ledger.Factors.NewSecondFactor(ctx, p, step)
		return err
	}); err != nil {
		return err
	}
	v, err := factorKey(address)
	if err != nil {
		return err
	}
	return sendJSON(c, v)
}

func factorKey(address secret.String) (v wire.FactorKey, err error) {
	key, err := otp.NewKeyFromURL(address.Reveal())
	if err != nil { // its text would show the key
		return v, fmt.Errorf("address of a second factor: %w", ledger.ErrCorrupt)
	}
	picture, err := key.Image(qrPixels, qrPixels)
	if err != nil {
		return v, fmt.Errorf("QR code of a second factor: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		return v, fmt.Errorf("QR code of a second factor: %w", err)
	}
	return wire.FactorKey{Key: key.Secret(), Address: key.URL(),
		QR: "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())}, nil
}

// confirmSecondFactor puts the new key into use with its first code, ends the sessions of the person and begins a new one.
func (s *Server) confirmSecondFactor(c *fiber.Ctx) error {
	var session secret.String
	var backup []secret.String
	p, err := s.withPassword(c, func(ctx context.Context, p ledger.Person, step ledger.SecondStep) (err error) {
		if step.Code.IsZero() {
			return ledger.ErrSecondFactor
		}
		session, backup, err = s.o.Ledger.Factors.ConfirmSecondFactor(ctx, p, step.Code)
		return err
	})
	if err != nil {
		return err
	}
	s.gate.limits.loggedIn(p.Name, s.client(c))
	s.log.Info("second factor set", "user", p.Name, "remote", s.client(c))
	p.Generation, p.SecondFactor = p.Generation+1, true
	return s.beginSession(c, p, session, backup)
}

// removeSecondFactor removes the second factor of a person and ends the sessions.
func (s *Server) removeSecondFactor(c *fiber.Ctx) error {
	p, err := s.withPassword(c, s.o.Ledger.Factors.EndSecondFactor)
	switch {
	case errors.Is(err, ledger.ErrNoSecondFactor):
		return problem.New(wire.SlugForbidden, "The role %s needs a second factor (http.second_factor of the server).", p.Role)
	case err != nil:
		return err
	}
	s.gate.forget(s.session(c))
	s.log.Info("second factor removed", "user", p.Name, "remote", s.client(c))
	s.setCookie(c, "", -1)
	return s.answerSession(c, access.Holder{}, "")
}
