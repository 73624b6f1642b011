package web

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// maxFlightBody is the largest body of a request about a flight in bytes.
const maxFlightBody = 64 << 10

// changeFlight runs a change of a flight for an operator or the device, and answers with the flight then.
func (s *Server) changeFlight(c *fiber.Ctx, body any, change func(ctx context.Context) (id string, err error)) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	text, err := s.readBody(c, maxFlightBody)
	if err != nil {
		return err
	}
	r := json.NewDecoder(bytes.NewReader(text))
	r.DisallowUnknownFields()
	if err := r.Decode(body); err != nil {
		return badRequest("The body cannot be read: %v. See /api/v1/openapi.yaml for its form.", err)
	}
	id, err := change(ledger.By(c.UserContext(), d.Name))
	if err != nil {
		return err
	}
	v, err := s.flightFor(c.UserContext(), footage.ID(id))
	if err != nil {
		return err
	}
	s.log.Info("flight changed by request", "flight", id, "parts", len(v.Parts))
	return sendJSON(c, flightView(v))
}

// joinFlight makes one flight of footage.
func (s *Server) joinFlight(c *fiber.Ctx) error {
	var body wire.JoinFlight
	return s.changeFlight(c, &body, func(ctx context.Context) (string, error) {
		for _, id := range body.Parts {
			if _, err := s.footageFor(ctx, id); err != nil {
				return "", err
			}
		}
		return s.o.Ledger.Flights.JoinByHand(ctx, body.Parts)
	})
}

// splitFlight has a part begin a flight of its own.
func (s *Server) splitFlight(c *fiber.Ctx) error {
	var body wire.SplitFlight
	id, err := idArg(c, "id")
	if err != nil {
		return err
	}
	return s.changeFlight(c, &body, func(ctx context.Context) (string, error) {
		if _, err := s.flightFor(ctx, id); err != nil {
			return "", err
		}
		return string(id), s.o.Ledger.Flights.SplitByHand(ctx, string(id), body.Before)
	})
}
