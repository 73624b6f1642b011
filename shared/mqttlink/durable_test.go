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

// memoryStore is a messageStore in memory that counts its writes. After kill it changes
// no more, like the disk of a dead process.
type memoryStore struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	dead   bool
	fail   error
}

func newMemoryStore() *memoryStore { return &memoryStore{values: map[string][]byte{}} }

func (s *memoryStore) SavedMessages() (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values), nil
}

func (s *memoryStore) SaveMessages(put map[string][]byte, deleted []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil || s.dead {
		return s.fail
	}
	s.writes++
	for _, k := range deleted {
		delete(s.values, k)
	}
	for k, b := range put {
		s.values[k] = append(slices.Clone(b), "  "...)
	}
	return nil
}

// kill returns the store that a restart finds.
func (s *memoryStore) kill() *memoryStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	return &memoryStore{values: maps.Clone(s.values)}
}

// holds returns the saved payloads by topic.
func (s *memoryStore) holds(t *testing.T) map[string]string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for k, b := range s.values {
		m, err := decodeStored(k, b)
		if err != nil {
			t.Fatal(err)
		}
		if k != floorKey {
			all[m.Topic] = string(m.Payload)
		}
	}
	return all
}

func (s *memoryStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func durable(t *testing.T, s *memoryStore, change ...func(*Options)) *Link {
	t.Helper()
	return link(t, "127.0.0.1:1", append(change, func(o *Options) { o.Store = s })...)
}

func put(t *testing.T, l *Link, topic, payload string) {
	t.Helper()
	if err := l.Publish(Message{Topic: topic, Payload: []byte(payload), Retain: true, Durable: true}); err != nil {
		t.Fatal(err)
	}
}

// sent sends the next message to a broker that answers at once. It returns "" when no
// message may be sent.
func sent(l *Link) string {
	e, _ := l.box.next()
	if e == nil {
		return ""
	}
	message := e.m.Topic + "=" + string(e.m.Payload)
	l.box.acknowledge(e)
	return message
}

// bubble runs f beside the save loop, in fake time.
func bubble(t *testing.T, s *memoryStore, f func(l *Link), change ...func(*Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := durable(t, s, change...)
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { l.saveLoop(ctx) })
		f(l)
		cancel()
		loop.Wait()
	})
}

// pass advances the bubble's time.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestAcknowledgedMessagesAreNotWritten(t *testing.T) {
	s := newMemoryStore()
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

// During a day without a broker, time and not messages bounds the writes. The store then
// has the newest state of each topic.
func TestDayWithoutBroker(t *testing.T) {
	s := newMemoryStore()
	const seconds = 24 * 3600
	bubble(t, s, func(l *Link) {
		for i := range seconds {
			put(t, l, fmt.Sprint("t", i%30), fmt.Sprint(i))
			<-time.After(time.Second)
		}
		pass(saveEvery + saveAfter)
		if l.Waiting() != 30 {
			t.Errorf("%d wait", l.Waiting())
		}
	})
	if n := s.count(); n > seconds/int(saveEvery/time.Second)+2 || n < 100 {
		t.Errorf("%d writes", n)
	}
	after := durable(t, s.kill())
	for i := seconds - 30; i < seconds; i++ {
		if got, want := sent(after), fmt.Sprintf("t%d=%d", i%30, i); got != want {
			t.Fatalf("sent %s, want %s", got, want)
		}
	}
	if got := sent(after); got != "" || after.Dropped() != 0 {
		t.Error(got, after.Dropped())
	}
}

// A kill loses at most the messages of the last ten seconds.
func TestKillLosesOnlyRecentMessages(t *testing.T) {
	s := newMemoryStore()
	bubble(t, s, func(l *Link) {
		put(t, l, "a", "1")
		pass(saveAfter)
		put(t, l, "a", "2")
		put(t, l, "b", "1")
		pass(saveEvery - time.Millisecond)
		if got := s.holds(t); len(got) != 1 || got["a"] != "1" {
			t.Errorf("too early: %v", got)
		}
		pass(saveAfter)
	})
	if got := s.kill().holds(t); got["a"] != "2" || got["b"] != "1" {
		t.Errorf("%v", got)
	}
}

