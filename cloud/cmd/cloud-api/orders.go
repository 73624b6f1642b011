package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/server/stations"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/orderkey"
)

type ordersCommands struct {
	Rotate ordersRotate `cmd:"" help:"Make a new key that the old one announces to the stations. They follow when they are online. cloud-api may run."`
	Keys   ordersKeys   `cmd:"" help:"List the key and those before it, newest first, with the stations that have them."`
}

type ordersRotate struct {
	Grace time.Duration `default:"720h" help:"How long orders are also signed with the old key, for stations of an earlier version, which do not follow; up to 8784h. 0: not at all, and a running grace period ends." placeholder:"TIME"`
}

func (o *ordersRotate) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		k, err := l.OrderKey.Rotate(ctx, o.Grace)
		if err != nil {
			return err
		}
		if k.Before != (orderkey.Private{}) {
			end := k.Since.Add(o.Grace)
			fmt.Fprintf(e.stderr, "Orders are also signed with the old key until %s.\n", day(&end))
		}
		fmt.Fprintln(e.stderr, "Stations that are online follow now, about 150 a minute, the others when they are back: cloud-api orders keys.\n"+
			"If the old key was stolen, run cloud-api device order-key --renew instead, and enrol the stations again.")
		_, err = fmt.Fprintln(e.stdout, k.Current.Public())
		return err
	})
}

// orderKeyRow is a key in the list.
type orderKeyRow struct {
	Key      string     `json:"key"`   // short name
	State    string     `json:"state"` // current, grace, replaced or unknown
	Until    *time.Time `json:"until,omitempty"`
	Stations []string   `json:"stations"` // that reported it last
}

type ordersKeys struct{ output }

func (o *ordersKeys) Run(ctx context.Context, e *env) error {
	return e.withLedger(ctx, func(ctx context.Context, l *ledger.Ledger) error {
		rows, err := orderKeyRows(ctx, l, time.Now())
		if err != nil {
			return err
		}
		return list(e, o.output, rows, "KEY,STATE,STATIONS", func(r orderKeyRow) []any {
			state := r.State
			if r.Until != nil {
				state += " until " + day(r.Until)
			}
			return []any{cmp.Or(r.Key, "-"), state, strings.Join(r.Stations, " ")}
		})
	})
}

// orderKeyRows are the keys with the stations that reported them. Stations that reported none have a row without a key.
func orderKeyRows(ctx context.Context, l *ledger.Ledger, now time.Time) ([]orderKeyRow, error) {
	current, err := l.OrderKey.Current(ctx)
	if err != nil {
		return nil, err
	}
	past, err := l.OrderKey.Past(ctx)
	if err != nil {
		return nil, err
	}
	rows := []orderKeyRow{{Key: current.Public().ID(), State: "current"}}
	for _, p := range past {
		r := orderKeyRow{Key: p.ID, State: "replaced"}
		if p.Ends.After(now) {
			r.State, r.Until = "grace", &p.Ends
		}
		rows = append(rows, r)
	}
	documents, err := l.Stations.All(ctx)
	if err != nil {
		return nil, err
	}
	devices, err := l.Devices.List(ctx)
	if err != nil {
		return nil, err
	}
	keys := stations.ReportedKeys(documents)
	for _, d := range devices {
		if d.Role != ledger.RoleDevice || d.Revoked != nil {
			continue
		}
		i := slices.IndexFunc(rows, func(r orderKeyRow) bool { return r.Key == keys[d.Name] })
		if i < 0 {
			i = len(rows)
			rows = append(rows, orderKeyRow{Key: keys[d.Name], State: "unknown"})
		}
		rows[i].Stations = append(rows[i].Stations, d.Name)
	}
	for i := range rows {
		rows[i].Stations = append([]string{}, rows[i].Stations...) // a list in JSON, also without stations
	}
	return rows, nil
}
