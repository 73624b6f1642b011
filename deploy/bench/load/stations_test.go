package load

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/mqttlink"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// vitalsEvery is how often a station reports its vitals. Stations send them once in 30 seconds by default.
const vitalsEvery = 10 * time.Second

// stations are simulated stations, each with a connection of its own through the link that real stations use.
type stations struct {
	all  []*station
	sent atomic.Int64 // messages that were given to the links
	end  context.CancelFunc
	wg   sync.WaitGroup
}

type station struct {
	address topic.Device
	link    *mqttlink.Link
	up      chan struct{} // closed at the first connection
	seq     atomic.Int64
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("dock-%d", i+1)
	}
	return out
}

// startStations connects a station for each device; they report until stop.
func startStations(tb testing.TB, broker int, devices []string) *stations {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &stations{end: cancel}
	for i, name := range devices {
		st := &station{address: topic.Device{Site: site, Name: name}, up: make(chan struct{})}
		st.seq.Store(topic.SessionSeq(1))
		link, err := mqttlink.New(mqttlink.Options{
			URL: fmt.Sprintf("tcp://127.0.0.1:%d", broker), ClientID: "edge-" + site + "-" + name, Username: name, Password: secret.New(name),
			Will: func() mqttlink.Message { return st.status(false) }, Birth: func() mqttlink.Message { return st.status(true) },
			OnUp: sync.OnceFunc(func() { close(st.up) }),
		})
		must.Do(tb, err)
		st.link = link
		s.all = append(s.all, st)
		s.wg.Go(func() { _ = link.Run(ctx) })
		first := vitalsEvery * time.Duration(i) / time.Duration(len(devices)) // spread over the period
		s.wg.Go(func() { s.report(ctx, st, first) })
	}
	return s
}

func (s *stations) report(ctx context.Context, st *station, first time.Duration) {
	next := time.NewTimer(first)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(vitalsEvery)
		}
		temperature := 41.5
		s.publish(st, st.address.Vitals(), false, topic.Vitals{Header: st.header(), Session: 1, UptimeSeconds: 60, DiskTotal: 64 << 30, DiskFree: 32 << 30,
			SpoolBytes: 1 << 30, SpoolFootage: 3, TemperatureC: &temperature, LinkUp: true, SpoolPercent: 5, EverySeconds: vitalsEvery.Seconds()})
	}
}

// footage publishes the state of footage on a station.
func (s *stations) footage(device int, id footage.ID, state topic.FootageState, size, offset int64) {
	st := s.all[device]
	s.publish(st, st.address.Footage(id), true, topic.Footage{Header: st.header(), Footage: id, State: state, Name: string(id) + ".MP4", Size: size, Offset: offset})
}

func (s *stations) publish(st *station, name string, retain bool, payload any) {
	b, err := json.Marshal(payload)
	if err != nil {
		panic(err) // none of these types can fail
	}
	if st.link.Publish(mqttlink.Message{Topic: name, Payload: b, Retain: retain}) == nil {
		s.sent.Add(1)
	}
}

func (st *station) header() topic.Header {
	return topic.Header{V: topic.Version, Seq: st.seq.Add(1), At: time.Now().UTC(), Clock: topic.ClockSynced}
}

func (st *station) status(online bool) mqttlink.Message {
	b, err := json.Marshal(topic.Status{Header: st.header(), Session: 1, Online: online, Version: "load", Started: time.Now().UTC()})
	if err != nil {
		panic(err)
	}
	return mqttlink.Message{Topic: st.address.Status(), Payload: b, Retain: true}
}

// wait returns when each station has been connected once.
func (s *stations) wait(tb testing.TB, limit time.Duration) {
	tb.Helper()
	end := time.After(limit)
	for i, st := range s.all {
		select {
		case <-st.up:
		case <-end:
			tb.Fatalf("station %d of %d has no connection after %s", i+1, len(s.all), limit)
		}
	}
}

func (s *stations) stop() {
	s.end()
	s.wg.Wait()
}

// counts listens to every count that the clouds publish.
type counts struct {
	mu   sync.Mutex
	seen map[footage.ID]topic.Count
	at   map[footage.ID]time.Time // of the first message
	bad  []string
	end  context.CancelFunc
	done chan struct{}
}

func listen(tb testing.TB, broker int) *counts {
	tb.Helper()
	c := &counts{seen: map[footage.ID]topic.Count{}, at: map[footage.ID]time.Time{}, done: make(chan struct{})}
	up := make(chan struct{})
	link, err := mqttlink.New(mqttlink.Options{URL: fmt.Sprintf("tcp://127.0.0.1:%d", broker), ClientID: "listener", Username: "cloud",
		Password: secret.New(cloudPassword), OnUp: sync.OnceFunc(func() { close(up) })})
	must.Do(tb, err)
	link.Subscribe(topic.Counts(site, "+"), c.take)
	ctx, cancel := context.WithCancel(context.Background())
	c.end = cancel
	go func() { defer close(c.done); _ = link.Run(ctx) }()
	select {
	case <-up:
	case <-time.After(time.Minute):
		tb.Fatal("the broker does not answer within a minute")
	}
	return c
}

func (c *counts) take(m mqttlink.Message) {
	if len(m.Payload) == 0 {
		return // the broker forgets an old count, of which there are too many; what arrived before stays
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var v topic.Count
	if err := json.Unmarshal(m.Payload, &v); err != nil {
		c.bad = append(c.bad, fmt.Sprintf("%s: %v", m.Topic, err))
		return
	}
	if old, has := c.seen[v.Footage]; has && old.Unique != v.Unique {
		c.bad = append(c.bad, fmt.Sprintf("footage %s: count %d after %d", v.Footage, v.Unique, old.Unique))
	}
	if _, has := c.at[v.Footage]; !has {
		c.at[v.Footage] = time.Now()
	}
	c.seen[v.Footage] = v
}

// get returns the newest count of footage, and when its first one arrived.
func (c *counts) get(id footage.ID) (v topic.Count, at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok = c.seen[id]
	return v, c.at[id], ok
}

func (c *counts) stop() {
	c.end()
	<-c.done
}
