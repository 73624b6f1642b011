package main

import (
	"context"
	"fmt"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

type deviceAdd struct {
	Name string `arg:"" help:"Name: 1 to 64 characters of A-Z, a-z, 0-9, _ and -."`
	Site string `required:"" help:"Site of the device; a part of its MQTT topics."`
	Role string `enum:"device,reader,operator" default:"device" help:"device: uploads and reports. reader: reads every topic. operator: reads, gives orders, uploads from the browser."`

	TokenFile string `type:"path" placeholder:"FILE" help:"Write the token to this file instead of printing it. A file that already has a token of this device stays as it is."`
}

func (d *deviceAdd) Run(ctx context.Context, e *env) error {
	if _, err := topic.ParseDevice(d.Site, d.Name); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		if d.TokenFile != "" {
			return d.provision(ctx, e, l)
		}
		token, err := l.Devices.Add(ctx, d.Name, d.Site, ledger.Role(d.Role))
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "%s %s of site %s added. Its token follows; it is not stored and cannot be shown again.\n", d.Role, d.Name, d.Site)
		_, err = fmt.Fprintln(e.stdout, token.Reveal())
		return err
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
			devices = append(devices, wire.Device{Name: s.Name, Site: s.Site, Role: string(s.Role), Created: s.Created, Revoked: s.Revoked, LastSeen: s.LastSeen})
		}
		return list(e, d.output, devices, "NAME,SITE,ROLE,STATE,LAST SEEN", func(d wire.Device) []any {
			state := "active"
			if d.Revoked != nil {
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
