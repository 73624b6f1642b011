package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server/broker"
	"cattlecounter/cloud/server/certificate"
	"cattlecounter/cloud/server/ground"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/server/stations"
	"cattlecounter/cloud/server/web"
	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/version"
	"cattlecounter/shared/wire"
)

// clientID is the same after a restart, so that the broker recognises the session. With a
// shared ledger it contains an id of the data folder: a broker accepts one client per id.
func clientID(cfg config.Config) (string, error) {
	const id = "cloud-api"
	if cfg.Ledger.URL.IsZero() {
		return id, nil
	}
	path := filepath.Join(cfg.Data, "mqtt-client")
	own, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		own = []byte(rand.Text()[:8])
		err = os.WriteFile(path, own, 0o600)
	}
	if err == nil && len(own) == 0 { // cut short by a full disk
		err = errors.Join(fmt.Errorf("%s is empty; start cloud-api again", path), os.Remove(path))
	}
	return id + "-" + string(own), err
}

// publishes names the lead of the one cloud-api that publishes, of several on one
// database. It may be any number that no other lead of that database uses.
const publishes = 0x0ca771e1

// ErrNoAccount says that a separate broker has no account for the cloud.
var ErrNoAccount = errors.New("mqtt.username and mqtt.password must be set: the cloud logs in with them")

// messaging is the MQTT part: the link, the publisher and, where configured, the broker.
// All but the table of stations are nil when MQTT is off.
type messaging struct {
	stations  *stations.Table
	broker    *broker.Broker
	link      *mqttlink.Link
	publisher *progress.Publisher
	lead      *database.Leader
}

func newMessaging(ctx context.Context, cfg config.Config, l *ledger.Ledger, hub *progress.Hub, reg *prometheus.Registry,
	cert certified, log *slog.Logger) (*messaging, error) {
	m := &messaging{stations: stations.New(stations.Options{Devices: l.Devices, Memory: l.Stations, Log: log,
		Sign: signing(l.OrderKey), Key: currentKey(l.OrderKey),
		Changed: func(v wire.Station) { hub.Send(progress.Change{Station: &v}) }})}
	reg.MustRegister(newStationCollector(m.stations), newSiteCollector(l.Sites, sources(l).Borders))
	id, err := clientID(cfg)
	if err != nil {
		return nil, err
	}
	o := mqttlink.Options{URL: cfg.MQTT.URL, ClientID: id, Username: cfg.MQTT.Username, Password: cfg.MQTT.Password,
		Log: log}
	switch {
	case cfg.MQTT.URL != "":
		if o.TLS, err = trust(cfg.MQTT.CAFile); err != nil {
			return nil, err
		}
	case cfg.MQTT.EmbeddedListen == config.Off:
		log.Info("mqtt is off")
		return m, nil
	default:
		own := broker.Credentials{User: broker.ServiceUser, Password: secret.New(rand.Text())}
		if m.broker, err = newBroker(ctx, cfg, l, own, cert, log); err != nil {
			return nil, err
		}
		o.TLS = m.broker.OwnTLS()
		o.URL, o.Username, o.Password = m.broker.URL(), own.User, own.Password
	}
	m.publisher, m.lead = progress.NewPublisher(sources(l), log), l.DB().Leader(publishes)
	if prefix := cfg.MQTT.Discovery(); prefix != "" {
		m.publisher.Discover(progress.Discovery{Prefix: prefix, Version: version.String(), Devices: l.Devices,
			Sites: l.Sites})
	}
	if cfg.MQTT.URL != "" { // otherwise each cloud-api has its own broker
		m.publisher.OnlyWhen(m.lead.Leads)
	}
	o.OnUp = m.publisher.Connected
	link, err := mqttlink.New(o)
	if err == nil {
		o.ClientID, o.OnUp = id+"-stations", nil
		err = m.stations.Connect(o)
	}
	if err != nil {
		m.close()
		return nil, err
	}
	m.link = link
	m.publisher.Use(link)
	m.register(reg)
	return m, nil
}

// signing signs orders to stations with the key of the ledger. It is read each time, because another process may change it.
func signing(k *ledger.OrderKey) func(context.Context, topic.Command, time.Time) (topic.Command, error) {
	return func(ctx context.Context, c topic.Command, pinned time.Time) (topic.Command, error) {
		keys, err := k.Keys(ctx)
		if err != nil {
			return c, err
		}
		return keys.Sign(c, pinned)
	}
}

// currentKey returns the short name of the key that signs orders.
func currentKey(k *ledger.OrderKey) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		current, err := k.Current(ctx)
		return current.Public().ID(), err
	}
}

