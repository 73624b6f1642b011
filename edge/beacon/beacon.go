// Package beacon is the device's side of MQTT. It publishes the device's status, its
// vitals, the state of each piece of footage and the answers to orders. It receives
// orders and the progress of jobs.
package beacon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wake"
)

// records is what the beacon needs of the spool's records.
type records interface {
	Get(footage.ID) (spool.Record, bool)
	All() []spool.Record
	PutJob(topic.Job) (bool, error)
	SetPublished(footage.ID, int64) error
}

// outbox stores the messages that wait for the broker, so that they survive a restart.
type outbox interface {
	SavedMessages() (map[string][]byte, error)
	SaveMessages(put map[string][]byte, gone []string) error
}

// Options configure a Beacon. All but TLS, OnUp and Log are required.
type Options struct {
	URL     string // of the broker, as in mqttlink.Options
	Address topic.Device
	Token   func() secret.String // called before every connection
	TLS     *tls.Config
	Session int64 // counts the starts of the agent; part of every seq
	Version string
	Started time.Time
	Every   time.Duration // between vitals
	Records records
	Outbox  outbox
	// Vitals reads the device's health. The beacon fills in Header and Session.
	Vitals func() topic.Vitals
	Clock  func() topic.Clock
	// Order executes an order and returns its answer. With an error and without an ID
	// there is no answer to publish.
	Order func(context.Context, []byte) (topic.Reply, error)
	// OnUp is called after every connection to the broker, because the cloud is then
	// likely to be reachable too. It must not block.
	OnUp func()
	Log  *slog.Logger
}

const (
	// offsetEvery is the shortest time between two messages that differ only in the
	// offset and rate of an upload.
	offsetEvery = time.Second
	// republishEnded is how many of the newest ended pieces of footage are published
	// again after a connection. A broker without a disk may have lost them.
	republishEnded = 100
	maxPayload     = 64 << 10 // of a received message
	stopLimit      = 3 * time.Second
	maxQueued      = 16 // orders
)

// Beacon publishes and receives for one device. Create it with New and start it with
// Run. All other methods are safe for concurrent use.
type Beacon struct {
	o    Options
	link *mqttlink.Link
	seq  atomic.Int64 // of the newest message

	birthSeq atomic.Int64
	wake     wake.Signal
	orders   chan []byte

	replies  sync.Mutex // held while an answer is numbered and published
	finished []string   // ids of orders with a published final answer, newest last; at most maxFinished

	// published is used by publishLoop and, after its end, by Run.
	published map[footage.ID]published

	mu    sync.Mutex          // guards the fields below
	dirty map[footage.ID]bool // footage to publish; true: also when the message is the same
	// ended holds the records of dirty footage that ended. The spool may delete such a
	// record before its message is published.
	ended     map[footage.ID]spool.Record
	republish bool   // a new connection: publish everything again
	vitalsDue bool   // publish vitals now
	linkFault string // why the broker is not reached
}

// published is the newest message about a piece of footage that subscribers may have.
type published struct {
	message topic.Footage // without Header
	at      time.Time
}

// New returns a Beacon. It reads the saved messages of the outbox but does not connect.
func New(o Options) (*Beacon, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Beacon{o: o, wake: wake.New(), orders: make(chan []byte, maxQueued),
		dirty: map[footage.ID]bool{}, ended: map[footage.ID]spool.Record{}, published: map[footage.ID]published{}}
	b.seq.Store(topic.SessionSeq(o.Session))
	link, err := mqttlink.New(mqttlink.Options{URL: o.URL, ClientID: "edge-" + o.Address.Site + "-" + o.Address.Name,
		Username: o.Address.Name, PasswordSource: o.Token, TLS: o.TLS, Store: o.Outbox,
		Will: b.will, Birth: b.birth, OnUp: b.up, OnDown: b.down, Log: o.Log})
	if err != nil {
		return nil, err
	}
	b.link = link
	link.Subscribe(o.Address.Command(), b.queueOrder)
	link.Subscribe(o.Address.Jobs(), b.saveJob)
	return b, nil
}

// header returns the header of the next message.
func (b *Beacon) header() topic.Header { return b.headerAt(b.seq.Add(1)) }

func (b *Beacon) headerAt(seq int64) topic.Header {
	return topic.Header{V: topic.Version, Seq: seq, At: time.Now().UTC(), Clock: b.o.Clock()}
}

// will returns the last will. Mqttlink calls it before birth, but its seq must be above
// that of the birth. It therefore reserves two numbers, and birth uses the lower one.
func (b *Beacon) will() mqttlink.Message {
	seq := b.seq.Add(2)
	b.birthSeq.Store(seq - 1)
	return b.status(seq, false)
}

func (b *Beacon) birth() mqttlink.Message { return b.status(b.birthSeq.Load(), true) }

