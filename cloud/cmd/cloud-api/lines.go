package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
)

// lineOwner says whose lines and zones a command is about.
type lineOwner struct {
	Device  string `placeholder:"NAME" help:"Lines of all footage of this device that has none of its own."`
	Flight  string `placeholder:"ID" help:"Lines of this flight, and of its footage that has none of its own."`
	Footage string `placeholder:"ID" help:"Lines of this piece of footage."`
}

func (o lineOwner) owner() (ledger.LineOwner, error) {
	var given []ledger.LineOwner
	for kind, id := range map[ledger.LineKind]string{ledger.DeviceLines: o.Device, ledger.FlightLines: o.Flight,
		ledger.FootageLines: o.Footage} {
		if id != "" {
			given = append(given, ledger.LineOwner{Kind: kind, ID: id})
		}
	}
	if len(given) != 1 {
		return ledger.LineOwner{}, fmt.Errorf("%w: give one of --device, --flight and --footage", errUsage)
	}
	return given[0], nil
}

// withLines opens the ledger for a command about one owner.
func (e *env) withLines(ctx context.Context, of lineOwner, do func(context.Context, *ledger.Ledger, ledger.LineOwner) error) error {
	o, err := of.owner()
	if err != nil {
		return err
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error { return do(ctx, l, o) })
}

type linesShow struct{ lineOwner }

func (c *linesShow) Run(ctx context.Context, e *env) error {
	return e.withLines(ctx, c.lineOwner, func(ctx context.Context, l *ledger.Ledger, o ledger.LineOwner) error {
		s, err := l.Lines.Get(ctx, o)
		switch o.Kind {
		case ledger.FootageLines:
			s, err = l.Lines.For(ctx, footage.ID(o.ID))
		case ledger.FlightLines:
			var f ledger.FlightView
			if f, err = l.Flights.Get(ctx, o.ID); err == nil {
				s, err = l.Lines.ForFlight(ctx, f.Device, f.ID)
			}
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "Lines and zones of %s, set %s.\n", s.LineOwner, day(&s.Updated))
		_, err = fmt.Fprintf(e.stdout, "%s\n", s.Set.Format())
		return err
	})
}

type linesSet struct {
	lineOwner
	File string `arg:"" help:"JSON file of lines and zones, - for standard input. See deploy/docs/lines.md for its form."`
}

func (c *linesSet) Run(ctx context.Context, e *env) error {
	set, err := readLines(c.File)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errUsage, c.File, err)
	}
	return e.withLines(ctx, c.lineOwner, func(ctx context.Context, l *ledger.Ledger, o ledger.LineOwner) error {
		if _, err := l.Lines.Put(ctx, o, set); err != nil {
			return err
		}
		then := "Footage that is counted from now on is judged by them. Flights that they apply to are judged again."
		if o.Kind == ledger.FootageLines {
			then = "The next count of the footage is judged by them."
		}
		_, err := fmt.Fprintf(e.stderr, "%d lines and %d zones of %s set. %s\n", len(set.Lines), len(set.Zones), o, then)
		return err
	})
}

func readLines(path string) (boundary.Set, error) {
	var f io.ReadCloser = os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return boundary.Set{}, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, boundary.MaxDocument+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return boundary.Set{}, err
	}
	return boundary.Parse(text)
}

type linesRemove struct{ lineOwner }

func (c *linesRemove) Run(ctx context.Context, e *env) error {
	return e.withLines(ctx, c.lineOwner, func(ctx context.Context, l *ledger.Ledger, o ledger.LineOwner) error {
		if err := l.Lines.Delete(ctx, o); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "The lines and zones of %s are removed.\n", o)
		return err
	})
}
