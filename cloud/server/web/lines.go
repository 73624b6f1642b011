package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// getLines answers with the lines and zones of a device, or with those that a flight or footage is judged by.
func (s *Server) getLines(kind ledger.LineKind) fiber.Handler {
	return func(c *fiber.Ctx) error {
		o, v, err := s.lineOwner(c, kind)
		if err != nil {
			return err
		}
		return s.answerLines(c, o, v)
	}
}

// putLines stores lines and zones. It needs the token of an operator or of the device.
func (s *Server) putLines(kind ledger.LineKind) fiber.Handler {
	return s.changeLines(kind, func(c *fiber.Ctx, by context.Context, o ledger.LineOwner) error {
		text, err := s.readBody(c, boundary.MaxDocument)
		if err != nil {
			return err
		}
		set, err := boundary.Parse(text)
		if err != nil {
			return err
		}
		if _, err := s.o.Ledger.Lines.Put(by, o, set); err != nil {
			return err
		}
		s.log.Info("lines set by request", "owner", o.String(), "lines", len(set.Lines), "zones", len(set.Zones))
		return nil
	})
}

// deleteLines removes lines and zones. It needs the token of an operator or of the device.
func (s *Server) deleteLines(kind ledger.LineKind) fiber.Handler {
	return s.changeLines(kind, func(_ *fiber.Ctx, by context.Context, o ledger.LineOwner) error {
		if err := s.o.Ledger.Lines.Delete(by, o); err != nil {
			return err
		}
		s.log.Info("lines removed by request", "owner", o.String())
		return nil
	})
}

// changeLines runs a change for an operator or the device and answers with what applies then. by names who changes.
func (s *Server) changeLines(kind ledger.LineKind,
	change func(c *fiber.Ctx, by context.Context, o ledger.LineOwner) error) fiber.Handler {
	return func(c *fiber.Ctx) error {
		d, err := s.authenticate(c)
		if err != nil {
			return err
		}
		o, v, err := s.lineOwner(c, kind)
		if err != nil {
			return err
		}
		if err := change(c, ledger.By(c.UserContext(), d.Name), o); err != nil {
			return err
		}
		return s.answerLines(c, o, v)
	}
}

// lineOwner returns the device, the flight or the footage in the path, as far as the request may read it, or ErrNotFound.
// The footage is nil for the others.
func (s *Server) lineOwner(c *fiber.Ctx, kind ledger.LineKind) (ledger.LineOwner, *ledger.FootageView, error) {
	if kind == ledger.FlightLines {
		id, err := idArg(c, "id")
		if err != nil {
			return ledger.LineOwner{}, nil, err
		}
		_, err = s.flightFor(c.UserContext(), id)
		return ledger.LineOwner{Kind: kind, ID: string(id)}, nil, err
	}
	if kind == ledger.FootageLines {
		id, err := idArg(c, "id")
		if err != nil {
			return ledger.LineOwner{}, nil, err
		}
		v, err := s.footageFor(c.UserContext(), id)
		return ledger.LineOwner{Kind: kind, ID: string(id)}, &v, err
	}
	name := text(c.Params("device"))
	ds, err := s.o.Ledger.Devices.List(c.UserContext())
	if err != nil {
		return ledger.LineOwner{}, nil, err
	}
	for _, d := range ds {
		if d.Name == name && mayRead(c.UserContext(), d.Site, name) {
			return ledger.LineOwner{Kind: kind, ID: name}, nil, nil
		}
	}
	return ledger.LineOwner{}, nil, fmt.Errorf("device %.64s: %w", name, ledger.ErrNotFound)
}

// answerLines answers with what applies now.
func (s *Server) answerLines(c *fiber.Ctx, o ledger.LineOwner, v *ledger.FootageView) error {
	found, err := s.linesOf(c.UserContext(), o)
	if err != nil {
		return err
	}
	out := wire.Lines{Lines: found.Set.Lines, Zones: found.Set.Zones, Source: wire.LineSource(found.Kind)}
	if out.Lines == nil {
		out.Lines = []boundary.Line{}
	}
	if out.Zones == nil {
		out.Zones = []boundary.Zone{}
	}
	if found.Kind == "" {
		out.Source = wire.LinesNone
	}
	out.Updated, out.Anchor = timeOrNil(found.Updated), found.Anchor
	if v != nil && v.Count != nil {
		began, err := s.countBegan(c.UserContext(), *v.Count)
		if err != nil {
			return err
		}
		removed, err := s.o.Ledger.Lines.RemovedSince(c.UserContext(), v.Count.Footage, began)
		if err != nil {
			return err
		}
		out.Recount = found.Updated.After(began) || removed
	}
	return sendJSON(c, out)
}

// countBegan returns when the attempt that made a count began. It reads the lines at its start.
func (s *Server) countBegan(ctx context.Context, n ledger.Count) (time.Time, error) {
	as, err := s.o.Ledger.Attempts.List(ctx, n.Job, attemptsShown)
	if err != nil {
		return time.Time{}, err
	}
	for _, a := range as { // newest first
		if a.Outcome == string(job.Done) {
			return a.Began, nil
		}
	}
	return n.At, nil // of a version that recorded no attempts
}

// linesOf returns a set without a kind when there is none.
func (s *Server) linesOf(ctx context.Context, o ledger.LineOwner) (ledger.LineSet, error) {
	var found ledger.LineSet
	var err error
	switch o.Kind {
	case ledger.FootageLines:
		found, err = s.o.Ledger.Lines.For(ctx, footage.ID(o.ID))
	case ledger.FlightLines:
		var f ledger.FlightView
		if f, err = s.o.Ledger.Flights.Get(ctx, o.ID); err == nil {
			found, err = s.o.Ledger.Lines.ForFlight(ctx, f.Device, f.ID)
		}
	default:
		found, err = s.o.Ledger.Lines.Get(ctx, o)
	}
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.LineSet{}, nil
	}
	return found, err
}

// slowest is the least speed of a body that is read as a whole, in bytes per second. Without it, a stranger could keep
// connections for hours with a byte now and then.
const slowest = 64 << 10

// readBody reads a short body of at most limit bytes. It must arrive within HeadTimeout, and the time that the slowest
// link needs for limit.
func (s *Server) readBody(c *fiber.Ctx, limit int64) ([]byte, error) {
	c.Locals(bridgedKey, true)
	b := s.bridge.body(c.Context())
	b.until = time.Now().Add(s.o.HeadTimeout + time.Duration(limit)*time.Second/slowest)
	read, err := io.ReadAll(io.LimitReader(b, limit+1))
	b.finish()
	if b.length < 0 || !b.drained() { // servers read the end of a chunked body in more than one way
		closeAfter(c)
	}
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil, problem.New(wire.SlugTimeout, "The body did not arrive in time. Send it again, without pauses.")
	}
	if err != nil {
		return nil, badRequest("The body did not arrive completely: %v. Send it again.", err)
	}
	if int64(len(read)) > limit {
		return nil, problem.New(wire.SlugTooLarge, "The body is longer than %d bytes.", limit)
	}
	return read, nil
}
