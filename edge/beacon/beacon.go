// Package beacon tells the world over MQTT what the device does, and listens to
// what becomes of its footage: birth and last will, vitals, the state of each
// piece of footage, orders and their answers, the progress of jobs.
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

// outbox holds the messages that wait for the broker, also across a restart.
type outbox interface {
	SavedMessages() (map[string][]byte, error)
	SaveMessages(put map[string][]byte, gone []string) error
}

// Options configure a Beacon. All but TLS, OnUp and Log are required.
type Options struct {
	URL     string
	Address topic.Device
	Token   func() secret.String // asked before every connection
	TLS     *tls.Config
	Session int64
	Version string
	Started time.Time
	Every   time.Duration // between vitals
	Records records
	Outbox  outbox
	// Vitals reads the device's health; the beacon fills Header and Session.
	Vitals func() topic.Vitals
	Clock  func() topic.Clock
	// Order carries out an order and returns the answer.
	Order func(context.Context, []byte) (topic.Reply, error)
	OnUp  func() // the broker is reached, so the cloud may be; must not block
	Log   *slog.Logger
}

const (
	// offsetEvery is how often a running upload is told about.
	offsetEvery = time.Second
	// recent is how many ended pieces of footage are published again after a
	// connection, for a broker that lost its retained messages.
	recent     = 100
	maxPayload = 64 << 10 // of what comes in
	stopLimit  = 3 * time.Second
)

// Beacon is the device's voice. Create it with New, start it with Run.
type Beacon struct {
	o    Options
	link *mqttlink.Link
	seq  atomic.Int64

	birthSeq atomic.Int64
	wake     wake.Signal
	orders   chan []byte

	replies sync.Mutex // held while an answer is numbered and published
	final   []string   // orders whose end was told, newest last; at most maxFinal

	mu    sync.Mutex
	dirty map[footage.ID]bool // true: publish even if it looks the same
	// ended holds the end of what is dirty: the spool may forget it before it is told.
	ended map[footage.ID]spool.Record
	again bool                // a new connection: publish everything
	vital bool                // vitals are due now
	why   string              // why the broker is away
	told  map[footage.ID]told // what was last published; owned by the talk loop
}

// told is what subscribers know.
type told struct {
	m  topic.Footage // without Header
	at time.Time
}

// New returns a Beacon; it does not connect.
func New(o Options) (*Beacon, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Orders that come in faster than they are carried out wait here, then with the broker.
	const waitingOrders = 16
	b := &Beacon{o: o, wake: wake.New(), orders: make(chan []byte, waitingOrders),
		dirty: map[footage.ID]bool{}, ended: map[footage.ID]spool.Record{}, told: map[footage.ID]told{}}
	b.seq.Store(topic.SessionSeq(o.Session))
	link, err := mqttlink.New(mqttlink.Options{URL: o.URL, ClientID: "edge-" + o.Address.Site + "-" + o.Address.Name,
		Username: o.Address.Name, PasswordSource: o.Token, TLS: o.TLS, Store: o.Outbox, Will: b.will, Birth: b.birth, OnUp: b.up, OnDown: b.down, Log: o.Log})
	if err != nil {
		return nil, err
	}
	b.link = link
	link.Subscribe(o.Address.Command(), b.takeOrder)
	link.Subscribe(o.Address.Jobs(), b.takeJob)
	return b, nil
}

// header numbers a message.
func (b *Beacon) header() topic.Header { return b.headerAt(b.seq.Add(1)) }

func (b *Beacon) headerAt(seq int64) topic.Header {
	return topic.Header{V: topic.Version, Seq: seq, At: time.Now().UTC(), Clock: b.o.Clock()}
}

// will is made before birth and must count after it, but before the birth of
// the next connection: it takes two numbers and leaves the lower one to birth.
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

// durable marks a message that must survive a restart. Vitals and the state of the
// connection need not.
func durable(m mqttlink.Message) mqttlink.Message {
	m.Durable = true
	return m
}

// message encodes one of our own payload types, which cannot fail.
func message(name string, retain bool, payload any) mqttlink.Message {
	text, err := json.Marshal(payload)
	if err != nil {
		panic(fmt.Sprintf("payload of %s: %v", name, err))
	}
	return mqttlink.Message{Topic: name, Payload: text, Retain: retain}
}

// Status is how the broker is.
type Status struct {
	Up      bool
	Waiting int    // messages not acknowledged yet
	Dropped int64  // messages lost since the start, for want of room
	Why     string // why it is not reached, or what is wrong with the connection
}

// Status says how the broker is now.
func (b *Beacon) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Status{Up: b.link.Up(), Waiting: b.link.Waiting(), Dropped: b.link.Dropped(), Why: b.why}
	if b.link.Contested() {
		s.Why = strings.TrimPrefix(s.Why+"; another client seems to use this device's name and token", "; ")
	}
	return s
}

func (b *Beacon) up() {
	b.mu.Lock()
	b.again, b.why = true, ""
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
		b.why = err.Error()
	}
}

// Changed notes that a record changed; it is a spool.OnChange function.
func (b *Beacon) Changed(r spool.Record) {
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

// VitalsNow has the device's health published without waiting for its time.
func (b *Beacon) VitalsNow() {
	b.mu.Lock()
	b.vital = true
	b.mu.Unlock()
	b.wake.Set()
}

// Run connects and talks until ctx ends, then says goodbye.
func (b *Beacon) Run(ctx context.Context) error {
	// The link outlives ctx for as long as the goodbye takes.
	linked, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	var all errgroup.Group
	all.Go(func() error { return b.link.Run(linked) })
	obeyed := make(chan struct{})
	all.Go(func() error {
		defer close(obeyed)
		b.obey(ctx)
		return nil
	})
	b.talk(ctx)
	select { // answers go before the goodbye
	case <-obeyed:
	case <-time.After(stopLimit):
	}
	b.settle()
	b.goodbye(linked)
	hangUp()
	err := all.Wait()
	if n := len(b.orders); n > 0 {
		b.o.Log.Warn("orders came while the program stopped and are not carried out, send them again", "orders", n)
	}
	return err
}

// goodbye says that the stop is wanted. With the broker away its last will has
// said as much; while the link is coming up the message goes with its stop.
func (b *Beacon) goodbye(ctx context.Context) {
	m := b.status(b.seq.Add(1), false)
	if !b.link.Up() {
		b.publish(m)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := b.link.Deliver(ctx, m); err != nil {
		b.o.Log.Warn("the broker did not take the goodbye; its last will says the same", "err", err)
	}
}

// talk publishes vitals and footage until ctx ends.
func (b *Beacon) talk(ctx context.Context) {
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
		b.publishFootage()
	}
}

func (b *Beacon) publish(m mqttlink.Message) {
	if err := b.link.Publish(m); err != nil {
		b.o.Log.Error("message is lost", "topic", m.Topic, "err", err)
	}
}

func (b *Beacon) publishVitals() {
	v := b.o.Vitals()
	v.Header, v.Session = b.header(), b.o.Session
	b.publish(message(b.o.Address.Vitals(), false, v))
}
