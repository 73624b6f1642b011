package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/server/stations"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

type (
	// stationTable is what the API shows and asks of stations; *stations.Table implements it.
	stationTable interface {
		List(ctx context.Context) ([]wire.Station, error)
		Get(ctx context.Context, name string) (wire.StationDetail, error)
		Order(ctx context.Context, name, command string, args map[string]string) (wire.StationReply, error)
	}
)

// maxCommandBody is the largest body of a command in bytes.
const maxCommandBody = 4 << 10

// stationRoutes registers the stations and their commands.
func (s *Server) stationRoutes(api guarded) {
	api.Get("/stations", s.listStations)
	api.Get("/stations/:device", s.getStation)
	api.Post("/stations/:device/commands", s.commandStation)
}

func (s *Server) listStations(c *fiber.Ctx) error {
	all, err := s.o.Stations.List(c.UserContext())
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(v wire.Station) bool { return !mayRead(c.UserContext(), v.Site, v.Device) })
	return sendJSON(c, pageOf(all, "", asItIs))
}

func (s *Server) getStation(c *fiber.Ctx) error {
	name, err := s.stationArg(c)
	if err != nil {
		return err
	}
	v, err := s.o.Stations.Get(c.UserContext(), name)
	if err != nil {
		return err
	}
	return sendJSON(c, v)
}

// stationArg returns the name in the path, or ErrNotFound when the request may not read that station.
func (s *Server) stationArg(c *fiber.Ctx) (string, error) {
	id, err := idArg(c, "device")
	if err != nil {
		return "", err
	}
	ds, err := s.o.Ledger.Devices.List(c.UserContext())
	if err != nil {
		return "", err
	}
	known := slices.ContainsFunc(ds, func(d ledger.Device) bool {
		return d.Name == string(id) && mayRead(c.UserContext(), d.Site, d.Name)
	})
	if !known {
		return "", fmt.Errorf("station %s: %w", id, ledger.ErrNotFound)
	}
	return string(id), nil
}

// commandStation sends a command to a station and answers with its reply.
func (s *Server) commandStation(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	name, err := s.stationArg(c)
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	if _, err := s.o.Stations.Get(ctx, name); err != nil {
		return err
	}
	body, args, err := s.readCommand(c)
	if err != nil {
		return err
	}
	order := orderText(name, body.Command, args)
	if err := s.o.Ledger.Audit.Record(ledger.By(ctx, d.Name), ledger.ActionOrder, order); err != nil {
		return err
	}
	r, err := s.o.Stations.Order(ctx, name, body.Command, args)
	s.log.Info("order by request", "device", name, "order", body.Command, "by", d.Name, "state", string(r.State), "err", err)
	switch {
	case errors.Is(err, stations.ErrNoAnswer):
		return problem.New(wire.SlugNoAnswer, "The station %s gave no answer within %s: %v. Look at its state and try again.",
			name, stations.AnswerWithin, err)
	case errors.Is(err, stations.ErrNoBroker):
		return problem.New(wire.SlugNotReady, "The order was not sent: %v. See mqtt.url and mqtt.embedded_listen.", err)
	case errors.Is(err, stations.ErrTooMany):
		return problem.New(wire.SlugBusy, "The order was not sent: %v. Try again in a few seconds.", err)
	case err != nil:
		return err
	}
	return sendJSON(c, r)
}

// readCommand reads the body of a command.
func (s *Server) readCommand(c *fiber.Ctx) (wire.StationCommand, map[string]string, error) {
	var body wire.StationCommand
	text, err := s.readBody(c, maxCommandBody)
	if err != nil {
		return body, nil, err
	}
	r := json.NewDecoder(bytes.NewReader(text))
	r.DisallowUnknownFields()
	r.UseNumber()
	err = r.Decode(&body)
	if err == nil {
		if _, more := r.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("it has more than one document")
		}
	}
	if err != nil {
		return body, nil, badRequest("The body cannot be read: %v. Send {\"command\": \"pause\"}, or \"args\" with it.", err)
	}
	args := map[string]string{}
	for name, value := range body.Args {
		switch v := value.(type) {
		case string:
			args[name] = v
		case json.Number:
			args[name] = v.String()
		case bool:
			args[name] = strconv.FormatBool(v)
		default:
			return body, nil, badRequest("args: %.40q is not a text, a number, true or false.", name)
		}
	}
	if err := topic.CheckCommand(body.Command, args); err != nil {
		return body, nil, badRequest("The command is not possible: %v.", err)
	}
	return body, args, nil
}

// orderText is the order as the audit log has it.
func orderText(device, command string, args map[string]string) string {
	text := device + ": " + command
	for _, name := range slices.Sorted(maps.Keys(args)) {
		text += fmt.Sprintf(" %s=%q", name, args[name])
	}
	return text
}
