// Package mqttlink keeps one MQTT 3.1.1 connection alive and delivers messages
// through it at least once.
//
// Paho's own reconnect completes publish tokens without delivery, so it stays
// off: every connection is a new client, and a message leaves the outbox only
// when the broker acknowledged it on the connection it was sent on. The outbox
// holds one message per topic, the newest: what is sent is state, not a log.
//
// # What survives a restart
//
// With Options.Keep, messages that have Keep set outlive the process. The outbox
// in memory stays in front: a message that the broker acknowledges within a
// second touches no disk. What waits for longer is written, all of it in one
// step, and deleted in the same way after its acknowledgement; there are ten
// seconds between two writes, or one when a message could not be sent before. A
// stop writes everything that still waits. So a kill or a power cut can lose
// what is younger than ten seconds, and nothing else.
//
// No subscriber sees an older message of a topic behind a newer one: a newer
// message is not sent before the older one that is kept has been replaced or
// deleted. If the disk refuses that, it is sent all the same, and a restart may
// send the older one again; its seq is lower.
package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/shared/secret"
)

// Message is one publication at QoS 1.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
	Keep    bool // survives a restart, see Options.Keep
}

// Handler takes a received message. Messages come one at a time, in the order
// the broker sent them, and are acknowledged when the handler returns; pings
// wait meanwhile, so it must return within seconds. Payload is the handler's to
// keep. It must not call Run, and may call Publish.
type Handler func(Message)

// Options configure a Link. URL and ClientID are required.
type Options struct {
	URL      string // tcp://host:1883, ssl://host:8883, ws://host/path
	ClientID string
	Username string
	Password secret.String
	// PasswordSource, when set, is asked before every connection instead.
	PasswordSource func() secret.String
	TLS            *tls.Config
	// Will, when set, is asked before every connection for the message that the
	// broker publishes when that connection dies.
	Will func() Message
	// Birth, when set, is asked after Will and sent first on every connection.
	Birth func() Message
	// OnUp and OnDown, when set, are told about the connection, in turns; they
	// must not block. OnDown's error is why a connection ended or did not begin.
	OnUp   func()
	OnDown func(error)
	// Keep, when set, holds messages over restarts. New reads it; it must not be
	// closed before Run has ended.
	Keep keeper
	// OutboxLimit bounds the topics that wait, OutboxBytes their topics and
	// payloads; 0 means 10,000 and 8 MiB. Beyond them the oldest message that is
	// not retained is dropped, or, without one, the oldest.
	OutboxLimit int
	OutboxBytes int
	KeepAlive   time.Duration // 0 means 30 s
	Log         *slog.Logger
}

// Errors of this package.
var (
	// ErrOutboxFull marks a message that is larger than the whole outbox.
	ErrOutboxFull = errors.New("mqtt outbox is too small")
	// ErrDropped marks a message that made room for others.
	ErrDropped  = errors.New("dropped, the mqtt outbox is full")
	errLinkLost = errors.New("mqtt connection lost")
)

const (
	ackTimeout       = 20 * time.Second
	connectTimeout   = 15 * time.Second
	firstWait        = 500 * time.Millisecond
	longestWait      = time.Minute
	defaultOutbox    = 10_000
	defaultBytes     = 8 << 20
	drainOnStop      = 2 * time.Second
	disconnectMS     = 1000
	defaultKeepAlive = 30 * time.Second
	qosAtLeastOnce   = 1
)

// Link is one connection. Create it with New, start it with Run; every other
// method is safe for concurrent use, before and while Run works.
type Link struct {
	o    Options
	box  *outbox
	subs map[string]Handler // filter -> handler; fixed once Run has begun

	mu sync.Mutex
	up bool
}

