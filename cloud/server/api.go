// Package server puts cloud-api together: intake, REST API, page, progress and the
// embedded broker, on one data folder.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server/dashboard"
	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/server/intake"
	"cattlecounter/cloud/server/overview"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/server/retention"
	"cattlecounter/cloud/server/web"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// Addresses are the addresses of a running server. Broker is empty without an embedded
// broker, and Metrics without a listener for metrics.
type Addresses struct {
	HTTP, Broker, Metrics string
	// SetupCode adds the first admin on the page, once; it is empty when there are people.
	SetupCode secret.String
}

// Options of Serve; the zero value is ready for use.
type Options struct {
	Log *slog.Logger
	// Ready, when set, is called once everything listens.
	Ready func(Addresses)
}

// OpenLedger opens the ledger of cfg with the keys of its secrets, and creates the data folder if it is missing.
func OpenLedger(ctx context.Context, cfg config.Config) (*ledger.Ledger, error) {
	return openLedger(ctx, cfg, false)
}

// openLedger is OpenLedger. Where the file of keys beside a new ledger is missing, create makes it.
func openLedger(ctx context.Context, cfg config.Config, create bool) (*ledger.Ledger, error) {
	// Only the owner may read it: footage shows where whose animals are.
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	keys, err := openKeys(cfg, create)
	if err != nil {
		return nil, err
	}
	return store.OpenLedgerWith(ctx, cfg, keys)
}

