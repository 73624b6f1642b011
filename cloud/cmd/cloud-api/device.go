package main

import (
	"context"
	"fmt"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

type deviceAdd struct {
	Name string `arg:"" help:"Name: 1 to 64 characters of A-Z, a-z, 0-9, _ and -."`
	Site string `required:"" help:"Site of the device; a part of its MQTT topics."`
	Role string `enum:"device,reader,viewer,reviewer,operator,admin" default:"device" help:"device: uploads and reports. The others are tokens of programs and people: reader and viewer: read. reviewer: also corrects counts. operator: also uploads, changes jobs, gives orders. admin: also people, tokens and the audit."`
	// Sites and Expires are for tokens of programs and people.
	Sites     []string      `help:"Sites where the token may read and act, between commas; * is every site. Default: --site."`
	Expires   time.Duration `help:"The token ends after this time, such as 2160h. Default: never." placeholder:"TIME"`
	TokenFile string        `type:"path" placeholder:"FILE" help:"Write the token to this file instead of printing it. A file that already has a token of this device stays as it is."`
}

// device is what is added.
func (d *deviceAdd) device() ledger.Device {
	device := ledger.Device{Name: d.Name, Site: d.Site, Role: ledger.Role(d.Role), Sites: d.Sites}
	if d.Expires != 0 {
		end := time.Now().Add(d.Expires)
		device.Expires = &end
	}
	return device
}

func (d *deviceAdd) Run(ctx context.Context, e *env) error {
	if _, err := topic.ParseDevice(d.Site, d.Name); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		device := d.device()
		if d.TokenFile != "" {
			return d.provision(ctx, e, l)
		}
		token, err := l.Devices.AddWith(ctx, device)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "%s %s of site %s added. Its token follows; it is not stored and cannot be shown again.\n", d.Role, d.Name, d.Site)
		_, err = fmt.Fprintln(e.stdout, token.Reveal())
		return err
	})
}

type deviceSites struct {
	Name  string   `arg:"" help:"Name of the token."`
	Sites []string `required:"" help:"Sites between commas; * is every site."`
}

func (d *deviceSites) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		return l.Devices.SetSites(ctx, d.Name, d.Sites)
	})
}

type deviceRenew struct {
	Name string `arg:"" help:"Name of the device."`
}

func (d *deviceRenew) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		token, err := l.Devices.Renew(ctx, d.Name)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "The new token of %s follows; it cannot be shown again. The old token works until the new one is used.\n", d.Name)
		_, err = fmt.Fprintln(e.stdout, token.Reveal())
		return err
	})
}

type deviceList struct{ output }

func (d *deviceList) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		stored, err := l.Devices.List(ctx)
		if err != nil {
			return err
		}
		var devices []wire.Device
		for _, s := range stored {
			devices = append(devices, wire.Device{Name: s.Name, Site: s.Sites.String(), Role: string(s.Role), Created: s.Created, Revoked: s.Revoked, LastSeen: s.LastSeen, Expires: s.Expires})
		}
		return list(e, d.output, devices, "NAME,SITE,ROLE,STATE,LAST SEEN", func(d wire.Device) []any {
			state := "active"
			switch {
			case d.Expires != nil && d.Expires.Before(time.Now()):
				state = "expired " + day(d.Expires)
			case d.Revoked != nil:
				state = "revoked " + day(d.Revoked)
			}
			return []any{d.Name, d.Site, d.Role, state, day(d.LastSeen)}
		})
	})
}

type deviceRevoke struct {
	Name string `arg:"" help:"Name of the device."`
}

func (d *deviceRevoke) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		if err := l.Devices.Revoke(ctx, d.Name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(e.stderr, "The token of %s is revoked; a connected device is disconnected within seconds.\n", d.Name)
		return err
	})
}

type deviceEnrol struct {
	Name  string        `arg:"" help:"Name: 1 to 64 characters of A-Z, a-z, 0-9, _ and -."`
	Site  string        `required:"" help:"Site of the station; a part of its MQTT topics."`
	Valid time.Duration `default:"1h" help:"How long the code lives, up to 24h."`
}

func (d *deviceEnrol) Run(ctx context.Context, e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	at := c.HTTP.PublicURL
	if at == "" {
		at = "https://SERVER"
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		code, end, err := l.Devices.NewEnrolment(ctx, d.Name, d.Site, d.Valid)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "This code enrols the station %s of site %s once, until %s. On the station run:\n"+
			"  edge-agent enrol %s %s\n", d.Name, d.Site, end.Local().Format("2006-01-02 15:04 MST"), at, code.Reveal())
		_, err = fmt.Fprintln(e.stdout, code.Reveal())
		return err
	})
}

type deviceOrderKey struct {
	Renew bool `help:"Make a new key first, such as after a theft of the ledger. Enrolled stations refuse orders until they are enrolled again."`
}

func (d *deviceOrderKey) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		read := l.OrderKey.Current
		if d.Renew {
			read = l.OrderKey.Renew
		}
		k, err := read(ctx)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(e.stdout, k.Public())
		return err
	})
}
