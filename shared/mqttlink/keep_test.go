package mqttlink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shelf is a keeper in memory that counts its writes. After kill it takes
// nothing more, as the disk of a process that is gone.
type shelf struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	dead   bool
	fail   error
}

func newShelf() *shelf { return &shelf{values: map[string][]byte{}} }

func (s *shelf) KeptMessages() (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values), nil
}

func (s *shelf) KeepMessages(put map[string][]byte, gone []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil || s.dead {
		return s.fail
	}
	s.writes++
	for _, k := range gone {
		delete(s.values, k)
	}
	for k, b := range put {
		s.values[k] = append(slices.Clone(b), "  "...)
	}
	return nil
}

// kill returns what a restart finds.
func (s *shelf) kill() *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	return &shelf{values: maps.Clone(s.values)}
}

// holds returns the kept payloads by topic.
func (s *shelf) holds(t *testing.T) map[string]string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for k, b := range s.values {
		m, err := decodeKept(k, b)
		if err != nil {
			t.Fatal(err)
		}
		if k != floorKey {
			all[m.Topic] = string(m.Payload)
		}
	}
	return all
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func keeping(t *testing.T, s *shelf, change ...func(*Options)) *Link {
	t.Helper()
	return link(t, "127.0.0.1:1", append(change, func(o *Options) { o.Keep = s })...)
}

func put(t *testing.T, l *Link, topic, payload string) {
	t.Helper()
	if err := l.Publish(Message{Topic: topic, Payload: []byte(payload), Retain: true, Keep: true}); err != nil {
		t.Fatal(err)
	}
}

// sent takes the next message as a broker would that answers at once; "" when
// nothing may be sent.
func sent(l *Link) string {
	e, _ := l.box.first()
	if e == nil {
		return ""
	}
	said := e.m.Topic + "=" + string(e.m.Payload)
	l.box.done(e)
	return said
}

// bubble runs f beside the keeping loop, in fake time.
func bubble(t *testing.T, s *shelf, f func(l *Link), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := keeping(t, s, change...)
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { l.keepOn(ctx) })
		f(l)
		cancel()
		loop.Wait()
	})
}

// pass lets time go by in the bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAcknowledgedMessagesTouchNoDisk(t *testing.T) {
	s := newShelf()
	bubble(t, s, func(l *Link) {
		for i := range 1000 {
			put(t, l, "a", fmt.Sprint(i))
			pass(100 * time.Millisecond)
			if sent(l) == "" {
				t.Fatal("a message is blocked")
			}
		}
		pass(time.Minute)
	})
	if s.count() != 0 {
		t.Errorf("%d writes", s.count())
	}
}

// A day without a broker: writes are bounded by time, not by messages, and the
// newest state of each topic is there.
func TestADayWithoutABroker(t *testing.T) {
	s := newShelf()
	const seconds = 24 * 3600
	bubble(t, s, func(l *Link) {
		for i := range seconds {
			put(t, l, fmt.Sprint("t", i%30), fmt.Sprint(i))
			<-time.After(time.Second)
		}
		pass(keepEvery + keepAfter)
		if l.Waiting() != 30 {
			t.Errorf("%d wait", l.Waiting())
		}
	})
	if n := s.count(); n > seconds/int(keepEvery/time.Second)+2 || n < 100 {
		t.Errorf("%d writes", n)
	}
	after := keeping(t, s.kill())
	for i := seconds - 30; i < seconds; i++ {
		if got, want := sent(after), fmt.Sprintf("t%d=%d", i%30, i); got != want {
			t.Fatalf("sent %s, want %s", got, want)
		}
	}
	if got := sent(after); got != "" || after.Dropped() != 0 {
		t.Error(got, after.Dropped())
	}
}

// What a kill loses is younger than ten seconds.
func TestAKillLosesTheYoungOnly(t *testing.T) {
	s := newShelf()
	bubble(t, s, func(l *Link) {
		put(t, l, "a", "1")
		pass(keepAfter)
		put(t, l, "a", "2")
		put(t, l, "b", "1")
		pass(keepEvery - time.Millisecond)
		if got := s.holds(t); len(got) != 1 || got["a"] != "1" {
			t.Errorf("too early: %v", got)
		}
		pass(keepAfter)
	})
	if got := s.kill().holds(t); got["a"] != "2" || got["b"] != "1" {
		t.Errorf("%v", got)
	}
}

