package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"cattlecounter/deploy/conformance/finding"
)

// Limits of the documents.
const (
	mostSubscriptions = 200
	mostSessions      = 16
	mostPayload       = 64 << 10
)

// limits are the checks of the limits of an account. Another broker than the built-in one has limits of its own.
var limits = []check{
	{"limit-subscriptions", whoMay, finding.Should, onlyAdmin, func(ctx context.Context, k *kit) error {
		c, err := k.dial(ctx, k.reader, nil)
		if err != nil {
			return err
		}
		defer c.close()
		for i := range mostSubscriptions + 1 {
			granted, err := c.subscribe(ctx, k.made.station.topic("footage", fmt.Sprint("f", i)))
			if err != nil {
				return err
			}
			if want := i < mostSubscriptions; granted != want {
				return fmt.Errorf("filter %d of a session: granted %v, want %v", i+1, granted, want)
			}
		}
		return nil
	}},
	{"limit-sessions", whoMay, finding.Should, onlyAdmin, func(ctx context.Context, k *kit) error {
		var open []*client
		defer func() {
			for _, c := range open {
				c.close()
			}
		}()
		for i := range mostSessions + 1 {
			c, err := k.dial(ctx, k.made.stranger, nil)
			if err == nil {
				open = append(open, c)
			}
			if i == mostSessions {
				if !errors.Is(err, errRefused) {
					return errors.Join(fmt.Errorf("session %d of an account is not refused", i+1), err)
				}
				break
			}
			if err != nil {
				return fmt.Errorf("session %d of an account: %w", i+1, err)
			}
		}
		if granted, err := open[0].subscribe(ctx, everything); err != nil || !granted {
			return errors.Join(err, errors.New("a refused session disturbs another one"))
		}
		return nil
	}},
	{"limit-retained-size", asyncapi, finding.Should, onlyAdmin, func(ctx context.Context, k *kit) error {
		id := newID()
		at := k.made.station.topic("footage", id)
		large := append(k.footage(id), bytes.Repeat([]byte(" "), mostPayload)...)
		if err := k.tried(ctx, k.made.station.account, at, large, true); err != nil {
			return err
		}
		got, err := k.newcomer(ctx, k.reader, at)
		if err == nil && len(got) > 0 {
			err = fmt.Errorf("a message of %d bytes is retained", len(got[0].payload))
		}
		return err
	}},
}

// ends are the checks of accounts that end. They come late, because they take accounts away.
var ends = []check{
	{"token-revoked", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		a, err := k.token(ctx, newID(), "viewer", k.o.Site)
		if err != nil {
			return err
		}
		c, err := k.dial(ctx, a, nil)
		if err != nil {
			return err
		}
		defer c.close()
		if err := k.admin(ctx, http.MethodDelete, "/api/v1/tokens/"+a.name, nil, nil); err != nil {
			return err
		}
		wait, cancel := k.within(ctx)
		defer cancel()
		if err := c.ended(wait); err != nil {
			return err
		}
		return k.wantRefused(ctx, a, nil)
	}},
	{"station-revoked", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		lost, err := k.enrol(ctx, newID(), k.o.Site)
		if err != nil {
			return err
		}
		c, err := k.on(ctx, lost)
		if err != nil {
			return err
		}
		defer c.close()
		id := newID()
		err = errors.Join(c.publish(ctx, lost.topic("status"), k.status(true), true), c.publish(ctx, lost.topic("footage", id), k.footage(id), true))
		if err != nil {
			return err
		}
		if err := k.admin(ctx, http.MethodDelete, "/api/v1/devices/"+lost.name, nil, nil); err != nil {
			return err
		}
		wait, cancel := k.within(ctx)
		defer cancel()
		if err := c.ended(wait); err != nil {
			return err
		}
		return k.poll(ctx, "the retained messages of a revoked station end", func(ctx context.Context) error {
			got, err := k.newcomer(ctx, k.reader, strings.TrimSuffix(lost.topic(""), "/")+"/#")
			if err == nil && len(got) > 0 {
				err = fmt.Errorf("%.200s is retained", got[0].topic)
			}
			return err
		})
	}},
}
