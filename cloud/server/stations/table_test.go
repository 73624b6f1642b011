package stations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// Paho does not wait for this goroutine, which ends shortly after Disconnect.
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

// register is the ledger's list of devices.
type register struct {
	mu  sync.Mutex
	all []ledger.Device
}

func (r *register) List(context.Context) ([]ledger.Device, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all), nil
}

func (r *register) Touch(_ context.Context, name string, at time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.all {
		if r.all[i].Name == name {
			r.all[i].LastSeen = &at
		}
	}
	return nil
}

// dock is the station of most tests.
var dock = topic.Device{Site: "north", Name: "dock-1"}

// table is a Table under test with its clock.
type table struct {
	*Table
	t       *testing.T
	clock   *clock.Clock
	devices *register
	seq     int64
}

func newTable(t *testing.T) *table {
	t.Helper()
	c := clock.New()
	ds := &register{all: []ledger.Device{{Name: dock.Name, Site: dock.Site, Role: ledger.RoleDevice},
		{Name: "anna", Site: dock.Site, Role: ledger.RoleOperator}}}
	return &table{Table: New(Options{Devices: ds, Now: c.Now}), t: t, clock: c, devices: ds}
}

// header is that of the station's next message.
func (b *table) header(session int64) topic.Header {
	b.seq++
	return topic.Header{V: topic.Version, Seq: topic.SessionSeq(session) + b.seq, At: b.clock.Now(),
		Clock: topic.ClockSynced}
}

func (b *table) send(name string, retained bool, payload any) {
	b.t.Helper()
	text, err := json.Marshal(payload)
	must.Do(b.t, err)
	b.receive(mqttlink.Message{Topic: name, Payload: text, Retain: retained})
}

func (b *table) status(session int64, online, retained bool) {
	b.send(dock.Status(), retained, topic.Status{Header: b.header(session), Session: session, Online: online,
		Version: "1.2"})
}

func (b *table) vitals(v topic.Vitals) {
	v.Header, v.Session = b.header(1), 1
	b.send(dock.Vitals(), false, v)
}

func (b *table) get() wire.StationDetail {
	b.t.Helper()
	v, err := b.Get(b.t.Context(), dock.Name)
	must.Do(b.t, err)
	return v
}

func (b *table) want(state wire.StationState, since time.Time) {
	b.t.Helper()
	v := b.get()
	if v.State != state || since.IsZero() != (v.Since == nil) || v.Since != nil && !v.Since.Equal(since) {
		b.t.Errorf("state %s since %v, want %s since %s", v.State, v.Since, state, since)
	}
}

func TestStates(t *testing.T) {
	b := newTable(t)
	b.want(wire.StationNever, time.Time{})
	b.status(1, true, false)
	born := b.clock.Now()
	b.want(wire.StationOnline, born)
	b.clock.Advance(20 * time.Second)
	b.vitals(topic.Vitals{EverySeconds: 30})
	heard := b.clock.Now()
	b.clock.Advance(90 * time.Second)
	b.want(wire.StationOnline, born)
	b.clock.Advance(time.Second)
	b.want(wire.StationSilent, heard)
	b.vitals(topic.Vitals{EverySeconds: 30})
	b.want(wire.StationOnline, born)
	b.clock.Advance(time.Second)
	b.status(1, false, false)
	died := b.clock.Now()
	b.want(wire.StationOffline, died)
	b.clock.Advance(48 * time.Hour)
	b.want(wire.StationOffline, died)
	if seen := b.get().Seen; !seen.Equal(died.Add(-time.Second)) {
		t.Errorf("a last will was taken for a sign of life: %s", seen)
	}
	b.status(2, true, false)
	b.want(wire.StationOnline, b.clock.Now())
}

// The last will of an older connection may arrive after the birth of a newer one.
func TestOldWillDoesNotCount(t *testing.T) {
	b := newTable(t)
	will := topic.Status{Header: b.header(1), Session: 1}
	b.status(2, true, false)
	b.send(dock.Status(), false, will)
	b.want(wire.StationOnline, b.clock.Now())
}

// A station with a new card begins with the first session again.
func TestStationSetUpAgain(t *testing.T) {
	b := newTable(t)
	b.status(7, true, false)
	b.send(dock.Footage("old"), false, topic.Footage{Header: b.header(7), Footage: "old", State: topic.Spooled, Size: 5})
	b.clock.Advance(time.Hour)
	b.status(1, true, false)
	b.want(wire.StationOnline, b.clock.Now())
	if v := b.get(); len(v.Footage) != 0 || v.Waiting != 0 {
		t.Errorf("footage of the old card: %+v", v.Footage)
	}
}