// sources is what the publisher reads of a ledger.
func sources(l *ledger.Ledger) progress.Sources {
	names := ground.Names{Book: l.Borders}
	return progress.Sources{Feed: l.Changes, Footage: l.Footage, Flights: l.Flights, Sites: l.Sites, Aged: l.Aged,
		Borders: func(ctx context.Context, site string) (now, before []string, err error) {
			return names.At(ctx, site, time.Now())
		}}
}

// newBroker listens with the built-in broker. service is the account of the cloud.
func newBroker(ctx context.Context, cfg config.Config, l *ledger.Ledger, service broker.Credentials, cert certified,
	log *slog.Logger) (*broker.Broker, error) {
	return broker.New(ctx, broker.Options{Listen: cfg.MQTT.EmbeddedListen, Accounts: l.Devices, Service: service,
		Discovery: cfg.MQTT.Discovery(), Certificate: cert, Audit: l.Audit, Log: log})
}

func (m *messaging) register(reg *prometheus.Registry) {
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "cattle", Name: name, Help: help}, f))
	}
	gauge("mqtt_outbox", "Messages that wait for the broker.", func() float64 { return float64(m.link.Waiting()) })
	gauge("mqtt_up", "1 while connected to the broker.", func() float64 {
		if m.link.Up() {
			return 1
		}
		return 0
	})
	gauge("mqtt_stations_up", "1 while the messages of the stations arrive.", func() float64 {
		if m.stations.Up() {
			return 1
		}
		return 0
	})
	gauge("mqtt_published_seq", "Change of the ledger up to which the broker has everything.",
		func() float64 { return float64(m.publisher.Position()) })
	if m.broker != nil {
		m.registerPressure(reg)
		gauge("mqtt_clients", "Clients of the embedded broker.", func() float64 { return float64(m.broker.Clients()) })
	}
}

// registerPressure adds counters of what the built-in broker did against accounts that want too much.
func (m *messaging) registerPressure(reg *prometheus.Registry) {
	for name, read := range map[string]func(broker.Pressure) int64{
		"slowed":       func(p broker.Pressure) int64 { return p.Slowed },
		"not_retained": func(p broker.Pressure) int64 { return p.NotRetained },
		"subscription": func(p broker.Pressure) int64 { return p.Refused },
	} {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "cattle", Name: "mqtt_limited_total",
			Help: "Waits, messages and subscriptions of MQTT accounts that were over a limit.", ConstLabels: prometheus.Labels{"limit": name}},
			func() float64 { return float64(read(m.broker.Pressure())) }))
	}
}

func (m *messaging) checks() []web.Check {
	if m.link == nil {
		return nil
	}
	return []web.Check{linkCheck(m.link)}
}

// publishing are the stages that stop before the broker, so that the last messages are
// delivered.
func (m *messaging) publishing() []stage {
	if m.link == nil {
		return []stage{m.stations.Run}
	}
	return []stage{m.stations.Run, m.publish, m.link.Run}
}

func (m *messaging) publish(ctx context.Context) error {
	defer m.lead.Close()
	return m.publisher.Run(ctx)
}

// serving are the stages that stop last.
func (m *messaging) serving() []stage {
	if m.broker == nil {
		return nil
	}
	return []stage{m.broker.Run}
}

func (m *messaging) brokerURL() string {
	if m.broker == nil {
		return ""
	}
	return m.broker.URL()
}

// close releases what newMessaging took when no stage of it will run.
func (m *messaging) close() {
	if m.broker != nil {
		m.broker.Close()
	}
}

// trust reads the authorities in path; nil means those of the system.
func trust(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	pool, err := authorities(path)
	if err != nil {
		return nil, fmt.Errorf("mqtt.ca_file: %w", err)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// ServeBroker runs the broker alone, as a separate process beside cloud-api on the same
// data folder.
func ServeBroker(ctx context.Context, cfg config.Config, o Options) (err error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if cfg.MQTT.Username == "" || cfg.MQTT.Password.IsZero() {
		return fmt.Errorf("mqtt broker: %w", ErrNoAccount)
	}
	l, err := OpenLedger(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	var cert certified
	if t := cfg.BrokerTLS(); t.On() {
		certFile, keyFile := files(cfg, t)
		f, err := certificate.Load(certFile, keyFile, log)
		if err != nil {
			return fmt.Errorf("mqtt.tls: %w", err)
		}
		cert = f
	}
	b, err := newBroker(ctx, cfg, l, broker.Credentials{User: cfg.MQTT.Username, Password: cfg.MQTT.Password}, cert, log)
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready(Addresses{Broker: b.URL()})
	}
	return runStages(ctx, []stage{b.Run})
}