// The sender waits until a restart can no longer send an older message of the topic. It
// waits at most a second, for one write of all topics.
func TestNewerMessageWaitsForItsSavedPredecessor(t *testing.T) {
	s := newMemoryStore()
	bubble(t, s, func(l *Link) {
		for i := range 20 {
			put(t, l, fmt.Sprint(i), "old")
		}
		pass(saveAfter)
		for i := range 20 {
			put(t, l, fmt.Sprint(i), "new")
		}
		put(t, l, "other", "x")
		before := s.count()
		if got := sent(l); got != "other=x" {
			t.Errorf("sent %q although the older one is saved", got)
		}
		pass(saveUrgent)
		for i := range 20 {
			if got, want := sent(l), fmt.Sprintf("%d=new", i); got != want {
				t.Errorf("sent %q, want %q", got, want)
			}
			if got := s.holds(t)[fmt.Sprint(i)]; got == "old" {
				t.Error("the older one is still saved")
			}
		}
		if n := s.count() - before; n != 1 {
			t.Errorf("%d writes", n)
		}
		pass(saveEvery)
		if got := s.holds(t); len(got) != 0 || s.count()-before != 2 {
			t.Errorf("saved after the acknowledgement: %v, %d writes", got, s.count()-before)
		}
	})
}

// Progress once a second after the broker is back costs a few writes and then none.
func TestWritesEndWhenTheBrokerIsBack(t *testing.T) {
	s := newMemoryStore()
	bubble(t, s, func(l *Link) {
		put(t, l, "a", "0")
		pass(saveAfter)
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

// A topic that changes faster than the disk writes is sent too.
func TestFastTopicIsNotDelayed(t *testing.T) {
	s := newMemoryStore()
	l := durable(t, s)
	put(t, l, "a", "0")
	l.save(true)
	put(t, l, "a", "1")
	if got := sent(l); got != "" {
		t.Fatalf("sent %q", got)
	}
	w, values, deleted := l.box.beginWrite(time.Now(), false)
	put(t, l, "a", "2")
	if err := s.SaveMessages(values, deleted); err != nil {
		t.Fatal(err)
	}
	l.box.finishWrite(w, nil)
	if got := sent(l); got != "a=1" {
		t.Errorf("sent %q", got)
	}
}

// A broker that acknowledges after seconds does not cost a write per message.
func TestSlowBrokerCostsFewWrites(t *testing.T) {
	s := newMemoryStore()
	bubble(t, s, func(l *Link) {
		for i := range 60 {
			put(t, l, "a", fmt.Sprint(i))
			e, _ := l.box.next()
			pass(3 * time.Second)
			if e != nil {
				l.box.acknowledge(e)
			}
		}
	})
	if n := s.count(); n > 2*180/int(saveEvery/time.Second) {
		t.Errorf("%d writes in three minutes", n)
	}
}

// A message that is being written blocks a newer one of its topic.
func TestRunningWriteBlocksNewerMessage(t *testing.T) {
	s := newMemoryStore()
	l := durable(t, s)
	put(t, l, "a", "1")
	w, values, deleted := l.box.beginWrite(time.Now(), true)
	if got := sent(l); got != "a=1" {
		t.Errorf("sent %q", got)
	}
	put(t, l, "a", "2")
	if got := sent(l); got != "" {
		t.Errorf("%s is sent while an older one is being written", got)
	}
	if err := s.SaveMessages(values, deleted); err != nil {
		t.Fatal(err)
	}
	l.box.finishWrite(w, nil)
	if got := sent(l); got != "" {
		t.Errorf("%s is sent while an older one is on the disk", got)
	}
	l.save(false)
	if got := sent(l); got != "a=2" || len(s.holds(t)) != 0 {
		t.Errorf("sent %q, saved %v", got, s.holds(t))
	}
}

func TestFailedWriteDoesNotStopTheLink(t *testing.T) {
	s := newMemoryStore()
	bubble(t, s, func(l *Link) {
		put(t, l, "a", "1")
		pass(saveAfter)
		s.mu.Lock()
		s.fail = errors.New("full")
		s.mu.Unlock()
		put(t, l, "a", "2")
		if got := sent(l); got != "" {
			t.Errorf("sent %q", got)
		}
		pass(saveUrgent)
		if got := sent(l); got != "a=2" {
			t.Errorf("sent %q", got)
		}
		s.mu.Lock()
		s.fail = nil
		s.mu.Unlock()
		pass(2 * saveEvery)
		if got := s.holds(t); len(got) != 0 {
			t.Errorf("saved %v", got)
		}
	})
}

func TestOnlyDurableMessagesAreSaved(t *testing.T) {
	s := newMemoryStore()
	l := durable(t, s)
	put(t, l, "a", "1")
	l.save(true)
	for _, topic := range []string{"a", "b"} {
		if err := l.Publish(Message{Topic: topic, Payload: []byte("2")}); err != nil {
			t.Fatal(err)
		}
	}
	l.save(true)
	if got := s.holds(t); len(got) != 0 {
		t.Errorf("saved %v", got)
	}
	if sent(l) != "a=2" || sent(l) != "b=2" {
		t.Error("not sent")
	}
}

func TestNewerMessageReplacesTheSavedOne(t *testing.T) {
	s := newMemoryStore()
	l := durable(t, s)
	put(t, l, "a", "1")
	put(t, l, "b", "1")
	l.save(true)
	l = durable(t, s.kill())
	put(t, l, "a", "2")
	if l.Waiting() != 2 {
		t.Errorf("%d wait", l.Waiting())
	}
	if got := sent(l); got != "b=1" {
		t.Errorf("sent %q", got)
	}
	l.save(false)
	if got := sent(l); got != "a=2" {
		t.Errorf("sent %q", got)
	}
}

// A repaired store may return deleted messages.
func TestReturnedDeletedMessagesAreObsolete(t *testing.T) {
	s := newMemoryStore()
	l := durable(t, s)
	put(t, l, "a", "1")
	put(t, l, "b", "1")
	l.save(true)
	returned := maps.Clone(s.values)
	if got := sent(l) + sent(l); got != "a=1b=1" || !l.save(false) {
		t.Fatalf("sent %s, or nothing was deleted", got)
	}
	put(t, l, "c", "1")
	l.save(true)
	maps.Copy(s.values, returned)
	after := s.kill()
	l = durable(t, after)
	if got := sent(l); got != "c=1" {
		t.Errorf("sent %q", got)
	}
	if got := sent(l); got != "" {
		t.Errorf("%s came back", got)
	}
	put(t, l, "a", "2")
	l.save(true)
	if got := after.holds(t); len(got) != 1 || got["a"] != "2" {
		t.Errorf("saved %v", got)
	}
}

func TestUnreadableMessagesAreDropped(t *testing.T) {
	s := newMemoryStore()
	s.values["x"] = []byte("junk")
	s.values[topicKey("a")] = encodeStored(stored{Number: 1, Topic: "b"})
	s.values[topicKey("b")] = encodeStored(stored{Number: 1, Topic: "b", Payload: []byte("1")})
	l := durable(t, s)
	if l.Dropped() != 2 || sent(l) != "b=1" || len(s.values) != 1 {
		t.Errorf("%d dropped, %d saved", l.Dropped(), len(s.values))
	}
}

type unreadableStore struct{ *memoryStore }

func (unreadableStore) SavedMessages() (map[string][]byte, error) { return nil, errors.New("broken") }

func TestUnreadableStoreIsAnError(t *testing.T) {
	if _, err := New(Options{URL: "tcp://x", ClientID: "c", Store: unreadableStore{newMemoryStore()}}); err == nil {
		t.Error("no error")
	}
}

func FuzzDecodeStored(f *testing.F) {
	f.Add(topicKey("a/b"), encodeStored(stored{Number: 3, Topic: "a/b", Retain: true, Payload: []byte("x")}))
	f.Add(floorKey, encodeStored(stored{Number: 3}))
	f.Add("", []byte("{}"))
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		s, err := decodeStored(key, b)
		if err != nil {
			if !errors.Is(err, errNoMessage) {
				t.Fatal(err)
			}
			return
		}
		if key != floorKey && (s.Topic == "" || s.Number == 0 || strings.ContainsAny(s.Topic, "+#")) {
			t.Fatalf("%+v", s)
		}
		decoded, err := decodeStored(key, encodeStored(s))
		if err != nil || decoded.Number != s.Number || decoded.Topic != s.Topic ||
			string(decoded.Payload) != string(s.Payload) {
			t.Fatalf("%+v %+v %v", s, decoded, err)
		}
	})
}