// New checks the options and reads what is kept. It does not connect.
func New(o Options) (*Link, error) {
	if o.URL == "" || o.ClientID == "" {
		return nil, errors.New("mqtt link: URL and client id are required")
	}
	if o.OutboxLimit == 0 {
		o.OutboxLimit = defaultOutbox
	}
	if o.OutboxBytes == 0 {
		o.OutboxBytes = defaultBytes
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = defaultKeepAlive
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Link{o: o, box: newOutbox(o.OutboxLimit, o.OutboxBytes), subs: map[string]Handler{}}
	if o.Keep != nil {
		if err := l.restore(); err != nil {
			return nil, fmt.Errorf("mqtt link: %w", err)
		}
	}
	return l, nil
}

// Subscribe registers a handler for a filter, at QoS 1 on every connection.
// Call it before Run.
func (l *Link) Subscribe(filter string, h Handler) { l.subs[filter] = h }

// Publish puts a message into the outbox, over an older one of the same topic,
// and never blocks. When the outbox is full another message is dropped for it.
// It fails with ErrOutboxFull.
func (l *Link) Publish(m Message) error {
	_, err := l.box.put(m, nil)
	return err
}

// Deliver is Publish that waits for the broker's acknowledgement. A newer
// message of the same topic takes the older one's place, and its
// acknowledgement ends both waits with nil: the newer state is what counts.
// When ctx ends first the message stays in the outbox. It fails with ErrOutboxFull
// or ErrDropped.
func (l *Link) Deliver(ctx context.Context, m Message) error {
	acked := make(chan error, 1)
	e, err := l.box.put(m, acked)
	if err != nil {
		return err
	}
	select {
	case err := <-acked:
		return err
	case <-ctx.Done():
		l.box.leave(e, acked)
		return fmt.Errorf("deliver %s: %w", m.Topic, context.Cause(ctx))
	}
}

// Up reports whether a broker is connected now.
func (l *Link) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// Waiting is the number of messages in the outbox.
func (l *Link) Waiting() int { return l.box.len() }

// Dropped is the number of messages since New that were lost because the outbox
// was full, or because what was kept of them could not be read.
func (l *Link) Dropped() int64 { return l.box.lost() }

// Run connects and reconnects until ctx ends, then tries for two seconds to
// empty the outbox and keeps the rest. It returns nil after a stop by ctx.
func (l *Link) Run(ctx context.Context) error {
	if l.o.Keep != nil {
		keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
		var keeper sync.WaitGroup
		keeper.Go(func() { l.keepOn(keeping) })
		defer func() {
			stop()
			keeper.Wait()
			l.keep(true)
		}()
	}
	l.stayConnected(ctx)
	return nil
}

// stayConnected goes from connection to connection until ctx ends.
func (l *Link) stayConnected(ctx context.Context) {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstWait, longestWait
	for ctx.Err() == nil {
		began := time.Now()
		err := l.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > longestWait {
			wait.Reset()
		}
		pause := wait.NextBackOff()
		l.o.Log.Warn("mqtt link down", "broker", l.o.URL, "err", err, "retry_in", pause.Round(time.Millisecond))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// session is one connection from connect to loss.
func (l *Link) session(ctx context.Context) (err error) {
	// alive ends, with its cause, when the connection does or the owner stops.
	alive, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	defer l.box.unseal()
	client := mqtt.NewClient(l.clientOptions(alive, lose))
	// Before CONNECT: a broker that kept the session sends what waits at once.
	for filter, h := range l.subs {
		client.AddRoute(filter, func(_ mqtt.Client, m mqtt.Message) {
			h(Message{Topic: m.Topic(), Payload: m.Payload(), Retain: m.Retained()})
		})
	}
	// Whatever went wrong, also a CONNECT that timed out, leaves nothing behind.
	defer client.Disconnect(disconnectMS)
	if err := wait(alive, client.Connect(), connectTimeout+time.Second); err != nil {
		return l.failed(fmt.Errorf("connect: %w", err))
	}
	if err := l.begin(alive, client); err != nil {
		if ctx.Err() != nil {
			l.flush(ctx, client) // the birth may be out: its owner's goodbye must follow
		}
		return l.failed(err)
	}
	l.setUp(true, nil)
	l.o.Log.Info("mqtt link up", "broker", l.o.URL, "client", l.o.ClientID)
	err = l.pump(alive, client)
	if ctx.Err() != nil {
		l.flush(ctx, client)
	}
	l.setUp(false, err)
	return err
}

// failed tells about a connection that did not come up.
func (l *Link) failed(err error) error {
	if l.o.OnDown != nil {
		l.o.OnDown(err)
	}
	return err
}

// begin subscribes and says that the client is there.
func (l *Link) begin(ctx context.Context, client mqtt.Client) error {
	for filter := range l.subs {
		t := client.Subscribe(filter, qosAtLeastOnce, nil) // routed already
		if err := wait(ctx, t, ackTimeout); err != nil {
			return fmt.Errorf("subscribe %s: %w", filter, err)
		}
		if refused(t, filter) {
			return fmt.Errorf("subscribe %s: refused by the broker", filter)
		}
	}
	if l.o.Birth == nil {
		return nil
	}
	if err := l.send(ctx, client, l.o.Birth()); err != nil {
		return fmt.Errorf("birth: %w", err)
	}
	return nil
}

// pump sends the outbox until ctx, which ends with the connection.
func (l *Link) pump(ctx context.Context, client mqtt.Client) error {
	for {
		e, more := l.box.first()
		if e == nil {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-more:
			}
			continue
		}
		if err := l.send(ctx, client, e.m); err != nil {
			return err
		}
		l.box.done(e)
	}
}

// flush sends what still waits at a stop, within a short deadline.
func (l *Link) flush(ctx context.Context, client mqtt.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainOnStop)
	defer cancel()
	l.box.unseal()
	for {
		e, _ := l.box.first()
		if e == nil || l.send(ctx, client, e.m) != nil {
			return
		}
		l.box.done(e)
	}
}

func (l *Link) send(ctx context.Context, client mqtt.Client, m Message) error {
	if err := wait(ctx, client.Publish(m.Topic, qosAtLeastOnce, m.Retain, m.Payload), ackTimeout); err != nil {
		return fmt.Errorf("publish %s: %w", m.Topic, err)
	}
	return nil
}

func (l *Link) setUp(up bool, cause error) {
	l.mu.Lock()
	l.up = up
	l.mu.Unlock()
	switch {
	case up && l.o.OnUp != nil:
		l.o.OnUp()
	case !up && l.o.OnDown != nil:
		l.o.OnDown(cause)
	}
}

func (l *Link) password() secret.String {
	if l.o.PasswordSource != nil {
		return l.o.PasswordSource()
	}
	return l.o.Password
}

func (l *Link) clientOptions(ctx context.Context, lose context.CancelCauseFunc) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker(l.o.URL).
		SetClientID(l.o.ClientID).
		SetUsername(l.o.Username).
		SetPassword(l.password().Reveal()).
		SetProtocolVersion(4).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetCleanSession(false). // orders that came in while away are delivered
		SetOrderMatters(true).  // and no goroutine outlives the connection
		SetKeepAlive(l.o.KeepAlive).
		SetConnectTimeout(connectTimeout).
		SetWriteTimeout(ackTimeout).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			dialing, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			conn, err := dial(dialing, u, l.o.TLS)
			if err == nil {
				// A handshake that hangs ends with the owner's stop; what comes
				// after it is flushed first.
				context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(drainOnStop + time.Second)) })
			}
			return conn, err
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lose(fmt.Errorf("%w: %w", errLinkLost, err)) })
	if l.o.Will != nil {
		w := l.o.Will()
		o.SetBinaryWill(w.Topic, w.Payload, qosAtLeastOnce, w.Retain)
	}
	return o
}

// wait ends with the token, with ctx, which ends with the connection, or with
// the time limit.
func wait(ctx context.Context, t mqtt.Token, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return fmt.Errorf("no answer from the broker within %s", limit)
	}
}

// refused reports a SUBACK with the failure code (MQTT 3.1.1 section 3.9.3).
func refused(t mqtt.Token, filter string) bool {
	const failure = 0x80
	st, ok := t.(*mqtt.SubscribeToken)
	return ok && st.Result()[filter] == failure
}