// The sender waits until an older message of the topic can no longer be sent by a
// restart; that takes a second at most, and one write for all topics.
func TestNothingOlderIsLeftBehindWhatIsSent(t *testing.T) {
	s := newShelf()
	bubble(t, s, func(l *Link) {
		for i := range 20 {
			put(t, l, fmt.Sprint(i), "old")
		}
		pass(keepAfter)
		for i := range 20 {
			put(t, l, fmt.Sprint(i), "new")
		}
		put(t, l, "other", "x")
		before := s.count()
		if got := sent(l); got != "other=x" {
			t.Errorf("sent %q although the older one is kept", got)
		}
		pass(keepUrgent)
		for i := range 20 {
			if got, want := sent(l), fmt.Sprintf("%d=new", i); got != want {
				t.Errorf("sent %q, want %q", got, want)
			}
			if got := s.holds(t)[fmt.Sprint(i)]; got == "old" {
				t.Error("the older one is still kept")
			}
		}
		if n := s.count() - before; n != 1 {
			t.Errorf("%d writes", n)
		}
		pass(keepEvery)
		if got := s.holds(t); len(got) != 0 || s.count()-before != 2 {
			t.Errorf("kept after the acknowledgement: %v, %d writes", got, s.count()-before)
		}
	})
}

// Progress that goes on once a second after the broker is back costs a few writes
// and then none.
func TestTheDiskIsLeftAloneAgain(t *testing.T) {
	s := newShelf()
	bubble(t, s, func(l *Link) {
		put(t, l, "a", "0")
		pass(keepAfter)
		before := s.count()
		for i := range 60 {
			put(t, l, "a", fmt.Sprint(i))
			for range 10 {
				sent(l)
				pass(100 * time.Millisecond)
			}
		}
		if n := s.count() - before; n > 3 {
			t.Errorf("%d writes in a minute", n)
		}
	})
}

// A topic that changes faster than the disk writes is sent all the same.
func TestAFastTopicIsNotHeldUp(t *testing.T) {
	s := newShelf()
	l := keeping(t, s)
	put(t, l, "a", "0")
	l.keep(true)
	put(t, l, "a", "1")
	if got := sent(l); got != "" {
		t.Fatalf("sent %q", got)
	}
	w, values, gone := l.box.take(time.Now(), false)
	put(t, l, "a", "2")
	if err := s.KeepMessages(values, gone); err != nil {
		t.Fatal(err)
	}
	l.box.wrote(w, nil)
	if got := sent(l); got != "a=1" {
		t.Errorf("sent %q", got)
	}
}

// A broker that takes seconds for each acknowledgement does not cost a write each.
func TestASlowBrokerCostsFewWrites(t *testing.T) {
	s := newShelf()
	bubble(t, s, func(l *Link) {
		for i := range 60 {
			put(t, l, "a", fmt.Sprint(i))
			e, _ := l.box.first()
			pass(3 * time.Second)
			if e != nil {
				l.box.done(e)
			}
		}
	})
	if n := s.count(); n > 2*180/int(keepEvery/time.Second) {
		t.Errorf("%d writes in three minutes", n)
	}
}

// A message that is being written when a newer one comes in holds that one back:
// it will be on the disk.
func TestAWriteUnderWayBlocksWhatIsNewer(t *testing.T) {
	s := newShelf()
	l := keeping(t, s)
	put(t, l, "a", "1")
	w, values, gone := l.box.take(time.Now(), true)
	if got := sent(l); got != "a=1" {
		t.Errorf("sent %q", got)
	}
	put(t, l, "a", "2")
	if got := sent(l); got != "" {
		t.Errorf("%s is sent while an older one gets on the disk", got)
	}
	if err := s.KeepMessages(values, gone); err != nil {
		t.Fatal(err)
	}
	l.box.wrote(w, nil)
	if got := sent(l); got != "" {
		t.Errorf("%s is sent while an older one is on the disk", got)
	}
	l.keep(false)
	if got := sent(l); got != "a=2" || len(s.holds(t)) != 0 {
		t.Errorf("sent %q, kept %v", got, s.holds(t))
	}
}

