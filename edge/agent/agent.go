// Package agent puts the edge together: watch, ingest, spool, uplink, beacon
// and the status socket, as one Run.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"cattlecounter/edge/beacon"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/command"
	"cattlecounter/edge/config"
	"cattlecounter/edge/ingest"
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
	begun   time.Time      // by the monotonic clock
	session int64

	spool  *spool.Spool
	clock  *clock.Clock
	watch  *watch.Watcher
	ingest *ingest.Ingest
	token  *uplink.Token
	budget *uplink.Budget
	cloud  *uplink.Cloud
	uplink *uplink.Uplink
	beacon *beacon.Beacon // nil without a broker
	follow *follower
	alarms alarms
	orders *command.Orders
	cards  *originals // nil when the card's files are not deleted
}

// Run opens an agent, runs it until ctx ends and closes it. It returns nil after
// a stop by ctx. level is log's.
func Run(ctx context.Context, cfg config.Config, version string, log *slog.Logger, level *slog.LevelVar) error {
	a, err := Open(cfg, version, log, level)
	if err != nil {
		return err
	}
	return errors.Join(a.Run(ctx), a.Close())
}

// Open opens the spool and connects the parts; nothing runs yet. cfg must be valid.
func Open(cfg config.Config, version string, log *slog.Logger, level *slog.LevelVar) (*Agent, error) {
	a := &Agent{cfg: cfg, version: version, log: log.With("device", cfg.Device), level: level, started: time.Now().UTC(), begun: time.Now()}
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

// SpoolOptions is what the configuration says about the spool.
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
		Recovery: a.spool.Recovery, Disk: a.spool.Disk}, a.log)
	w := a.cfg.Watch
	a.watch = watch.New(watch.Options{Folders: w.Folders, Stable: w.Stable, Sidecar: w.Sidecar, Poll: w.Poll, Log: a.log}, a.ingest)
	a.follow = newFollower(a.spool.Records, a.cloud, func() bool { return a.beacon != nil && brokerUp(a.beacon) }, a.log)
	if w.DeleteConfirmed {
		a.cards = newOriginals(a.spool.Records, a.log)
	}
	a.orders = command.New(a.actions(), a.spool.Replies, a.clock.Read, a.log)
	if a.cfg.MQTT.URL != "" {
		if a.beacon, err = a.newBeacon(); err != nil {
			return err
		}
		a.spool.Records.OnChange(a.beacon.Changed)
	}
	a.spool.Records.OnChange(a.changed)
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
	a.token = uplink.NewToken(a.cfg.Token, a.cfg.TokenFile, a.log)
	a.budget, err = uplink.NewBudget(uplink.BudgetOptions{Books: a.spool.Link, Metered: u.Metered, Day: int64(u.Budget.Day), Month: int64(u.Budget.Month),
		Zone: windows.Zone(), Synced: synced, Log: a.log})
	if err != nil {
		return err
	}
	a.cloud, err = uplink.NewCloud(uplink.CloudOptions{URL: c.URL, Token: a.token, Budget: a.budget, CAFile: c.CAFile, Proxy: c.Proxy, IdleTimeout: c.IdleTimeout, Clock: a.clock})
	if err != nil {
		return err
	}
	a.uplink, err = uplink.New(uplink.Options{Spool: a.uplinkSpool(), Cloud: a.cloud, Order: uplink.Order(u.Order), RateLimit: int64(u.RateLimit),
		Windows: windows, Paused: paused, Thumbnails: u.WhenMetered == config.MeteredThumbnails, Synced: synced, Log: a.log})
	return err
}

// uplinkSpool names the parts of the spool that the uplink uses.
func (a *Agent) uplinkSpool() uplink.Spool {
	sp := a.spool
	return uplink.Spool{Records: sp.Records, Content: sp.Content, Uploads: sp.Uploads, Recovery: sp.Recovery, Link: sp.Link}
}

// routes kicks the uplink when a link comes back. Where the kernel does not tell,
// the waits between tries are all there is.
func (a *Agent) routes(ctx context.Context) error {
	if err := uplink.WatchRoutes(ctx, a.uplink.LinkBack); err != nil {
		a.log.Warn("a link that is back is found at the next try only", "err", err)
	}
	return nil
}

// synced reports whether the wall clock can be trusted.
func synced() bool { return vitals.Clock() == topic.ClockSynced }

func brokerUp(b *beacon.Beacon) bool { return b.Status().Up }

func (a *Agent) newBeacon() (*beacon.Beacon, error) {
	tls, err := uplink.TLSConfig(a.cfg.MQTT.CAFile)
	if err != nil {
		return nil, fmt.Errorf("mqtt.ca_file: %w", err)
	}
	b, err := beacon.New(beacon.Options{URL: a.cfg.MQTT.URL, Address: a.cfg.Address(), Token: a.token.Current, TLS: tls, Session: a.session,
		Version: a.version, Started: a.started, Every: a.cfg.Vitals.Every, Records: a.spool.Records, Outbox: a.spool.Outbox, Vitals: a.vitals, Clock: vitals.Clock,
		Order: a.orders.Handle, OnUp: a.uplink.Kick, Log: a.log})
	if err == nil {
		a.orders.OnReply(b.Reply)
	}
	return b, err
}

