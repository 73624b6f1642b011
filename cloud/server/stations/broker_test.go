package stations

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// field is a running Table on a real broker.
type field struct {
	*Table
	t       *testing.T
	reports chan wire.Station
	key     orderkey.Private
}

func newField(t *testing.T, b *broker.Broker) *field {
	t.Helper()
	key := orderkey.New()
	f := newSigningField(t, b, Options{
		Sign: func(_ context.Context, c topic.Command, _ time.Time) (topic.Command, error) { return key.Sign(c) }})
	f.key = key
	return f
}

// newSigningField is newField with other signatures.
func newSigningField(t *testing.T, b *broker.Broker, o Options) *field {
	t.Helper()
	f := &field{t: t, reports: make(chan wire.Station, 1000)}
	o.Devices = &register{all: []ledger.Device{{Name: dock.Name, Site: dock.Site, Role: ledger.RoleDevice}}}
	o.Changed = func(v wire.Station) { f.reports <- v }
	f.Table = New(o)
	must.Do(t, f.Connect(mqttlink.Options{URL: b.URL(), ClientID: "cloud-stations"}))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// until returns the next report that fits.
func (f *field) until(what string, fits func(wire.Station) bool) wire.Station {
	f.t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case v := <-f.reports:
			if fits(v) {
				return v
			}
		case <-limit:
			f.t.Fatal("no report: " + what)
		}
	}
}

// connected waits until the table may send orders. What the broker retains can arrive a moment before.
func (f *field) connected() {
	f.t.Helper()
	for limit := time.Now().Add(time.Minute); !f.Up(); runtime.Gosched() {
		if time.Now().After(limit) {
			f.t.Fatal("no connection")
		}
	}
}

func publish(t *testing.T, c mqtt.Client, name string, retain bool, payload any) {
	t.Helper()
	text, err := json.Marshal(payload)
	must.Do(t, err)
	if tok := c.Publish(name, 1, retain, text); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
}

func headerNow(seq int64) topic.Header {
	return topic.Header{V: topic.Version, Seq: topic.SessionSeq(1) + seq, At: time.Now().UTC(), Clock: topic.ClockSynced}
}

func TestStationOnARealBroker(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		station := b.Connect("edge-north-dock-1", nil)
		// Before the cloud: the broker retains it.
		publish(t, station, dock.Status(), true, topic.Status{Header: headerNow(1), Session: 1, Online: true, Version: "1.2"})
		publish(t, station, dock.Footage("01a"), true, topic.Footage{Header: headerNow(2), Footage: "01a", Name: "a.mp4",
			State: topic.Spooled, Size: 7})
		f := newField(t, b)
		v := f.until("what was retained", func(v wire.Station) bool {
			return v.Waiting == 1 && v.State == wire.StationOnline
		})
		if v.Version != "1.2" || v.WaitingBytes != 7 || v.Footage[0].Name != "a.mp4" {
			t.Errorf("got %+v", v)
		}
		publish(t, station, dock.Vitals(), false, topic.Vitals{Header: headerNow(3), Session: 1, DiskFree: 42})
		f.until("vitals", func(v wire.Station) bool { return v.Vitals != nil && v.Vitals.DiskFree == 42 })

		orders := make(chan topic.Command, 10)
		if tok := station.Subscribe(dock.Command(), 1, func(_ mqtt.Client, m mqtt.Message) {
			var c topic.Command
			if err := json.Unmarshal(m.Payload(), &c); err != nil {
				t.Error(err)
			}
			orders <- c
			r := topic.Reply{Header: headerNow(4), ID: c.ID, Name: c.Name, State: topic.Finished,
				Why: "done " + c.Args["footage"]}
			text, err := json.Marshal(r)
			if err != nil {
				t.Error(err)
			}
			station.Publish(dock.CommandReply(c.ID), 1, true, text)
		}); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		f.connected()
		// At the same time: each order reaches the station.
		const many = 5
		answers := make(chan error, many)
		for range many {
			go func() {
				r, err := f.Order(ledger.By(t.Context(), "anna"), dock.Name, "retry", map[string]string{"footage": "all"})
				if err == nil && (r.State != topic.Finished || r.Text != "done all") {
					err = errors.New("got " + r.Text)
				}
				answers <- err
			}()
		}
		ids := map[string]bool{}
		for range many {
			must.Do(t, <-answers)
			c := <-orders
			ids[c.ID] = true
			signed, err := f.key.Public().Open(c.Signed, dock)
			if err != nil || signed.ID != c.ID || signed.By != "anna" || time.Since(signed.Issued) > orderLife {
				t.Errorf("signed order %+v, %v", signed, err)
			}
			if c.Name != "retry" || time.Until(c.Expires) > orderLife || time.Until(c.Expires) < orderLife/2 {
				t.Errorf("got order %+v", c)
			}
		}
		if len(ids) != many {
			t.Errorf("got orders %v", ids)
		}
		publish(t, station, dock.Status(), true, topic.Status{Header: headerNow(9), Session: 1})
		f.until("goodbye", func(v wire.Station) bool { return v.State == wire.StationOffline })
		if _, err := f.Order(t.Context(), dock.Name, "pause", nil); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("order to an offline station: %v", err)
		}
	})
}

func TestOrderWithoutAnAnswer(t *testing.T) {
	broker.Each(t, func(t *testing.T, b *broker.Broker) {
		b.Start()
		f := newField(t, b)
		station := b.Connect("edge-north-dock-1", nil)
		publish(t, station, dock.Status(), true, topic.Status{Header: headerNow(1), Session: 1, Online: true})
		f.until("birth", func(v wire.Station) bool { return v.State == wire.StationOnline })
		f.connected()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, ErrNoAnswer)
		defer cancel()
		if _, err := f.Order(ctx, dock.Name, "pause", nil); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("got %v", err)
		}
		if len(f.waiting) != 0 {
			t.Errorf("%d requests still wait", len(f.waiting))
		}
	})
}
