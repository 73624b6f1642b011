package beacon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/broker"
	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// station is a device whose program and broker stop and start.
type station struct {
	t       *testing.T
	dir     string
	broker  *broker.Broker
	session int64

	spool *spool.Spool
	relay *faultproxy.Proxy // between the device and the broker
	stop  func()
}

// start starts the program with the spool of its last run.
func (s *station) start() {
	s.t.Helper()
	sp, err := spool.Open(spool.Options{Dir: s.dir, History: 5})
	must.Do(s.t, err)
	s.session++
	s.spool, s.relay = sp, s.broker.Relay()
	b, err := New(Options{URL: "tcp://" + s.relay.Addr(), Address: dock,
		Token: func() secret.String { return secret.String{} }, Session: s.session, Started: time.Now(), Every: time.Hour,
		Records: sp.Records, Outbox: sp.Outbox, Vitals: func() topic.Vitals { return topic.Vitals{} },
		Clock: func() topic.Clock { return topic.ClockUnsynced },
		Order: func(context.Context, []byte) (topic.Reply, error) { return topic.Reply{}, nil }})
	must.Do(s.t, err)
	sp.Records.OnChange(b.Changed)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		if err := errors.Join(s.relay.Close(), sp.Close()); err != nil {
			s.t.Error(err)
		}
	}
}

const footageSize = 64 << 20

// capture spools footage whose content is its name.
func (s *station) capture(name string) footage.ID {
	s.t.Helper()
	r, err := s.spool.Captures.Add(spool.Source{Path: "/card/" + name, Size: footageSize}, nil)
	must.Do(s.t, err)
	_, err = s.spool.Captures.BeginRead(r.ID)
	must.Do(s.t, err)
	c := footage.Chunk{Size: int64(len(name)), SHA256: footage.Sum([]byte(name))}
	must.Do(s.t, s.spool.Content.PutChunk(r.ID, spool.Video, c, []byte(name)))
	_, err = s.spool.Captures.Commit(footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID,
		Video: footage.File{Name: name, Size: c.Size, SHA256: c.SHA256, Chunks: []footage.Chunk{c}}})
	must.Do(s.t, err)
	return r.ID
}

// advance moves footage one step further, or back to an earlier offset.
func (s *station) advance(id footage.ID, random *rand.Rand) {
	s.t.Helper()
	r, ok := s.spool.Records.Get(id)
	if !ok {
		return
	}
	switch r.State {
	case spool.Spooled:
		_, err := s.spool.Uploads.Begin(id)
		must.Do(s.t, err)
		must.Do(s.t, s.spool.Uploads.SetTransfer(id, spool.Video, spool.Transfer{URL: "u", Offset: 0}))
	case spool.Uploading:
		switch offset := r.Video.Offset; {
		case random.IntN(40) == 0: // the cloud lost the upload
			must.Do(s.t, s.spool.Uploads.SetTransfer(id, spool.Video, spool.Transfer{}))
		case random.IntN(8) == 0: // the link was cut and the server has less than was sent
			s.spool.Uploads.SetSent(id, spool.Video, max(0, offset-int64(random.IntN(3<<20))), 0)
		case offset >= footageSize:
			must.Do(s.t, s.spool.Uploads.Accept(id))
			must.Do(s.t, s.spool.Uploads.Confirm(id, ""))
			must.Do(s.t, s.spool.Disk.Reclaim(id))
		default:
			s.spool.Uploads.SetSent(id, spool.Video, min(footageSize, offset+int64(random.IntN(12<<20))), 1000)
		}
	}
}

// advanceToEnd advances every piece of footage until it has ended.
func (s *station) advanceToEnd(ids []footage.ID, random *rand.Rand) {
	for busy := true; busy; {
		busy = false
		for _, id := range ids {
			if r, ok := s.spool.Records.Get(id); ok && !r.State.Ended() {
				s.advance(id, random)
				busy = true
			}
		}
	}
}

// watcher is a subscriber that checks the messages about footage against the contract.
type watcher struct {
	t        *testing.T
	messages <-chan broker.Message
	last     map[string]topic.Footage // the newest message by topic
}

func newWatcher(t *testing.T, b *broker.Broker) *watcher {
	return &watcher{t: t, messages: b.Subscribe("cattle/v1/north/dock-1/footage/+"), last: map[string]topic.Footage{}}
}

var stages = map[topic.FootageState]int{topic.Captured: 0, topic.Spooled: 1, topic.Uploading: 2, topic.Uploaded: 3,
	topic.Quarantined: 3}

// check fails the test when a message goes back behind an earlier one.
func (w *watcher) check(m broker.Message) {
	w.t.Helper()
	var f topic.Footage
	if err := json.Unmarshal(m.Payload, &f); err != nil {
		w.t.Fatalf("%s: %v", m.Payload, err)
	}
	old, known := w.last[m.Topic]
	if known && f.Seq <= old.Seq {
		if f.Seq < old.Seq && !m.Retained {
			w.t.Errorf("%s: got seq %d after seq %d", m.Topic, f.Seq, old.Seq)
		}
		return
	}
	back := f.Attempt < old.Attempt || f.Attempt == old.Attempt &&
		(stages[f.State] < stages[old.State] || f.State == old.State && f.Offset < old.Offset)
	if known && back {
		w.t.Errorf("%s went back from attempt %d, %s, %d to attempt %d, %s, %d", m.Topic,
			old.Attempt, old.State, old.Offset, f.Attempt, f.State, f.Offset)
	}
	w.last[m.Topic] = f
}