func (b *Beacon) status(seq int64, online bool) mqttlink.Message {
	return message(b.o.Address.Status(), true, topic.Status{Header: b.headerAt(seq), Session: b.o.Session, Online: online,
		Version: b.o.Version, Started: b.o.Started.UTC()})
}

// durable marks a message that must survive a restart. Vitals and the device's status
// need not.
func durable(m mqttlink.Message) mqttlink.Message {
	m.Durable = true
	return m
}

// message encodes a payload. It panics on a fault, because the payloads of package topic
// can always be encoded.
func message(name string, retain bool, payload any) mqttlink.Message {
	text, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("encode the payload of %s: %v", name, err))
	}
	return mqttlink.Message{Topic: name, Payload: text, Retain: retain}
}

// Status is the state of the connection to the broker.
type Status struct {
	Up      bool
	Waiting int    // messages that the broker has not acknowledged yet
	Dropped int64  // messages dropped since the start because the outbox was full
	Why     string // why the broker is not reached, or what is wrong with the connection
}

// Status returns the present state of the connection.
func (b *Beacon) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Up: b.link.Up(), Waiting: b.link.Waiting(), Dropped: b.link.Dropped(), Why: b.linkFault}
	if b.link.Contested() {
		s.Why = strings.TrimPrefix(s.Why+"; another client seems to use this device's name and token", "; ")
	}
	return s
}

func (b *Beacon) up() {
	b.mu.Lock()
	b.republish, b.linkFault = true, ""
	b.mu.Unlock()
	b.wake.Set()
	if b.o.OnUp != nil {
		b.o.OnUp()
	}
}

func (b *Beacon) down(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.linkFault = err.Error()
	}
}

// Changed queues a changed record for publication. It fits spool.Records.OnChange: it
// does not block.
func (b *Beacon) Changed(r spool.Record) {
	if r.LogOf != "" {
		return // a flight log is no footage of its own
	}
	b.mu.Lock()
	if !b.dirty[r.ID] {
		b.dirty[r.ID] = false
	}
	if r.State.Ended() {
		b.ended[r.ID] = r
	} else {
		delete(b.ended, r.ID)
	}
	b.mu.Unlock()
	b.wake.Set()
}

// RequestVitals makes Run publish vitals at once. It does not block.
func (b *Beacon) RequestVitals() {
	b.mu.Lock()
	b.vitalsDue = true
	b.mu.Unlock()
	b.wake.Set()
}

// Run connects and publishes until ctx ends. It then answers the queued orders and
// publishes that the device is offline, each within three seconds.
func (b *Beacon) Run(ctx context.Context) error {
	// The link outlives ctx until the last messages are delivered.
	linkCtx, stopLink := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLink()
	var all errgroup.Group
	all.Go(func() error { return b.link.Run(linkCtx) })
	answered := make(chan struct{})
	all.Go(func() error {
		defer close(answered)
		b.executeOrders(ctx)
		return nil
	})
	b.publishLoop(ctx)
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-answered: // answers are published before the device is offline
	case <-limit.C:
	}
	b.savePublished()
	b.publishOffline(linkCtx)
	stopLink()
	err := all.Wait()
	if n := len(b.orders); n > 0 {
		b.o.Log.Warn("orders received during the stop were not executed; send them again", "orders", n)
	}
	return err
}

// publishOffline publishes that the device goes offline. Without a connection it only
// queues the message: the broker has published the last will already, and a connection
// that comes up during the stop still sends it.
func (b *Beacon) publishOffline(ctx context.Context) {
	m := b.status(b.seq.Add(1), false)
	if !b.link.Up() {
		b.publish(m)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := b.link.Deliver(ctx, m); err != nil {
		b.o.Log.Warn("cannot deliver the offline status; the last will reports the same", "err", err)
	}
}

// publishLoop publishes vitals and footage until ctx ends.
func (b *Beacon) publishLoop(ctx context.Context) {
	vitals := time.NewTicker(b.o.Every)
	defer vitals.Stop()
	offsets := time.NewTicker(offsetEvery)
	defer offsets.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-vitals.C:
			b.publishVitals()
		case <-b.wake.C():
		case <-offsets.C:
		}
		b.publishChanges()
	}
}

func (b *Beacon) publish(m mqttlink.Message) {
	if err := b.link.Publish(m); err != nil {
		b.o.Log.Error("cannot queue a message for the broker; message dropped", "topic", m.Topic, "err", err)
	}
}

func (b *Beacon) publishVitals() {
	v := b.o.Vitals()
	v.Header, v.Session, v.EverySeconds = b.header(), b.o.Session, b.o.Every.Seconds()
	b.publish(message(b.o.Address.Vitals(), false, v))
}