// After a start the cloud knows a station by what the broker retained.
func TestRetainedMessages(t *testing.T) {
	for name, c := range map[string]struct {
		online  bool
		clock   topic.Clock
		state   wire.StationState
		unknown bool // since when
	}{
		"online":                   {true, topic.ClockSynced, wire.StationOnline, false},
		"offline":                  {false, topic.ClockSynced, wire.StationOffline, false},
		"online with wrong clock":  {true, topic.ClockUnsynced, wire.StationOnline, true},
		"offline with wrong clock": {false, topic.ClockUnsynced, wire.StationOffline, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTable(t)
			h := b.header(3)
			h.Clock, h.At = c.clock, h.At.Add(-30*time.Hour)
			must.Do(t, b.Connect(mqttlink.Options{URL: "tcp://127.0.0.1:1", ClientID: "x"}))
			b.turn(true)
			b.send(dock.Status(), true, topic.Status{Header: h, Session: 3, Online: c.online})
			since := h.At
			if c.unknown {
				since = time.Time{}
			}
			b.want(c.state, since)
			b.clock.Advance(missing*defaultEvery + time.Second)
			if c.online { // it had its chance to send vitals
				if v := b.get(); v.State != wire.StationSilent {
					t.Errorf("got %s", v.State)
				}
			}
		})
	}
}

// While the cloud has no connection to the broker, no station becomes silent.
func TestDeafCloudBlamesNoStation(t *testing.T) {
	b := newTable(t)
	must.Do(t, b.Connect(mqttlink.Options{URL: "tcp://127.0.0.1:1", ClientID: "x"}))
	b.turn(true)
	b.status(1, true, false)
	born := b.clock.Now()
	b.clock.Advance(time.Second)
	b.turn(false)
	b.clock.Advance(time.Hour)
	b.want(wire.StationOnline, born)
	b.turn(true)
	b.want(wire.StationOnline, born)
	b.clock.Advance(missing*defaultEvery + time.Second)
	b.want(wire.StationSilent, born)
}

// A station without a broker is known by its requests.
func TestStationsWithoutABroker(t *testing.T) {
	b := newTable(t)
	must.Do(t, b.devices.Touch(t.Context(), dock.Name, b.clock.Now()))
	seen := b.clock.Now()
	b.want(wire.StationOnline, time.Time{})
	b.clock.Advance(3 * time.Hour)
	b.want(wire.StationSilent, seen)
	// It lost its broker, but still uploads.
	b.status(1, true, false)
	b.status(1, false, false)
	b.clock.Advance(5 * time.Minute)
	must.Do(t, b.devices.Touch(t.Context(), dock.Name, b.clock.Now()))
	v := b.get()
	if v.State != wire.StationOnline || len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0].Text, "MQTT broker") {
		t.Errorf("state %s, warnings %v", v.State, v.Warnings)
	}
}

func TestFootageThatWaits(t *testing.T) {
	b := newTable(t)
	for id, f := range map[footage.ID]topic.Footage{
		"01a": {State: topic.Uploaded, Size: 10, Offset: 10}, "01b": {State: topic.Uploading, Size: 10, Offset: 4},
		"01c": {State: topic.Captured, Size: 100}, "01d": {State: topic.Quarantined, Size: 1000},
		"01e": {State: topic.Uploading, Size: 10, DuplicateOf: "01b"},
	} {
		f.Header, f.Footage, f.Name = b.header(1), id, string(id)+".mp4"
		b.send(dock.Footage(id), true, f)
	}
	v := b.get()
	if v.Waiting != 2 || v.WaitingBytes != 106 || len(v.Footage) != 5 || v.Footage[0].Footage != "01e" {
		t.Errorf("%d wait with %d bytes, footage %+v", v.Waiting, v.WaitingBytes, v.Footage)
	}
	stale := topic.Footage{Header: topic.Header{V: 1, Seq: 1}, Footage: "01c", State: topic.Uploaded}
	b.send(dock.Footage("01c"), false, stale)
	b.receive(mqttlink.Message{Topic: dock.Footage("01b"), Retain: true}) // removed
	if v := b.get(); v.Waiting != 1 || v.WaitingBytes != 100 {
		t.Errorf("%d wait with %d bytes", v.Waiting, v.WaitingBytes)
	}
}

// The table keeps what the cloud does not have, also beyond its limit.
func TestFootageIsBounded(t *testing.T) {
	b := newTable(t)
	put := func(n int, state topic.FootageState) {
		id := footage.ID(fmt.Sprintf("%06d", n))
		b.send(dock.Footage(id), false, topic.Footage{Header: b.header(1), Footage: id, State: state, Size: 1})
	}
	for n := range maxFootage + 50 {
		put(n, map[bool]topic.FootageState{true: topic.Uploaded, false: topic.Spooled}[n%2 == 0])
	}
	v := b.get()
	if len(v.Footage) != maxFootage || v.Waiting != (maxFootage+50)/2 || b.pieces != maxFootage {
		t.Errorf("%d pieces, %d wait, %d in all", len(v.Footage), v.Waiting, b.pieces)
	}
	list, err := b.List(t.Context())
	must.Do(t, err)
	if len(list) != 1 || len(list[0].Footage) != wire.StationFootage || list[0].Waiting != v.Waiting {
		t.Errorf("got list %+v", list)
	}
	b.devices.all = nil
	b.forgetOthers(nil)
	if len(b.stations) != 0 || b.pieces != 0 {
		t.Errorf("%d stations and %d pieces are left", len(b.stations), b.pieces)
	}
}

