package beacon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	broker "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/topic"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
		goleak.IgnoreAnyFunction("github.com/eclipse/paho%2emqtt%2egolang.(*client).Disconnect.func1")) // ends a moment later
}

var dock = topic.Device{Site: "north", Name: "dock-1"}

const patience = 20 * time.Second

type scene struct {
	t      *testing.T
	broker *broker.Server
	got    chan packets.Packet
	spool  *spool.Spool
	beacon *Beacon
	busy   chan struct{} // closed when the order "until the stop" is under way
	stop   func()
}

func newScene(t *testing.T, session int64) *scene {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, got: make(chan packets.Packet, 10000), busy: make(chan struct{})}
	s.broker = broker.New(&broker.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.broker.AddHook(new(auth.AllowHook), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.broker.AddListener(listeners.NewNet("t", l)); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.broker.Serve() }()
	t.Cleanup(func() { _ = s.broker.Close() })
	if err := s.broker.Subscribe("cattle/v1/#", 1, func(_ *broker.Client, _ packets.Subscription, p packets.Packet) { s.got <- p }); err != nil {
		t.Fatal(err)
	}
	if s.spool, err = spool.Open(spool.Options{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.spool.Close() })
	s.beacon, err = New(Options{URL: "tcp://" + l.Addr().String(), Address: dock, Session: session, Version: "test", Started: time.Now(),
		Every: time.Hour, Records: s.spool.Records, Outbox: s.spool.Outbox, Vitals: func() topic.Vitals { return topic.Vitals{DiskFree: 42} },
		Clock: func() topic.Clock { return topic.ClockUnsynced },
		Order: func(ctx context.Context, b []byte) (topic.Reply, error) {
			if string(b) == "until the stop" {
				close(s.busy)
				<-ctx.Done()
			}
			if bytes.HasPrefix(b, []byte("junk")) {
				return topic.Reply{}, errors.New("junk")
			}
			return topic.Reply{ID: string(b), Name: "n", State: topic.Finished}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	s.spool.Records.OnChange(s.beacon.Changed)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.beacon.Run(ctx) }()
	stopped := false
	s.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(s.stop)
	return s
}

// next waits for a message on a topic that ok likes and decodes it.
func next[T any](s *scene, name string, ok func(T) bool) (T, packets.Packet) {
	s.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case p := <-s.got:
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
			s.t.Fatalf("nothing on %s", name)
		}
	}
}