func TestADiskThatRefusesDoesNotSilenceTheLink(t *testing.T) {
	s := newShelf()
	bubble(t, s, func(l *Link) {
		put(t, l, "a", "1")
		pass(keepAfter)
		s.mu.Lock()
		s.fail = errors.New("full")
		s.mu.Unlock()
		put(t, l, "a", "2")
		if got := sent(l); got != "" {
			t.Errorf("sent %q", got)
		}
		pass(keepUrgent)
		if got := sent(l); got != "a=2" {
			t.Errorf("sent %q", got)
		}
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		pass(2 * keepEvery)
		if got := s.holds(t); len(got) != 0 {
			t.Errorf("kept %v", got)
		}
	})
}

func TestWhatIsNotToBeKeptIsNot(t *testing.T) {
	s := newShelf()
	l := keeping(t, s)
	put(t, l, "a", "1")
	l.keep(true)
	for _, topic := range []string{"a", "b"} {
		if err := l.Publish(Message{Topic: topic, Payload: []byte("2")}); err != nil {
			t.Fatal(err)
		}
	}
	l.keep(true)
	if got := s.holds(t); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	if sent(l) != "a=2" || sent(l) != "b=2" {
		t.Error("not sent")
	}
}

func TestTheNewerOneTakesThePlaceOfTheKept(t *testing.T) {
	s := newShelf()
	l := keeping(t, s)
	put(t, l, "a", "1")
	put(t, l, "b", "1")
	l.keep(true)
	l = keeping(t, s.kill())
	put(t, l, "a", "2")
	if l.Waiting() != 2 {
		t.Errorf("%d wait", l.Waiting())
	}
	if got := sent(l); got != "b=1" {
		t.Errorf("sent %q", got)
	}
	l.keep(false)
	if got := sent(l); got != "a=2" {
		t.Errorf("sent %q", got)
	}
}

// A broken store that was saved may give back what was deleted.
func TestDeletedMessagesThatComeBackAreVoid(t *testing.T) {
	s := newShelf()
	l := keeping(t, s)
	put(t, l, "a", "1")
	put(t, l, "b", "1")
	l.keep(true)
	back := maps.Clone(s.values)
	if got := sent(l) + sent(l); got != "a=1b=1" || !l.keep(false) {
		t.Fatalf("sent %s, or nothing was deleted", got)
	}
	put(t, l, "c", "1")
	l.keep(true)
	maps.Copy(s.values, back)
	after := s.kill()
	l = keeping(t, after)
	if got := sent(l); got != "c=1" {
		t.Errorf("sent %q", got)
	}
	if got := sent(l); got != "" {
		t.Errorf("%s came back", got)
	}
	put(t, l, "a", "2")
	l.keep(true)
	if got := after.holds(t); len(got) != 1 || got["a"] != "2" {
		t.Errorf("kept %v", got)
	}
}

func TestWhatCannotBeReadIsDropped(t *testing.T) {
	s := newShelf()
	s.values["x"] = []byte("junk")
	s.values[keptKey("a")] = encodeKept(stored{Number: 1, Topic: "b"})
	s.values[keptKey("b")] = encodeKept(stored{Number: 1, Topic: "b", Payload: []byte("1")})
	l := keeping(t, s)
	if l.Dropped() != 2 || sent(l) != "b=1" || len(s.values) != 1 {
		t.Errorf("%d dropped, kept %d", l.Dropped(), len(s.values))
	}
}

type brokenShelf struct{ *shelf }

func (brokenShelf) KeptMessages() (map[string][]byte, error) { return nil, errors.New("broken") }

func TestAStoreThatCannotBeReadIsAnError(t *testing.T) {
	if _, err := New(Options{URL: "tcp://x", ClientID: "c", Keep: brokenShelf{newShelf()}}); err == nil {
		t.Error("no error")
	}
}

func FuzzDecodeKept(f *testing.F) {
	f.Add(keptKey("a/b"), encodeKept(stored{Number: 3, Topic: "a/b", Retain: true, Payload: []byte("x")}))
	f.Add(floorKey, encodeKept(stored{Number: 3}))
	f.Add("", []byte("{}"))
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		s, err := decodeKept(key, b)
		if err != nil {
			if !errors.Is(err, errKept) {
				t.Fatal(err)
			}
			return
		}
		if key != floorKey && (s.Topic == "" || s.Number == 0 || strings.ContainsAny(s.Topic, "+#")) {
			t.Fatalf("%+v", s)
		}
		again, err := decodeKept(key, encodeKept(s))
		if err != nil || again.Number != s.Number || again.Topic != s.Topic || string(again.Payload) != string(s.Payload) {
			t.Fatalf("%+v %+v %v", s, again, err)
		}
	})
}
