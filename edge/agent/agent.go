// Package agent composes the station from its parts and runs them. The parts are of three kinds. Some bring the
// footage to the cloud: watch, ingest, spool, uplink, originals. Some publish and receive: beacon, results, orders,
// local. Some look after the station: clock, alarm, systemd.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cattlecounter/edge/alarm"
	"cattlecounter/edge/beacon"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/command"
	"cattlecounter/edge/config"
	"cattlecounter/edge/ingest"
	"cattlecounter/edge/local"
	"cattlecounter/edge/orders"
	"cattlecounter/edge/originals"
	"cattlecounter/edge/results"
	"cattlecounter/edge/spool"
	"cattlecounter/edge/systemd"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/vitals"
	"cattlecounter/edge/watch"
	"cattlecounter/shared/topic"
)

// Agent is one running edge. Create it with Open, start it with Run.
type Agent struct {
	cfg     config.Config
	version string
	log     *slog.Logger
	level   *slog.LevelVar // of log
	started time.Time      // by the wall clock, for people
	begun   time.Time      // with its monotonic reading
	session int64

	spool     *spool.Spool
	clock     *clock.Clock
	watch     *watch.Watcher
	ingest    *ingest.Ingest
	token     *uplink.Token
	budget    *uplink.Budget
	cloud     *uplink.Cloud
	uplink    *uplink.Uplink
	beacon    *beacon.Beacon // nil without a broker
	results   *results.Fetcher
	alarms    *alarm.Alarms
	orders    *command.Orders
	originals *originals.Deleter // nil without watch.delete_confirmed
}

// Run opens an agent, runs it until ctx ends and closes it. It returns nil after a stop by
// ctx. level is log's level.
func Run(ctx context.Context, cfg config.Config, version string, log *slog.Logger, level *slog.LevelVar) error {
	a, err := Open(cfg, version, log, level)
	if err != nil {
		return err
	}
	return errors.Join(a.Run(ctx), a.Close())
}

// Open opens the spool and connects the parts. It starts nothing. cfg must be valid.
func Open(cfg config.Config, version string, log *slog.Logger, level *slog.LevelVar) (*Agent, error) {
	a := &Agent{cfg: cfg, version: version, log: log.With("device", cfg.Device), level: level, started: time.Now().UTC(),
		begun: time.Now()}
	sp, err := spool.Open(SpoolOptions(cfg.Spool, a.log))
	if err != nil {
		return nil, err
	}
	a.spool = sp
	if err := a.connect(); err != nil {
		return nil, errors.Join(err, sp.Close())
	}
	return a, nil
}

// SpoolOptions returns the spool's options of a configuration.
func SpoolOptions(c config.Spool, log *slog.Logger) spool.Options {
	return spool.Options{Dir: c.Dir, Quota: int64(c.Quota), MinFree: int64(c.MinFree), LogFile: int64(c.ValueLog),
		KeepConfirmed: c.WhenFull == config.FullEvict, Log: log}
}

func (a *Agent) connect() (err error) {
	if a.session, err = a.spool.NextSession(); err != nil {
		return err
	}
	if err = a.newClock(); err != nil {
		return err
	}
	if err = a.newUplink(); err != nil {
		return err
	}
	a.ingest = ingest.New(ingest.Spool{Records: a.spool.Records, Captures: a.spool.Captures, Content: a.spool.Content,
		Files: a.spool.Captures, Recovery: a.spool.Recovery, Disk: a.spool.Disk}, a.trustedTime, a.log)
	w := a.cfg.Watch
	a.watch = watch.New(watch.Options{Folders: w.Folders, Stable: w.Stable, Sidecar: w.Sidecar, Poll: w.Poll, Log: a.log},
		a.ingest)
	a.results = results.New(a.spool.Records, a.cloud, a.brokerUp, a.log)
	if w.DeleteConfirmed {
		a.originals = originals.New(originals.Options{Records: a.spool.Records, Files: a.spool.Captures,
			Confirms: a.uplink.Confirms, Busy: a.ingest.Busy, Log: a.log})
	}
	a.alarms = a.newAlarms()
	a.orders = command.New(a.station().Actions(), a.spool.Replies, a.clock.Read, a.log)
	pin := command.Pin{Key: a.cfg.OrderKey, Enrolment: a.cfg.Enrolment, Station: a.cfg.Address()}
	if err := a.orders.Trust(pin, a.spool.Replies); err != nil {
		return err
	}
	if a.cfg.MQTT.URL != "" {
		if a.beacon, err = a.newBeacon(); err != nil {
			return err
		}
		a.spool.Records.OnChange(a.beacon.Changed)
	}
	a.spool.Records.OnChange(a.wakeParts)
	return nil
}

