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
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/topic"
)

// station is a device whose program and broker come and go.
type station struct {
	t       *testing.T
	dir     string
	broker  *broker.Broker
	session int64

	spool *spool.Spool
	relay *faultproxy.Proxy
	stop  func()
}

// start runs the program once more.
func (s *station) start() {
	s.t.Helper()
	sp, err := spool.Open(spool.Options{Dir: s.dir, History: 5})
	if err != nil {
		s.t.Fatal(err)
	}
	s.session++
	s.spool, s.relay = sp, s.broker.Relay()
	b, err := New(Options{URL: "tcp://" + s.relay.Addr(), Address: dock, Token: func() secret.String { return secret.String{} }, Session: s.session,
		Started: time.Now(), Every: time.Hour, Records: sp.Records, Outbox: sp.Outbox, Vitals: func() topic.Vitals { return topic.Vitals{} },
		Clock: func() topic.Clock { return topic.ClockUnsynced },
		Order: func(context.Context, []byte) (topic.Reply, error) { return topic.Reply{}, nil }})
	if err != nil {
		s.t.Fatal(err)
	}
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

const filmSize = 64 << 20

// capture takes in a film whose content is its name.
func (s *station) capture(name string) footage.ID {
	s.t.Helper()
	r, err := s.spool.Captures.Add(spool.Source{Path: "/card/" + name, Size: filmSize}, nil)
	s.must(err)
	_, err = s.spool.Captures.BeginRead(r.ID)
	s.must(err)
	c := footage.Chunk{Size: int64(len(name)), SHA256: footage.Sum([]byte(name))}
	s.must(s.spool.Content.PutChunk(r.ID, spool.Video, c, []byte(name)))
	_, err = s.spool.Captures.Commit(footage.Manifest{Version: footage.ManifestVersion, Footage: r.ID,
		Video: footage.File{Name: name, Size: c.Size, SHA256: c.SHA256, Chunks: []footage.Chunk{c}}})
	s.must(err)
	return r.ID
}

func (s *station) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// push moves a film on by one step; bytes that were on their way may be lost.
func (s *station) push(id footage.ID, random *rand.Rand) {
	s.t.Helper()
	r, there := s.spool.Records.Get(id)
	if !there {
		return
	}
	switch r.State {
	case spool.Spooled:
		_, err := s.spool.Uploads.Begin(id)
		s.must(err)
		s.must(s.spool.Uploads.SetTransfer(id, spool.Video, spool.Transfer{URL: "u", Offset: 0}))
	case spool.Uploading:
		switch at := r.Video.Offset; {
		case random.IntN(40) == 0: // the cloud lost the upload
			s.must(s.spool.Uploads.SetTransfer(id, spool.Video, spool.Transfer{}))
		case random.IntN(8) == 0: // a cut: the server has less than was sent
			s.spool.Uploads.SetSent(id, spool.Video, max(0, at-int64(random.IntN(3<<20))), 0)
		case at >= filmSize:
			s.must(s.spool.Uploads.Accept(id))
			s.must(s.spool.Uploads.Confirm(id, ""))
			s.must(s.spool.Disk.Reclaim(id))
		default:
			s.spool.Uploads.SetSent(id, spool.Video, min(filmSize, at+int64(random.IntN(12<<20))), 1000)
		}
	}
}

// watcher believes what the contract says, and holds the device to it.
type watcher struct {
	t    *testing.T
	got  <-chan broker.Message
	last map[string]topic.Footage
}

var stages = map[topic.FootageState]int{topic.Captured: 0, topic.Spooled: 1, topic.Uploading: 2, topic.Uploaded: 3, topic.Quarantined: 3}

func (w *watcher) take(m broker.Message) {
	w.t.Helper()
	var f topic.Footage
	if err := json.Unmarshal(m.Payload, &f); err != nil {
		w.t.Fatalf("%s: %v", m.Payload, err)
	}
	old, known := w.last[m.Topic]
	if known && f.Seq <= old.Seq {
		if f.Seq < old.Seq && !m.Retained {
			w.t.Errorf("%s: seq %d after %d", m.Topic, f.Seq, old.Seq)
		}
		return
	}
	back := f.Attempt < old.Attempt || f.Attempt == old.Attempt && (stages[f.State] < stages[old.State] || f.State == old.State && f.Offset < old.Offset)
	if known && back {
		w.t.Errorf("%s went back from attempt %d, %s, %d to %d, %s, %d", m.Topic, old.Attempt, old.State, old.Offset, f.Attempt, f.State, f.Offset)
	}
	w.last[m.Topic] = f
}

// until takes messages until every one of the films was told to be uploaded.
func (w *watcher) until(ids []footage.ID) {
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
		case m := <-w.got:
			w.take(m)
		case <-limit:
			w.t.Fatalf("never told: %v of %d", missing(), len(ids))
		}
	}
}