// changed wakes whoever has work by a change; it is a spool.OnChange function.
func (a *Agent) changed(r spool.Record) {
	switch {
	case r.State == spool.Captured && !r.Stale && r.Waiting == "":
		a.ingest.Wake()
	case r.State == spool.Spooled:
		a.uplink.Wake()
	case r.State == spool.Confirmed, r.State == spool.Reclaimed:
		if a.cards != nil {
			a.cards.wakeUp()
		}
		a.follow.wakeUp()
	case r.Count == nil && r.Job != nil && r.Job.State.Ended():
		a.follow.wakeUp()
	}
}

// Run works until ctx ends or a part fails for good.
func (a *Agent) Run(ctx context.Context) error {
	a.log.Info("edge agent started", "version", a.version, "site", a.cfg.Site, "session", a.session,
		"folders", a.cfg.Watch.Folders, "spool", a.cfg.Spool.Dir, "cloud", a.cfg.Cloud.URL, "broker", a.cfg.MQTT.URL)
	all, ctx := errgroup.WithContext(ctx)
	parts := []func(context.Context) error{a.spool.Run, a.clock.Run, a.watch.Run, a.ingest.Run, a.uplink.Run, a.routes, a.follow.Run, a.watchAlarms, a.orders.Run,
		func(ctx context.Context) error { return serve(ctx, SocketPath(a.cfg.Spool.Dir), a) }}
	if a.beacon != nil {
		parts = append(parts, a.beacon.Run)
	}
	if a.cards != nil {
		parts = append(parts, a.cards.Run)
	}
	parts = append(parts, func(ctx context.Context) error { return systemd.Run(ctx, a.alive, a.log) })
	for _, run := range parts {
		all.Go(func() error { return run(ctx) })
	}
	err := all.Wait()
	a.log.Info("edge agent stopped", "err", err)
	return err
}

// Close writes out the spool; Run must have ended.
func (a *Agent) Close() error {
	a.cloud.Close()
	return errors.Join(a.budget.Close(), a.spool.Close())
}

// Status says how everything stands now.
func (a *Agent) Status() Status {
	now := time.Now().UTC()
	s := Status{V: StatusVersion, At: now, Clock: vitals.Clock(), ClockHint: a.clockHint(), Link: a.uplink.Link(), Uplink: a.uplink.Report(), Folders: a.watch.Folders(),
		Agent: AgentStatus{Site: a.cfg.Site, Device: a.cfg.Device, Version: a.version, PID: os.Getpid(), Session: a.session,
			Started: a.started, Uptime: time.Since(a.begun).Seconds(), Paused: a.uplink.Paused()},
		Totals: map[Phase]int{}, Footage: []FootageStatus{}}
	if a.beacon != nil {
		s.Broker.Enabled = true
		b := a.beacon.Status()
		s.Broker.Up, s.Broker.Waiting, s.Broker.Dropped, s.Broker.Detail = b.Up, b.Waiting, b.Dropped, b.Why
	}
	s.Disk = a.disk()
	s.Alarms, _ = a.alarms.all()
	for _, p := range Phases() {
		s.Totals[p] = 0
	}
	for _, r := range a.spool.Records.All() {
		f := view(r, a.spool.Records.Get)
		s.Totals[f.Phase]++
		s.Footage = append(s.Footage, f)
	}
	return s
}

func (a *Agent) disk() DiskStatus {
	d := DiskStatus{Quota: int64(a.cfg.Spool.Quota), MinFree: int64(a.cfg.Spool.MinFree)}
	sp, err := a.spool.Disk.Space()
	d.Total, d.Free, d.Spool, d.Percent = sp.Total, sp.Free, sp.Used, sp.Percent()
	if err != nil {
		d.Alarm = err.Error()
	} else if sp.Full != nil {
		d.Alarm = sp.Full.Error()
	}
	return d
}

// vitals reads the device's health for the beacon.
func (a *Agent) vitals() topic.Vitals {
	d := a.disk()
	v := topic.Vitals{UptimeSeconds: time.Since(a.begun).Seconds(), DiskTotal: d.Total, DiskFree: d.Free, SpoolBytes: d.Spool,
		TemperatureC: vitals.Temperature(), LinkUp: a.uplink.Link().State == uplink.LinkUp, SpoolPercent: d.Percent}
	v.Alarms, v.Alarm = a.alarms.all()
	if h := a.clockHint(); h != nil {
		v.ClockOffset, v.ClockSource = &h.Offset, h.Source
	}
	for _, r := range a.spool.Records.All() {
		if !r.State.Ended() && r.State != spool.Confirmed {
			v.SpoolFootage++
		}
	}
	return v
}