func TestStationsAreBounded(t *testing.T) {
	b := newTable(t)
	for n := range maxStations + 5 {
		d := topic.Device{Site: "x", Name: fmt.Sprint("d", n)}
		b.send(d.Status(), false, topic.Status{Header: b.header(1), Session: 1, Online: true})
	}
	if len(b.stations) != maxStations {
		t.Errorf("%d stations", len(b.stations))
	}
	b.forgetOthers(b.devices.all)
	b.status(1, true, false)
	b.want(wire.StationOnline, b.clock.Now())
}

func TestHistoryIsThinned(t *testing.T) {
	b := newTable(t)
	for range 30 * 60 { // 30 hours
		b.vitals(topic.Vitals{DiskFree: b.seq})
		b.clock.Advance(time.Minute)
	}
	h := b.get().History
	if len(h) < 280 || len(h) > 290 || b.clock.Now().Sub(h[0].At) > historyLife {
		t.Errorf("%d points from %s", len(h), h[0].At)
	}
	if h[len(h)-1].DiskFree != b.seq-1 {
		t.Errorf("the newest point has %d, want %d", h[len(h)-1].DiskFree, b.seq-1)
	}
}

func TestWarnings(t *testing.T) {
	hot, slow := 85.0, 7200.0
	for name, c := range map[string]struct {
		v    topic.Vitals
		kind wire.WarningKind
		text string
	}{
		"clock": {topic.Vitals{ClockOffset: &slow, ClockSource: topic.ClockNTP}, wire.WarnClock, "2h0m0s"},
		"clock alarm": {topic.Vitals{ClockOffset: &slow, ClockSource: topic.ClockNTP,
			Alarms: map[string]string{"clock": "late"}}, wire.WarnClock, "late"},
		"disk":        {topic.Vitals{DiskTotal: 100e9, DiskFree: 4e9}, wire.WarnDisk, "4.0 GB free of 100.0 GB"},
		"spool":       {topic.Vitals{SpoolPercent: 81}, wire.WarnSpool, "81 % full"},
		"temperature": {topic.Vitals{TemperatureC: &hot}, wire.WarnTemperature, "85 °C"},
		"quarantine":  {topic.Vitals{Alarms: map[string]string{"quarantine": "3 pieces"}}, wire.WarnErrors, "3 pieces"},
		"old agent":   {topic.Vitals{Alarm: "look at it"}, wire.WarnErrors, "look at it"},
		"none":        {topic.Vitals{DiskTotal: 100, DiskFree: 50, SpoolPercent: 10}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTable(t)
			b.vitals(c.v)
			got := b.get().Warnings
			if c.kind == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || got[0].Kind != c.kind || !strings.Contains(got[0].Text, c.text) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestReplies(t *testing.T) {
	b := newTable(t)
	for n := range maxReplies + 5 {
		b.clock.Advance(time.Second)
		id := fmt.Sprint("c", n)
		for _, state := range []topic.ReplyState{topic.Accepted, topic.Finished} {
			b.send(dock.CommandReply(id), false, topic.Reply{Header: b.header(1), ID: id, Name: "fsck", State: state, Why: "x"})
		}
	}
	got := b.get().Replies
	if len(got) != maxReplies || got[0].ID != fmt.Sprint("c", maxReplies+4) || got[0].State != topic.Finished {
		t.Errorf("got %+v", got)
	}
}

// A station is reported when it changes, at most once a second, and when it becomes silent.
func TestReportsAreThrottled(t *testing.T) {
	b := newTable(t)
	reports := func(want int, state wire.StationState) {
		t.Helper()
		got := b.due(b.devices.all)
		if len(got) != want || want > 0 && got[0].State != state {
			t.Errorf("got %+v, want %d with state %s", got, want, state)
		}
	}
	reports(0, "")
	b.status(1, true, false)
	reports(1, wire.StationOnline)
	b.vitals(topic.Vitals{EverySeconds: 10})
	reports(0, "")
	b.clock.Advance(time.Second)
	reports(1, wire.StationOnline)
	b.clock.Advance(time.Second)
	reports(0, "")
	b.clock.Advance(time.Minute)
	reports(1, wire.StationSilent)
	reports(0, "")
}

func TestOtherHoldersOfTokensAreNoStations(t *testing.T) {
	b := newTable(t)
	if _, err := b.Get(t.Context(), "anna"); !errors.Is(err, ledger.ErrNotFound) {
		t.Error(err)
	}
	revoked := b.clock.Now()
	b.devices.all[0].Revoked = &revoked
	if all, err := b.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v %v", all, err)
	}
}

func TestOrderWithoutABroker(t *testing.T) {
	b := newTable(t)
	if _, err := b.Order(t.Context(), dock.Name, "pause", nil); !errors.Is(err, ErrNoBroker) {
		t.Error(err)
	}
}