func (a *Agent) newUplink() error {
	c, u := a.cfg.Cloud, a.cfg.Uplink
	paused, err := a.spool.Link.Paused()
	if err != nil {
		return err
	}
	windows, err := u.Schedule()
	if err != nil {
		return fmt.Errorf("uplink.windows: %w", err)
	}
	if why := a.cfg.Exposed(); why != "" {
		a.log.Warn(why + "; run: chmod 640 " + a.cfg.TokenFile)
	}
	a.token = uplink.NewToken(a.cfg.Token, a.cfg.TokenFile, a.log)
	a.budget, err = uplink.NewBudget(uplink.BudgetOptions{Store: a.spool.Link, Metered: u.Metered,
		Day: int64(u.Budget.Day), Month: int64(u.Budget.Month),
		Zone: windows.Zone(), Synced: synced, Log: a.log})
	if err != nil {
		return err
	}
	a.cloud, err = uplink.NewCloud(uplink.CloudOptions{URL: c.URL, Token: a.token, Budget: a.budget, CAFile: c.CAFile,
		Proxy: c.Proxy, IdleTimeout: c.IdleTimeout, Clock: a.clock})
	if err != nil {
		return err
	}
	a.uplink, err = uplink.New(uplink.Options{Spool: a.uplinkSpool(), Cloud: a.cloud, Order: uplink.Order(u.Order),
		RateLimit: int64(u.RateLimit),
		Windows:   windows, Paused: paused, Thumbnails: u.WhenMetered == config.MeteredThumbnails,
		Synced: synced, Log: a.log})
	return err
}

// uplinkSpool names the parts of the spool that the uplink uses.
func (a *Agent) uplinkSpool() uplink.Spool {
	sp := a.spool
	return uplink.Spool{Records: sp.Records, Content: sp.Content, Uploads: sp.Uploads, Recovery: sp.Recovery,
		Link: sp.Link}
}

// newAlarms connects the sources of alarms.
func (a *Agent) newAlarms() *alarm.Alarms {
	o := alarm.Options{Records: a.spool.Records.All, Space: a.spool.Disk.Space, Salvaged: a.spool.Salvaged,
		Clock:          a.clock.Alarm,
		Reconciliation: func() uplink.Reconciliation { return a.uplink.Report().Reconciliation },
		Link:           func() uplink.Link { return a.uplink.Link() },
		Quota:          int64(a.cfg.Spool.Quota), MinFree: int64(a.cfg.Spool.MinFree), Log: a.log}
	o.OnChange = func() {
		if a.beacon != nil {
			a.beacon.RequestVitals()
		}
	}
	return alarm.New(o)
}

// station is the parts that orders act on.
func (a *Agent) station() *orders.Station {
	return &orders.Station{Link: a.uplink, Records: a.spool.Records, Recovery: a.spool.Recovery, Pause: a.spool.Link,
		Level: a.level, Key: func() string { return a.orders.Key() }, Rescan: func() {
			a.ingest.RetryNow()
			a.watch.Rescan()
		}}
}

