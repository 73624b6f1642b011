package beacon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	kit "cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		// Paho does not wait for this goroutine, which ends shortly after Disconnect.
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1"))
}

var dock = topic.Device{Site: "north", Name: "dock-1"}

const testTimeout = time.Minute

// scene is a running Beacon with its spool and its broker.
type scene struct {
	t        *testing.T
	broker   *broker.Server
	messages chan packets.Packet // all messages that the broker received
	spool    *spool.Spool
	beacon   *Beacon
	busy     chan struct{} // closed when the order "until the stop" is being executed
	stop     func()
}

func newScene(t *testing.T, session int64) *scene {
	t.Helper()
	s := &scene{t: t, messages: make(chan packets.Packet, 10000), busy: make(chan struct{})}
	url := s.startBroker()
	var err error
	s.spool, err = spool.Open(spool.Options{Dir: t.TempDir()})
	must.Do(t, err)
	t.Cleanup(func() { _ = s.spool.Close() })
	s.beacon, err = New(Options{URL: url, Address: dock, Session: session, Version: "test", Started: time.Now(),
		Every: time.Hour, Records: s.spool.Records, Outbox: s.spool.Outbox,
		Vitals: func() topic.Vitals { return topic.Vitals{DiskFree: 42} },
		Clock:  func() topic.Clock { return topic.ClockUnsynced },
		Order:  s.execute})
	must.Do(t, err)
	s.spool.Records.OnChange(s.beacon.Changed)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.beacon.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// startBroker starts the broker, subscribes to all of its messages and returns its URL.
func (s *scene) startBroker() string {
	s.t.Helper()
	l := kit.Listener(s.t, "127.0.0.1:0")
	s.broker = broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	must.Do(s.t, s.broker.AddHook(new(auth.AllowHook), nil))
	must.Do(s.t, s.broker.AddListener(l))
	must.Do(s.t, s.broker.Serve())
	s.t.Cleanup(func() { _ = s.broker.Close() })
	must.Do(s.t, s.broker.Subscribe("cattle/v1/#", 1,
		func(_ *broker.Client, _ packets.Subscription, p packets.Packet) { s.messages <- p }))
	return "tcp://" + l.Address()
}

// cutConnections cuts the connections of the device.
func (s *scene) cutConnections() {
	for _, c := range s.broker.Clients.GetAll() {
		if !c.Net.Inline {
			_ = c.Net.Conn.Close()
		}
	}
}

// execute answers an order with the payload as its id. The order "until the stop" takes
// until ctx ends, and an order that begins with "junk" has no answer.
func (s *scene) execute(ctx context.Context, payload []byte) (topic.Reply, error) {
	if string(payload) == "until the stop" {
		close(s.busy)
		<-ctx.Done()
	}
	if bytes.HasPrefix(payload, []byte("junk")) {
		return topic.Reply{}, errors.New("junk")
	}
	return topic.Reply{ID: string(payload), Name: "n", State: topic.Finished}, nil
}

// send publishes a message to the device.
func (s *scene) send(name string, payload []byte) {
	s.t.Helper()
	must.Do(s.t, s.broker.Publish(name, payload, false, 1))
}

// next waits for the next message of a topic for which ok is nil or returns true.
func next[T any](s *scene, name string, ok func(T) bool) (T, packets.Packet) {
	s.t.Helper()
	limit := time.After(testTimeout)
	for {
		select {
		case p := <-s.messages:
			var v T
			if p.TopicName != name {
				continue
			}
			if err := json.Unmarshal(p.Payload, &v); err != nil {
				s.t.Fatalf("%s: %v", p.Payload, err)
			}
			if ok == nil || ok(v) {
				return v, p
			}
		case <-limit:
			s.t.Fatalf("no expected message on %s", name)
		}
	}
}

func (s *scene) capture(path string) spool.Record {
	s.t.Helper()
	r, err := s.spool.Captures.Add(spool.Source{Path: path, Size: 100}, nil)
	must.Do(s.t, err)
	return r
}

func TestBirthWillAndOfflineStatus(t *testing.T) {
	s := newScene(t, 7)
	birth, p := next[topic.Status](s, dock.Status(), nil)
	if !birth.Online || birth.Session != 7 || birth.V != topic.Version || birth.Clock != topic.ClockUnsynced ||
		birth.Seq <= topic.SessionSeq(7) || !p.FixedHeader.Retain {
		t.Errorf("birth: %+v, retain %v", birth, p.FixedHeader.Retain)
	}
	if v, _ := next[topic.Vitals](s, dock.Vitals(), nil); v.DiskFree != 42 || v.Session != 7 {
		t.Errorf("vitals: %+v", v)
	}
	s.cutConnections()
	will, _ := next(s, dock.Status(), func(st topic.Status) bool { return !st.Online })
	second, _ := next(s, dock.Status(), func(st topic.Status) bool { return st.Online })
	if !(birth.Seq < will.Seq && will.Seq < second.Seq) {
		t.Errorf("seq does not rise: birth %d, will %d, second birth %d", birth.Seq, will.Seq, second.Seq)
	}
	s.stop()
	offline, _ := next(s, dock.Status(), func(st topic.Status) bool { return !st.Online && st.Seq > second.Seq })
	if offline.Seq >= topic.SessionSeq(8) {
		t.Errorf("seq %d of the offline status belongs to the next session", offline.Seq)
	}
}

func TestFootageIsPublished(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Status](s, dock.Status(), nil)
	r := s.capture("/card/a.mp4")
	m, p := next[topic.Footage](s, dock.Footage(r.ID), nil)
	if m.State != topic.Captured || m.Name != "a.mp4" || m.Size != 100 || !p.FixedHeader.Retain {
		t.Errorf("captured footage: %+v, retain %v", m, p.FixedHeader.Retain)
	}
	must.Do(t, s.spool.Recovery.Quarantine(r.ID, "broken"))
	q, _ := next(s, dock.Footage(r.ID), func(m topic.Footage) bool { return m.State == topic.Quarantined })
	if q.Reason != "broken" || q.Seq <= m.Seq {
		t.Errorf("quarantined footage: %+v", q)
	}
	// A new connection publishes the same state again.
	s.cutConnections()
	next(s, dock.Footage(r.ID), func(m topic.Footage) bool { return m.Seq > q.Seq })
}