// Restore replaces the ledger of the data folder by a backup and returns the path of the
// replaced one. It fails with ErrInUse while a cloud-api serves the folder, with
// ledger.ErrBusy while a worker has the ledger open, and with errors.ErrUnsupported for a
// ledger in PostgreSQL.
func Restore(ctx context.Context, cfg config.Config, backup string) (old string, err error) {
	if !cfg.Ledger.URL.IsZero() {
		return "", fmt.Errorf("the ledger is in PostgreSQL: restore it with the tools of PostgreSQL, then run "+
			"\"cloud-api ledger count-on\": %w", errors.ErrUnsupported)
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	release, err := lockData(cfg.Data)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	return ledger.Restore(ctx, backup, cfg.LedgerPath(), time.Now())
}

// Serve runs cloud-api until ctx ends. It does not wait for an MQTT broker, and
// takes at most about twenty seconds to stop.
func Serve(ctx context.Context, cfg config.Config, o Options) (err error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	l, err := openLedger(ctx, cfg, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	release, err := lockData(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := sealSecrets(ctx, cfg, l, log); err != nil {
		return err
	}
	if err := l.Totals.Recount(ctx); err != nil {
		return err
	}
	if !cfg.Ledger.URL.IsZero() && cfg.Store == config.StoreLocal {
		log.Warn("the ledger is in a database, but the blobs are in a folder of this machine: every cloud-api and "+
			"worker must share that folder, and their clocks must agree", "data", cfg.Data)
	}
	if err := readSites(ctx, cfg.Sites, l.Borders, log); err != nil {
		return err
	}
	if err := checkAges(ctx, agesOf(cfg), l.Sites, log); err != nil {
		return err
	}
	st, err := store.Open(ctx, cfg, l, log)
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	certs, err := newCertificates(cfg, log)
	if err != nil {
		return err
	}
	started := false
	defer func() {
		if !started {
			certs.close()
		}
	}()
	if err := registerCertificates(metrics, certs.states); err != nil {
		return err
	}
	in, err := intake.New(intake.Options{
		Ledger: l, Stager: st.Blobs, Queue: st.Queue, MaxSize: int64(cfg.HTTP.MaxUpload), BasePath: "/files/",
		Free: st.Free, MinFree: int64(cfg.Intake.MinFree),
		MaxDeviceBytes: int64(cfg.Intake.MaxDeviceBytes), IdleTimeout: cfg.HTTP.IdleTimeout, Expire: cfg.Intake.ExpireAfter, Log: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	hub := progress.NewHub(l.Changes, l.Uploads, log)
	m, err := newMessaging(ctx, cfg, l, hub, metrics, certs.broker, log)
	if err != nil {
		return err
	}
	views, note, err := newViews(ctx, cfg, l, st, m, certs, log)
	if err != nil {
		m.close()
		return err
	}
	checks := []web.Check{ledgerCheck(l.Ping, log), blobCheck(st.Ready), queueCheck(st.Queue.Len, log)}
	server, err := newWeb(ctx, cfg, web.Options{Certificate: certs.http,
		Ledger: web.LedgerOf(l), Blobs: st.Blobs, Ages: agesOf(cfg), Queue: st.Queue, Hub: hub, Uploads: in, WithDevice: intake.WithDevice,
		Stations: m.stations, StationBroker: cfg.MQTT.PublicURL, Overview: views, Notifier: note, Page: dashboard.Files(), Checks: append(checks, m.checks()...), Metrics: metrics, Log: log,
	})
	if err != nil {
		m.close()
		return err
	}
	serving := []stage{server.Run}
	at := Addresses{HTTP: scheme(cfg) + "://" + server.Addr().String(), Broker: m.brokerURL()}
	if cfg.HTTP.MetricsListen != config.Off {
		inspector, err := server.NewInspector(ctx, cfg.HTTP.MetricsListen)
		if err != nil {
			m.close()
			return errors.Join(err, server.Close())
		}
		serving, at.Metrics = append(serving, inspector.Run), "http://"+inspector.Addr().String()
	}
	getting, err := certs.stages(cfg, server.Addr(), log)
	if err != nil {
		m.close()
		return errors.Join(err, server.Close())
	}
	announce(cfg, at, l.DB().Name(), log)
	if at.SetupCode, err = setupCode(ctx, l); err != nil {
		m.close()
		return errors.Join(err, server.Close())
	}
	if o.Ready != nil {
		o.Ready(at)
	}
	began, started := time.Now(), true
	background := append(keeping(cfg, l, st.Blobs, log), in.Run, hub.Run, placing(l, st.Blobs, log), note.run)
	background = append(background, getting...)
	err = runStages(ctx, serving, background, m.publishing(), m.serving())
	log.Info("cloud-api stopped", "after", time.Since(began).Round(time.Second))
	return err
}

// agesOf is how long videos are kept.
func agesOf(cfg config.Config) retention.Ages {
	sites, _ := cfg.Retention.OfSites() // the configuration was checked
	return retention.Ages{Default: cfg.Retention.Videos, Sites: sites}
}

// checkAges warns about sites of the configuration that the ledger does not know: their names may be mistyped, and then the
// videos of the meant site have the time of all others.
func checkAges(ctx context.Context, ages retention.Ages, sites *ledger.Sites, log *slog.Logger) error {
	unknown, err := sites.Unknown(ctx, slices.Sorted(maps.Keys(ages.Sites)))
	for _, site := range unknown {
		log.Warn("retention.sites names a site without footage, token and paddocks; check its name", "site", site,
			"videos", ages.Sites[site])
	}
	return err
}

// keeping are the stages that remove replaced results and, when retention is configured, old videos and entries of the
// audit log.
func keeping(cfg config.Config, l *ledger.Ledger, blobs store.Blobs, log *slog.Logger) []stage {
	left := &retention.Leftovers{Jobs: l.Jobs, Documents: l.Flights, Blobs: blobs, Now: time.Now, Log: log}
	stages := []stage{left.Run}
	if ages := agesOf(cfg); ages.Any() {
		k := &retention.Remover{Footage: l.Footage, Flights: l.Flights, Blobs: blobs, Ages: ages, Now: time.Now, Log: log}
		stages = append(stages, k.Run)
	}
	if cfg.Retention.Audit != 0 {
		f := &retention.Forgetter{Audit: l.Audit, MaxAge: cfg.Retention.Audit, Now: time.Now, Log: log}
		stages = append(stages, f.Run)
	}
	return stages
}

// placing is the stage that works out where and when footage was recorded.
func placing(l *ledger.Ledger, blobs store.Blobs, log *slog.Logger) stage {
	p := &ground.Placer{Grounds: l.Grounds, Logs: ground.Logs{Blobs: blobs, Footage: l.Footage}, Borders: l.Borders,
		Now: time.Now, Log: log}
	return p.Run
}

// newViews returns what reads the state of the system for people: the overview, and the notifications that follow it.
func newViews(ctx context.Context, cfg config.Config, l *ledger.Ledger, st store.Stores, m *messaging, certs *certificates,
	log *slog.Logger) (*overview.Overview, *notifying, error) {
	views, err := overview.New(overview.Options{Sites: l.Sites, Borders: &ground.Names{Book: l.Borders}, Book: l.Book, Work: l.Work, Workers: l.Workers, Models: l.Models, Logs: l.Grounds, Uploads: l.Uploads,
		Stations: m.stations, Disk: st.Ready, Certificates: certs.states})
	if err != nil {
		return nil, nil, err
	}
	note, err := newNotifying(ctx, cfg, l, views, log)
	return views, note, err
}
