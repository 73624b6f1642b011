// Package mqttlink keeps one MQTT 3.1.1 connection alive and delivers messages through
// it at least once.
//
// Paho's reconnect is off, because it completes publish tokens without delivery. Every
// connection is a new client. A message leaves the outbox only when the broker has
// acknowledged it on the connection that carried it. The outbox holds the newest
// message of each topic: messages are state, not a log.
//
// # Restarts
//
// With Options.Store, messages with Durable set survive a restart. A message that the
// broker acknowledges within a second is not written to disk. Messages that wait longer
// are written in one step, and deleted in one step after their acknowledgement. Between
// two writes pass ten seconds, or one second while the sender waits for a write. A stop
// writes every message that still waits. A kill or a power cut loses at most the
// messages of the last ten seconds.
//
// No subscriber sees an older message of a topic after a newer one. The newer message
// is sent only after its saved predecessor was replaced or deleted. If the disk refuses
// the write, the newer message is sent anyway, and a restart may send the older one
// again, with its lower seq.
package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cattlecounter/shared/secret"
)

// Message is one publication at QoS 1.
type Message struct {
	Topic   string
	Payload []byte
	Retain  bool
	Durable bool // survives a restart, see Options.Store
}

// Handler handles a received message. It is called for one message at a time in the
// broker's order. The message is acknowledged when the handler returns. It must return
// within seconds, because pings wait for it. It owns Payload, may call Publish, and must
// not call Run.
type Handler func(Message)

// Options configure a Link. URL and ClientID are required.
type Options struct {
	URL      string // tcp://host:1883, ssl://host:8883, ws://host/path
	ClientID string
	Username string
	Password secret.String
	// PasswordSource, when set, is called before every connection and replaces Password.
	PasswordSource func() secret.String
	TLS            *tls.Config
	// Will, when set, is called before every connection. The broker publishes its
	// message when that connection breaks.
	Will func() Message
	// Birth, when set, is called after Will. Its message is the first on a connection.
	Birth func() Message
	// OnUp and OnDown, when set, are called in turns when the connection comes up and
	// goes down. They must not block. OnDown gets the reason, also for a connection
	// that did not come up.
	OnUp   func()
	OnDown func(error)
	// Store, when set, keeps durable messages over restarts. New reads it. It must stay
	// open until Run has returned.
	Store messageStore
	// OutboxLimit bounds the number of waiting messages, OutboxBytes the size of their
	// topics and payloads; 0 means 10,000 and 8 MiB. A full outbox drops the oldest
	// message that is not retained, or else the oldest one.
	OutboxLimit int
	OutboxBytes int
	KeepAlive   time.Duration // 0 means 30 s
	// Fresh makes every connection begin without a session of before: the broker keeps no messages for the client while
	// it is away, and sends the retained ones with Retain.
	Fresh bool
	Log   *slog.Logger
}

// Errors of this package.
var (
	// ErrOutboxFull marks a message that is larger than the whole outbox.
	ErrOutboxFull = errors.New("mqtt outbox is too small")
	// ErrDropped marks a message that was dropped to make room for others.
	ErrDropped  = errors.New("dropped because the mqtt outbox is full")
	errLinkLost = errors.New("mqtt connection lost")
	errNoAnswer = errors.New("no answer from the broker")
)

const (
	ackTimeout     = 20 * time.Second
	connectTimeout = 15 * time.Second
	// writeTimeout also bounds Paho's Publish on a connection that has just broken,
	// because Publish does not heed a context.
	writeTimeout     = 5 * time.Second
	firstWait        = 500 * time.Millisecond
	longestWait      = time.Minute
	defaultOutbox    = 10_000
	defaultBytes     = 8 << 20
	drainOnStop      = 2 * time.Second
	disconnectMS     = 1000
	defaultKeepAlive = 30 * time.Second
	qosAtLeastOnce   = 1
)

// Link is one connection. Create it with New and start it with Run. Every other method
// is safe for concurrent use, before and during Run.
type Link struct {
	o    Options
	box  *outbox
	subs map[string]Handler // by filter; fixed once Run has begun

	rival rival // only Run uses it

	mu        sync.Mutex
	up        bool
	since     time.Time // of up
	contested bool      // a rival was likely when the last connection ended
}

// New checks the options and reads the store. It does not connect.
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
	if o.Store != nil {
		if err := l.restore(); err != nil {
			return nil, fmt.Errorf("mqtt link: %w", err)
		}
	}
	return l, nil
}

// Subscribe registers a handler for a filter. Every connection subscribes to it with
// QoS 1. Call it before Run.
func (l *Link) Subscribe(filter string, h Handler) {
	l.subs[filter] = h
}

// Publish queues a message in place of an older one of its topic. It never blocks. A
// full outbox drops another message for it. The error wraps ErrOutboxFull.
func (l *Link) Publish(m Message) error {
	_, err := l.box.put(m, nil)
	return err
}

// Deliver queues a message like Publish and waits for the broker's acknowledgement. The
// acknowledgement of a newer message of the same topic counts too. When ctx ends first,
// the message stays queued. The error wraps ErrOutboxFull, ErrDropped or ctx's cause.
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
		l.box.removeWaiter(e, acked)
		return fmt.Errorf("deliver %s: %w", m.Topic, context.Cause(ctx))
	}
}

// Up reports whether a broker is connected now.
func (l *Link) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// Contested reports whether another client seems to use the client id, until a
// connection has lasted for five minutes.
func (l *Link) Contested() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.contested && !(l.up && time.Since(l.since) >= steady)
}

// Waiting is the number of queued messages.
func (l *Link) Waiting() int { return l.box.len() }

// Dropped is the number of messages dropped since New because the outbox was full or
// their saved form was not readable.
func (l *Link) Dropped() int64 { return l.box.droppedCount() }

// Run connects and reconnects until ctx ends. It then sends the queued messages for at
// most two seconds and saves the rest. It returns nil after a stop by ctx.
func (l *Link) Run(ctx context.Context) error {
	if l.o.Store != nil {
		saving, stop := context.WithCancel(context.WithoutCancel(ctx))
		var loop sync.WaitGroup
		loop.Go(func() { l.saveLoop(saving) })
		defer func() {
			stop()
			loop.Wait()
			l.save(true)
		}()
	}
	l.stayConnected(ctx)
	return nil
}