// awaitUploaded checks messages until every piece of footage is published as uploaded.
func (w *watcher) awaitUploaded(ids []footage.ID) {
	w.t.Helper()
	limit := time.After(90 * time.Second)
	missing := func() (list []footage.ID) {
		for _, id := range ids {
			if w.last[dock.Footage(id)].State != topic.Uploaded {
				list = append(list, id)
			}
		}
		return list
	}
	for len(missing()) > 0 {
		select {
		case m := <-w.messages:
			w.check(m)
		case <-limit:
			w.t.Fatalf("%d of %d pieces of footage not published as uploaded: %v", len(missing()), len(ids), missing())
		}
	}
}

// checkFor checks the messages of the next d, and those that have arrived before.
func (w *watcher) checkFor(d time.Duration) {
	end := time.After(d)
	for {
		select {
		case m := <-w.messages:
			w.check(m)
			continue
		default:
		}
		select {
		case m := <-w.messages:
			w.check(m)
		case <-end:
			return
		}
	}
}

// Footage is captured and uploaded while the broker is away. The program restarts and
// deletes the oldest records. Once the broker is back, the newest state of each piece of
// footage is published.
func TestFootageIsPublishedAfterDaysWithoutBroker(t *testing.T) {
	broker.Each(t, func(t *testing.T, broker *broker.Broker) {
		s := &station{t: t, dir: t.TempDir(), broker: broker}
		random := rand.New(rand.NewPCG(1, 2))
		var ids []footage.ID
		for day := range 4 {
			s.start()
			for i := range 6 {
				ids = append(ids, s.capture(fmt.Sprintf("d%d-%d.mp4", day, i)))
			}
			s.advanceToEnd(ids, random)
			s.stop()
		}
		broker.Start()
		w := newWatcher(t, broker)
		s.start()
		w.awaitUploaded(ids)
		s.stop()
	})
}

// The broker, the link and the program stop and start at random. Subscribers never see
// progress go back, and in the end every piece of footage is published as uploaded.
func TestProgressNeverGoesBack(t *testing.T) {
	broker.Each(t, func(t *testing.T, broker *broker.Broker) {
		s := &station{t: t, dir: t.TempDir(), broker: broker}
		random := rand.New(rand.NewPCG(3, 4))
		broker.Start()
		w := newWatcher(t, broker)
		s.start()
		var ids []footage.ID
		for i := range 400 {
			w.checkFor(0)
			switch n := random.IntN(100); {
			case n < 8:
				ids = append(ids, s.capture(fmt.Sprintf("f%d.mp4", i)))
			case n < 11:
				if broker.Running() {
					broker.Stop()
				} else {
					broker.Start()
				}
			case n < 13:
				s.relay.Sever()
			case n < 15: // the network fails before the program stops
				if err := s.relay.Close(); err != nil {
					t.Error(err)
				}
				s.stop()
				s.start()
			case n < 17:
				s.stop()
				s.start()
			case n < 30: // time for the device to publish
				w.checkFor(time.Duration(random.IntN(60)) * time.Millisecond)
			default:
				if len(ids) > 0 {
					s.advance(ids[random.IntN(len(ids))], random)
				}
			}
		}
		broker.Start()
		s.advanceToEnd(ids, random)
		w.awaitUploaded(ids)
		s.stop()
	})
}

func TestRaiseOffset(t *testing.T) {
	sp, err := spool.Open(spool.Options{Dir: t.TempDir()})
	must.Do(t, err)
	defer sp.Close()
	s := &station{t: t, spool: sp}
	id := s.capture("a.mp4")
	r, _ := sp.Records.Get(id)
	b := &Beacon{o: Options{Records: sp.Records}}
	at := func(offset int64, attempt int) topic.Footage {
		return topic.Footage{State: topic.Uploading, Offset: offset, Size: footageSize, Attempt: attempt}
	}
	before := published{message: at(30<<20, 1)}
	m := at(20<<20, 1)
	if !b.raiseOffset(&m, r, before) || m.Offset != 30<<20 {
		t.Errorf("the offset fell to %d within an attempt, want %d", m.Offset, 30<<20)
	}
	r, _ = sp.Records.Get(id)
	if r.Published != 30<<20+publishedStep {
		t.Errorf("stored limit of published offsets is %d, want %d", r.Published, 30<<20+publishedStep)
	}
	m = at(30<<20, 1)
	if b.raiseOffset(&m, r, published{}) {
		t.Error("after a restart an offset below the stored limit is published")
	}
	m = at(20<<20, 1)
	duplicate := r
	duplicate.State = spool.Duplicate
	if !b.raiseOffset(&m, duplicate, before) || m.Offset != 30<<20 {
		t.Errorf("offset of a duplicate is %d, want %d", m.Offset, 30<<20)
	}
	m = at(0, 2)
	if r.Published = 0; !b.raiseOffset(&m, r, before) || m.Offset != 0 {
		t.Errorf("a new attempt begins at %d, want 0", m.Offset)
	}
}