func (s *scene) capture(path string) spool.Record {
	s.t.Helper()
	r, err := s.spool.Captures.Add(spool.Source{Path: path, Size: 100}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func TestBirthWillAndGoodbye(t *testing.T) {
	s := newScene(t, 7)
	birth, p := next[topic.Status](s, dock.Status(), nil)
	if !birth.Online || birth.Session != 7 || birth.V != topic.Version || birth.Clock != topic.ClockUnsynced || birth.Seq <= topic.SessionSeq(7) || !p.FixedHeader.Retain {
		t.Errorf("%+v", birth)
	}
	if v, _ := next[topic.Vitals](s, dock.Vitals(), nil); v.DiskFree != 42 || v.Session != 7 {
		t.Errorf("%+v", v)
	}
	for _, c := range s.broker.Clients.GetAll() {
		if !c.Net.Inline {
			_ = c.Net.Conn.Close()
		}
	}
	will, _ := next(s, dock.Status(), func(st topic.Status) bool { return !st.Online })
	again, _ := next(s, dock.Status(), func(st topic.Status) bool { return st.Online })
	if !(birth.Seq < will.Seq && will.Seq < again.Seq) {
		t.Errorf("a reader that goes by seq is misled: birth %d, will %d, birth %d", birth.Seq, will.Seq, again.Seq)
	}
	s.stop()
	bye, _ := next(s, dock.Status(), func(st topic.Status) bool { return !st.Online && st.Seq > again.Seq })
	if bye.Seq >= topic.SessionSeq(8) {
		t.Error(bye.Seq)
	}
}

func TestFootageIsTold(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Status](s, dock.Status(), nil)
	r := s.capture("/card/a.mp4")
	m, p := next[topic.Footage](s, dock.Footage(r.ID), nil)
	if m.State != topic.Captured || m.Name != "a.mp4" || m.Size != 100 || !p.FixedHeader.Retain {
		t.Errorf("%+v", m)
	}
	if err := s.spool.Recovery.Quarantine(r.ID, "broken"); err != nil {
		t.Fatal(err)
	}
	q, _ := next(s, dock.Footage(r.ID), func(m topic.Footage) bool { return m.State == topic.Quarantined })
	if q.Reason != "broken" || q.Seq <= m.Seq {
		t.Errorf("%+v", q)
	}
	// A broker that forgot hears it again.
	for _, c := range s.broker.Clients.GetAll() {
		if !c.Net.Inline {
			_ = c.Net.Conn.Close()
		}
	}
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
	most := int64(time.Since(began)/offsetEvery) + 4
	if n := s.beacon.seq.Load() - topic.SessionSeq(1); n > most+5 {
		t.Errorf("%d messages", n)
	}
}

func TestOrdersAndJobsComeIn(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Vitals](s, dock.Vitals(), nil) // subscribed by now
	r := s.capture("/card/a.mp4")
	publish := func(name string, payload []byte) {
		t.Helper()
		if err := s.broker.Publish(name, payload, false, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"", "junk", "{}", `{"v":9}`} {
		publish(dock.Job("j1"), []byte(bad))
	}
	j, err := json.Marshal(topic.Job{Header: topic.Header{V: 1, Seq: 3}, Job: "j1", Footage: r.ID, State: job.Processing, Progress: job.Progress{Percent: 12}})
	if err != nil {
		t.Fatal(err)
	}
	kept := make(chan spool.Record, 100)
	s.spool.Records.OnChange(func(r spool.Record) { kept <- r })
	publish(dock.Job("j1"), j)
	select {
	case got := <-kept:
		if got.Job == nil || got.Job.Percent != 12 {
			t.Errorf("%+v", got.Job)
		}
	case <-time.After(patience):
		t.Fatal("the job was not kept")
	}
	publish(dock.Command(), []byte("junk"))
	publish(dock.Command(), []byte("order1"))
	reply, p := next[topic.Reply](s, dock.CommandReply("order1"), nil)
	if reply.State != topic.Finished || reply.Seq == 0 || !p.FixedHeader.Retain {
		t.Errorf("%+v", reply)
	}
}

// The end of an order stays its last word, whichever answer was faster.
func TestNothingComesAfterTheEndOfAnOrder(t *testing.T) {
	s := newScene(t, 1)
	next[topic.Status](s, dock.Status(), nil)
	s.beacon.Reply(topic.Reply{ID: "o1", Name: "fsck", State: topic.Finished})
	s.beacon.Reply(topic.Reply{ID: "o1", Name: "fsck", State: topic.Accepted})
	for i := range 2 * maxFinal {
		s.beacon.Reply(topic.Reply{ID: fmt.Sprint("n", i), State: topic.Refused})
	}
	seen := 0
	for {
		p := <-s.got
		if p.TopicName == dock.CommandReply("o1") {
			seen++
		}
		if p.TopicName == dock.CommandReply(fmt.Sprint("n", 2*maxFinal-1)) {
			break
		}
	}
	if seen != 1 || len(s.beacon.final) != maxFinal {
		t.Errorf("%d answers, %d ends remembered", seen, len(s.beacon.final))
	}
}

func TestEveryStateHasItsName(t *testing.T) {
	for _, st := range spool.States() {
		if states[st] == "" {
			t.Errorf("%s is published as nothing", st)
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

// Orders that the broker was told are here are carried out and answered at a stop,
// before the goodbye.
func TestOrdersInHandAtAStop(t *testing.T) {
	s := newScene(t, 1)
	next(s, dock.Status(), func(m topic.Status) bool { return m.Online })
	for _, id := range []string{"until the stop", "after-it"} {
		if err := s.broker.Publish(dock.Command(), []byte(id), false, 1); err != nil {
			t.Fatal(err)
		}
	}
	<-s.busy
	for len(s.beacon.orders) == 0 {
		runtime.Gosched()
	}
	s.stop()
	next[topic.Reply](s, dock.CommandReply("after-it"), nil)
	next(s, dock.Status(), func(m topic.Status) bool { return !m.Online })
}