func (w *watcher) drain() {
	for {
		select {
		case m := <-w.got:
			w.take(m)
		default:
			return
		}
	}
}

// The broker is away while films come and go, the program starts again and forgets
// the oldest of them: when the broker comes, the newest state of each is told.
func TestBrokerAbsentForDays(t *testing.T) {
	broker.Each(t, func(t *testing.T, broker *broker.Broker) {
		s := &station{t: t, dir: t.TempDir(), broker: broker}
		random := rand.New(rand.NewPCG(1, 2))
		var ids []footage.ID
		for day := range 4 {
			s.start()
			for i := range 6 {
				ids = append(ids, s.capture(fmt.Sprintf("d%d-%d.mp4", day, i)))
			}
			s.settle(ids, random)
			s.stop()
		}
		broker.Start()
		w := &watcher{t: t, got: broker.Read("cattle/v1/north/dock-1/footage/+"), last: map[string]topic.Footage{}}
		s.start()
		w.until(ids)
		s.stop()
	})
}

// settle pushes every film to its end.
func (s *station) settle(ids []footage.ID, random *rand.Rand) {
	for busy := true; busy; {
		busy = false
		for _, id := range ids {
			if r, there := s.spool.Records.Get(id); there && !r.State.Ended() {
				s.push(id, random)
				busy = true
			}
		}
	}
}

// Whatever comes and goes in whatever order, progress never goes back for whoever
// reads it, and in the end everything was told.
func TestProgressNeverGoesBack(t *testing.T) {
	broker.Each(t, func(t *testing.T, broker *broker.Broker) {
		s := &station{t: t, dir: t.TempDir(), broker: broker}
		random := rand.New(rand.NewPCG(3, 4))
		broker.Start()
		w := &watcher{t: t, got: broker.Read("cattle/v1/north/dock-1/footage/+"), last: map[string]topic.Footage{}}
		s.start()
		var ids []footage.ID
		for i := range 400 {
			w.drain()
			switch n := random.IntN(100); {
			case n < 8:
				ids = append(ids, s.capture(fmt.Sprintf("f%d.mp4", i)))
			case n < 11:
				if broker.Up() {
					broker.Stop()
				} else {
					broker.Start()
				}
			case n < 13:
				s.relay.Sever()
			case n < 15: // the network goes, then the program
				if err := s.relay.Close(); err != nil {
					t.Error(err)
				}
				s.stop()
				s.start()
			case n < 17:
				s.stop()
				s.start()
			case n < 30:
				<-time.After(time.Duration(random.IntN(60)) * time.Millisecond) // others get on
			default:
				if len(ids) > 0 {
					s.push(ids[random.IntN(len(ids))], random)
				}
			}
		}
		broker.Start()
		s.settle(ids, random)
		w.until(ids)
		s.stop()
	})
}

// Bytes that were lost on the way are sent again unseen; a new attempt is told from
// its beginning.
func TestOffsetsNeverFallWithinAnAttempt(t *testing.T) {
	s := &station{t: t, dir: t.TempDir()}
	sp, err := spool.Open(spool.Options{Dir: s.dir})
	s.must(err)
	defer sp.Close()
	s.spool = sp
	id := s.capture("a.mp4")
	r, _ := sp.Records.Get(id)
	b := &Beacon{o: Options{Records: sp.Records}}
	at := func(offset int64, attempt int) topic.Footage {
		return topic.Footage{State: topic.Uploading, Offset: offset, Size: filmSize, Attempt: attempt}
	}
	before := told{m: at(30<<20, 1)}
	m := at(20<<20, 1)
	if !b.forward(&m, r, before) || m.Offset != 30<<20 {
		t.Errorf("told %d", m.Offset)
	}
	r, _ = sp.Records.Get(id)
	if r.Published != 30<<20+toldStep {
		t.Errorf("noted up to %d", r.Published)
	}
	m = at(30<<20, 1)
	if b.forward(&m, r, told{}) {
		t.Error("after a restart less is told than may have been told before")
	}
	m = at(20<<20, 1)
	copied := r
	copied.State = spool.Duplicate
	if !b.forward(&m, copied, before) || m.Offset != 30<<20 {
		t.Errorf("a duplicate is told %d", m.Offset)
	}
	m = at(0, 2)
	if r.Published = 0; !b.forward(&m, r, before) || m.Offset != 0 {
		t.Errorf("a new attempt is told from %d", m.Offset)
	}
}
