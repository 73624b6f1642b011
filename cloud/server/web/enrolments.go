package web

import (
	"context"
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

type (
	enrolments interface {
		NewEnrolment(ctx context.Context, name, site string, life time.Duration) (secret.String, time.Time, error)
		Enrol(ctx context.Context, code, token string) (ledger.Device, error)
	}
	orderKey interface {
		Current(ctx context.Context) (orderkey.Private, error)
	}
)

// newEnrolment answers with a code for a station.
func (s *Server) newEnrolment(c *fiber.Ctx) error {
	var in wire.EnrolmentRequest
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	if in.Hours < 0 || in.Hours > int(ledger.MostEnrolLife/time.Hour) {
		return badRequest("hours: want 1 to %d.", int(ledger.MostEnrolLife/time.Hour))
	}
	life := time.Duration(in.Hours) * time.Hour
	code, end, err := s.o.Ledger.Enrolments.NewEnrolment(c.UserContext(), in.Device, in.Site, life)
	if err != nil {
		return err
	}
	s.log.Info("code for a station made", "device", in.Device, "site", in.Site, "by", holderOf(c.UserContext()).Name)
	return sendJSON(c, wire.EnrolmentCode{Device: in.Device, Site: in.Site, Code: code.Reveal(), Expires: end})
}

// enrol gives a station with a code its token.
func (s *Server) enrol(c *fiber.Ctx) error {
	var in wire.Enrol
	if err := s.readForm(c, &in); err != nil {
		return err
	}
	key, err := s.o.Ledger.OrderKey.Current(c.UserContext())
	if err != nil {
		return err
	}
	var d ledger.Device
	err = s.guess(c, "", func(ctx context.Context) (err error) {
		d, err = s.o.Ledger.Enrolments.Enrol(ctx, in.Code.Reveal(), in.Token.Reveal())
		return err
	})
	if errors.Is(err, ledger.ErrUnauthorised) {
		s.log.Warn("enrolment refused", "remote", s.client(c))
		return problem.New(wire.SlugUnauthorised, "The code is wrong, used up or expired. Ask an admin for a new one.")
	}
	if err != nil {
		return err
	}
	s.log.Info("station enrolled", "device", d.Name, "site", d.Site, "remote", s.client(c))
	return sendJSON(c, wire.Enrolment{Device: d.Name, Site: d.Site, OrderKey: key.Public().String(),
		MQTT: s.o.StationBroker})
}