func TestOffsetsAreThrottled(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Status](s, dock.Status(), nil)
	r := s.capture("/card/a.mp4")
	began := time.Now()
	const steps = 3000
	for i := range int64(steps) {
		s.spool.Uploads.SetSent(r.ID, spool.Video, i, 1)
	}
	next(s, dock.Footage(r.ID), func(m topic.Footage) bool { return m.Offset == steps-1 })
	s.stop()
	most := int64(time.Since(began)/offsetEvery) + 9
	if n := s.beacon.seq.Load() - topic.SessionSeq(1); n > most {
		t.Errorf("%d messages for %d offsets, at most %d allowed", n, steps, most)
	}
}

func TestOrdersAndJobsAreReceived(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Vitals](s, dock.Vitals(), nil) // vitals are published after the subscriptions
	r := s.capture("/card/a.mp4")
	for _, invalid := range []string{"", "junk", "{}", `{"v":9}`} {
		s.send(dock.Job("j1"), []byte(invalid))
	}
	j, err := json.Marshal(topic.Job{Header: topic.Header{V: 1, Seq: 3}, Job: "j1", Footage: r.ID, State: job.Processing,
		Progress: job.Progress{Percent: 12}})
	must.Do(t, err)
	changed := make(chan spool.Record, 100)
	s.spool.Records.OnChange(func(r spool.Record) { changed <- r })
	s.send(dock.Job("j1"), j)
	select {
	case got := <-changed:
		if got.Job == nil || got.Job.Percent != 12 {
			t.Errorf("job: %+v", got.Job)
		}
	case <-time.After(testTimeout):
		t.Fatal("the job is not stored")
	}
	s.send(dock.Command(), []byte("junk"))
	s.send(dock.Command(), []byte("order1"))
	reply, p := next[topic.Reply](s, dock.CommandReply("order1"), nil)
	if reply.State != topic.Finished || reply.Seq == 0 || !p.FixedHeader.Retain {
		t.Errorf("answer: %+v, retain %v", reply, p.FixedHeader.Retain)
	}
}

func TestFinalAnswerIsNotReplaced(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Status](s, dock.Status(), nil)
	s.beacon.Reply(topic.Reply{ID: "o1", Name: "fsck", State: topic.Finished})
	s.beacon.Reply(topic.Reply{ID: "o1", Name: "fsck", State: topic.Accepted})
	for i := range 2 * maxFinished {
		s.beacon.Reply(topic.Reply{ID: fmt.Sprint("n", i), State: topic.Refused})
	}
	answers := 0
	limit := time.After(testTimeout)
	for last := false; !last; {
		select {
		case p := <-s.messages:
			if p.TopicName == dock.CommandReply("o1") {
				answers++
			}
			last = p.TopicName == dock.CommandReply(fmt.Sprint("n", 2*maxFinished-1))
		case <-limit:
			t.Fatal("the last answer is not published")
		}
	}
	if answers != 1 || len(s.beacon.finished) != maxFinished {
		t.Errorf("%d answers, want 1; %d finished orders remembered, want %d", answers, len(s.beacon.finished), maxFinished)
	}
}

func TestEveryStateIsMapped(t *testing.T) {
	for _, st := range spool.States() {
		if states[st] == "" {
			t.Errorf("state %s has no state of the MQTT contract", st)
		}
	}
}

func FuzzParseJob(f *testing.F) {
	f.Add("j1", []byte(`{"v":1,"job":"j1","footage":"f","state":"done"}`))
	f.Add("j1", []byte(`{"v":1,"job":"../x"}`))
	f.Fuzz(func(t *testing.T, id string, b []byte) {
		j, err := parseJob(dock.Job(id), b)
		if err != nil {
			if !errors.Is(err, errPayload) {
				t.Fatal(err)
			}
			return
		}
		if _, err := footage.ParseID(string(j.Footage)); err != nil || j.Job != id || strings.ContainsAny(id, "/+#") {
			t.Fatalf("%+v", j)
		}
	})
}

// An order that is queued at a stop is executed and answered before the offline status.
func TestQueuedOrdersAreAnsweredAtStop(t *testing.T) {
	s := newScene(t, 1)
	next(s, dock.Status(), func(m topic.Status) bool { return m.Online })
	for _, id := range []string{"until the stop", "queued"} {
		s.send(dock.Command(), []byte(id))
	}
	<-s.busy
	for len(s.beacon.orders) == 0 {
		runtime.Gosched()
	}
	s.stop()
	next[topic.Reply](s, dock.CommandReply("queued"), nil)
	next(s, dock.Status(), func(m topic.Status) bool { return !m.Online })
}
