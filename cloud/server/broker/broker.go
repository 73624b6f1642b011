// Package broker is the MQTT broker that is built into cloud-api, so that a small
// installation needs no other. Any MQTT 3.1.1 broker can replace it.
//
// Devices log in with their name and token. Retained messages are in memory: the cloud
// publishes its own again from the ledger when it starts, and every device its own when
// it connects. The limits below bound what a client can make the broker store.
package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/net/netutil"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/broker/mochi"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// Limits of the broker.
const (
	maxConnections     = 1024
	maxSessionsPerUser = 16
	maxPacket          = 128 << 10
	maxRetained        = 64 << 10 // bytes of one retained message
	maxRetainedTopics  = 200_000
	maxWaitingWrites   = 1024 // messages per connected client; more are dropped
	maxInflight        = 1024 // unacknowledged messages per session
	sessionLife        = 24 * time.Hour
	connectWithin      = 10 * time.Second
	authWithin         = 5 * time.Second
	revokeEvery        = 3 * time.Second
	touchEvery         = time.Minute
	sysEverySeconds    = 3600 // no account may read $SYS
)

// ServiceUser is the account of the cloud itself. It cannot be a device's name.
const ServiceUser = "@cloud"

// Accounts finds the holders of tokens; *ledger.Devices implements it.
type Accounts interface {
	Authenticate(ctx context.Context, token string) (ledger.Device, error)
	List(ctx context.Context) ([]ledger.Device, error)
	Touch(ctx context.Context, name string, at time.Time) error
}

// certificates are those of the broker. Newest returns nil while there is none.
type certificates interface {
	Config() *tls.Config
	Newest() *tls.Certificate
}

// Options of New. Listen, Accounts and Service are required.
type Options struct {
	Listen   string // host:port; port 0 picks a free one
	Accounts Accounts
	// Service is what the cloud's own connection logs in with.
	Service Credentials
	// Discovery is the first level of the topics for Home Assistant; "" for none.
	Discovery string
	// Certificate of Listen; nil for no TLS.
	Certificate certificates
	// Audit records what accounts publish as an order and is none; nil for none.
	Audit auditor
	Log   *slog.Logger
}

// Credentials of the cloud's own connection. User must not be a device's name.
type Credentials struct {
	User     string
	Password secret.String
}

// Broker listens from New on and serves while Run does. Run or Close ends it.
type Broker struct {
	o      Options
	ln     *mochi.Listener
	server *mqtt.Server
	hook   *hook
}

// New listens on the address.
func New(ctx context.Context, o Options) (*Broker, error) {
	if o.Service.User == "" || o.Service.Password.IsZero() {
		return nil, errors.New("mqtt broker: the account of the cloud needs a name and a password")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("mqtt broker: %w", err)
	}
	ln = &sharing{Listener: netutil.LimitListener(ln, maxConnections), from: map[string]int{}}
	if o.Certificate != nil {
		ln = tls.NewListener(ln, o.Certificate.Config())
	}
	b := &Broker{o: o, ln: mochi.NewListener(ln, connectWithin, o.Log)}
	b.server = mqtt.New(serverOptions(o.Log))
	b.hook = newHook(b.server, o)
	b.hook.succession = b.ln.Succession(b.server)
	err = errors.Join(b.server.AddHook(b.hook.succession, nil), b.server.AddHook(b.ln.Windows(maxInflight), nil),
		b.server.AddHook(mochi.Guard(b.hook), nil),
		b.server.AddListener(b.ln))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mqtt broker: %w", err), ln.Close())
	}
	return b, nil
}

func serverOptions(log *slog.Logger) *mqtt.Options {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = maxConnections
	c.MaximumPacketSize = maxPacket
	c.MaximumClientWritesPending = maxWaitingWrites
	c.MaximumInflight = maxInflight
	c.ReceiveMaximum = maxInflight
	c.MaximumSessionExpiryInterval = uint32(sessionLife / time.Second)
	// A limit here would also expire retained messages, which are state.
	c.MaximumMessageExpiryInterval = 0
	// With a shared subscription a message could miss the client that it is for.
	c.SharedSubAvailable = 0
	return &mqtt.Options{
		Capabilities:           c,
		Logger:                 slog.New(&quiet{log.Handler()}),
		SysTopicResendInterval: sysEverySeconds,
		// No buffer, see mochi.Windows.
		ClientNetWriteBufferSize: 1,
	}
}

// Addr is the address it listens on.
func (b *Broker) Addr() string { return b.ln.Address() }

// URL is how a process on this machine reaches it.
func (b *Broker) URL() string {
	host, port, err := net.SplitHostPort(b.Addr())
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	if b.o.Certificate != nil {
		return "ssl://" + net.JoinHostPort(host, port)
	}
	return "tcp://" + net.JoinHostPort(host, port)
}

// errOtherBroker says that another program answers at the broker's address.
var errOtherBroker = errors.New("the broker's address answers with another certificate")

// OwnTLS is how a process that has the certificate connects to URL; nil without TLS. The certificate has the name of the
// server for its clients and not that of URL, so it is compared instead.
func (b *Broker) OwnTLS() *tls.Config {
	if b.o.Certificate == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // compared below
		VerifyConnection: func(cs tls.ConnectionState) error {
			own := b.o.Certificate.Newest()
			if own == nil || len(cs.PeerCertificates) == 0 || !bytes.Equal(cs.PeerCertificates[0].Raw, own.Certificate[0]) {
				return errOtherBroker
			}
			return nil
		}}
}

// Close releases the address when Run will not be called.
func (b *Broker) Close() { b.ln.Close(nil) }

// Clients is the number of connected clients.
func (b *Broker) Clients() int { return b.hook.connected() }

// Run serves until ctx ends. It closes the connections of revoked devices within a few
// seconds.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return fmt.Errorf("mqtt broker: %w", err)
	}
	b.o.Log.Info("mqtt broker listens", "address", b.Addr())
	tick := time.NewTicker(revokeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			close(b.hook.stop)
			if err := b.server.Close(); err != nil {
				return fmt.Errorf("mqtt broker: %w", err)
			}
			return nil
		case <-tick.C:
			if err := b.dropRevoked(ctx); err != nil && ctx.Err() == nil {
				b.o.Log.Warn("mqtt broker cannot check for revoked devices; trying again", "err", err)
			}
		}
	}
}

func (b *Broker) dropRevoked(ctx context.Context) error {
	devices, err := b.o.Accounts.List(ctx)
	if err != nil {
		return err
	}
	valid, revoked := map[string]access.Holder{}, map[string]bool{}
	for _, d := range devices {
		switch {
		case d.Revoked != nil:
			revoked[d.Name] = true
		case d.Expires == nil || d.Expires.After(time.Now()):
			valid[d.Name] = access.OfDevice(d)
		}
	}
	for _, id := range b.hook.sessionsOutside(valid) {
		b.o.Log.Info("mqtt session ended: its access ended or changed", "client", id)
		if cl, ok := b.server.Clients.Get(id); ok {
			_ = b.server.DisconnectClient(cl, packets.ErrNotAuthorized)
			cl.ClearInflights()
			b.server.UnsubscribeClient(cl)
			b.server.Clients.Delete(id)
		}
		b.hook.forget(id)
	}
	b.hook.clearRetained(revoked)
	return nil
}
