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
	"sync"
	"time"

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
	errNoAnswer = errors.New("no answer from the broker")
)

const (
	ackTimeout     = 20 * time.Second
	connectTimeout = 15 * time.Second
	// writeTimeout is also how long Paho's Publish waits for a connection that has
	// just died, whatever the caller's context says.
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

// Link is one connection. Create it with New, start it with Run; every other
// method is safe for concurrent use, before and while Run works.
type Link struct {
	o    Options
	box  *outbox
	subs map[string]Handler // by filter; fixed once Run has begun

	rival rival // Run's

	mu        sync.Mutex
	up        bool
	since     time.Time // of up
	contested bool      // a rival was likely when the last connection ended
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
func (l *Link) Subscribe(filter string, h Handler) {
	l.subs[filter] = h
}

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

// Contested reports whether another client seems to use the client id. That is
// over when a connection has lasted for five minutes.
func (l *Link) Contested() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.contested && !(l.up && time.Since(l.since) >= steady)
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