// watchRoutes makes the uplink retry when the kernel reports a new route.
func (a *Agent) watchRoutes(ctx context.Context) error {
	if err := uplink.WatchRoutes(ctx, a.uplink.KickIfDown); err != nil {
		a.log.Warn("cannot watch the routes; a link that comes back is noticed at the next retry", "err", err)
	}
	return nil
}

// synced reports whether the wall clock can be trusted.
func synced() bool { return vitals.Clock() == topic.ClockSynced }

// trustedTime is the time that tells which capture times are plausible: by this machine's clock when it is
// synchronized, else by the best hint.
func (a *Agent) trustedTime() (now time.Time, trusted bool) {
	if synced() {
		return time.Now(), true
	}
	if e, ok := a.clock.Best(); ok {
		return e.Now, true
	}
	return time.Now(), false
}

// brokerUp reports whether a broker is configured and connected.
func (a *Agent) brokerUp() bool { return a.beacon != nil && a.beacon.Status().Up }

func (a *Agent) newBeacon() (*beacon.Beacon, error) {
	tls, err := uplink.TLSConfig(a.cfg.MQTT.CAFile)
	if err != nil {
		return nil, fmt.Errorf("mqtt.ca_file: %w", err)
	}
	b, err := beacon.New(beacon.Options{URL: a.cfg.MQTT.URL, Address: a.cfg.Address(), Token: a.token.Current, TLS: tls,
		Session: a.session,
		Version: a.version, Started: a.started, Every: a.cfg.Vitals.Every, Records: a.spool.Records, Outbox: a.spool.Outbox,
		Vitals: a.vitals, Clock: vitals.Clock,
		Order: a.orders.Handle, OnUp: a.uplink.Kick, Log: a.log})
	if err == nil {
		a.orders.OnReply(b.Reply)
	}
	return b, err
}

// wakeParts wakes the parts that have work after a change. It is a spool.OnChange function.
func (a *Agent) wakeParts(r spool.Record) {
	switch {
	case r.State == spool.Captured && !r.Stale && r.Waiting == "":
		a.ingest.Wake()
	case r.State == spool.Spooled:
		a.uplink.Wake()
	case r.State == spool.Confirmed, r.State == spool.Reclaimed, r.State == spool.Duplicate:
		if a.originals != nil {
			a.originals.Wake()
		}
		a.results.Wake()
	}
}

// Run runs every part until ctx ends or a part fails, and waits for all of them.
func (a *Agent) Run(ctx context.Context) error {
	a.log.Info("edge agent started", "version", a.version, "site", a.cfg.Site, "session", a.session,
		"folders", a.cfg.Watch.Folders, "spool", a.cfg.Spool.Dir, "cloud", a.cfg.Cloud.URL, "broker", a.cfg.MQTT.URL)
	all, ctx := errgroup.WithContext(ctx)
	parts := []func(context.Context) error{a.spool.Run, a.clock.Run, a.watch.Run, a.ingest.Run, a.uplink.Run,
		a.watchRoutes,
		a.results.Run, a.alarms.Run, a.orders.Run,
		func(ctx context.Context) error {
			return local.Serve(ctx, local.SocketPath(a.cfg.Spool.Dir), a.Status, a.orders)
		}}
	if a.beacon != nil {
		parts = append(parts, a.beacon.Run)
	}
	if a.originals != nil {
		parts = append(parts, a.originals.Run)
	}
	parts = append(parts, func(ctx context.Context) error { return systemd.Run(ctx, a.answerWatchdog, a.log) })
	for _, run := range parts {
		all.Go(func() error { return run(ctx) })
	}
	err := all.Wait()
	a.log.Info("edge agent stopped", "err", err)
	return err
}

// Close closes the spool. Run must have returned.
func (a *Agent) Close() error {
	a.cloud.Close()
	return errors.Join(a.budget.Close(), a.spool.Close())
}
