package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/edge/clock"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/orderkey"
	"cattlecounter/shared/topic"
)

// post is a station with a spool on disk, which is started again and again.
type post struct {
	t    *testing.T
	dir  string
	pin  Pin
	now  func() clock.Reading
	done int // executed orders
	n    int // sent orders
}

// session is what runs between two starts.
type session struct {
	*Orders
	*post
	spool *spool.Spool
}

func (p *post) start() *session {
	p.t.Helper()
	sp := must.Get(spool.Open(spool.Options{Dir: p.dir, MinFree: 1, Log: slog.New(slog.DiscardHandler)}))(p.t)
	p.t.Cleanup(func() { _ = sp.Close() })
	s := &session{post: p, spool: sp}
	s.Orders = New(map[string]Action{"do": {Do: func(context.Context, map[string]string) (string, error) {
		p.done++
		return "did it", nil
	}}}, sp.Replies, p.now, slog.New(slog.DiscardHandler))
	must.Do(p.t, s.Trust(p.pin, sp.Replies))
	return s
}

func (s *session) stop() { must.Do(s.t, s.spool.Close()) }

// order is a new order of the cloud, given at a time. In the grace period old is the key before.
func (p *post) order(at time.Time, old, current orderkey.Private, links ...string) topic.Command {
	p.t.Helper()
	p.n++
	c := topic.Command{ID: fmt.Sprintf("order-%d", p.n), Name: "do", Station: dock.Path(), Issued: at, Expires: at.Add(time.Minute)}
	signed := must.Get(current.Sign(c))(p.t)
	if old != (orderkey.Private{}) {
		next := signed.Signed
		signed = must.Get(old.Sign(c))(p.t)
		signed.Next = next
	}
	signed.Keys = links
	return signed
}

// handle wants an order to be executed, or refused with a reason.
func (s *session) handle(c topic.Command, why string) {
	s.t.Helper()
	before := s.done
	r := must.Get(s.Handle(s.t.Context(), must.Get(json.Marshal(c))(s.t)))(s.t)
	if executed := s.done == before+1; executed != (why == "") || !strings.Contains(r.Why, why) {
		s.t.Errorf("order %s: %+v, want %q", c.ID, r, why)
	}
}

func newPost(t *testing.T, k orderkey.Public) *post {
	return &post{t: t, dir: t.TempDir(), now: synced, pin: Pin{Key: k, Station: dock, Enrolment: "first"}}
}

// A station follows a rotation in the grace period, keeps the key over a restart, and takes nothing of the key before.
func TestRotation(t *testing.T) {
	old, current := orderkey.New(), orderkey.New()
	link := must.Get(old.Succeed(current.Public(), now))(t)
	p := newPost(t, old.Public())
	var none orderkey.Private
	s := p.start()
	s.handle(p.order(now, none, old), "")
	s.handle(p.order(now, none, current), "pinned key") // without the link
	s.handle(p.order(now, old, current, link), "")
	for range 2 {
		if s.Key() != current.Public().ID() {
			t.Errorf("the key is %s", s.Key())
		}
		s.handle(p.order(now, none, old), "pinned key")
		s.handle(p.order(now, none, old, link), "pinned key")
		s.handle(p.order(now, old, current, link), "")
		s.handle(p.order(now, none, current, link), "")
		s.handle(p.order(now, none, current), "")
		s.stop()
		s = p.start()
	}
}

// A station that was away for several rotations follows all of them with one order.
func TestRotationsWhileAway(t *testing.T) {
	keys := []orderkey.Private{orderkey.New()}
	var links []string
	for range 5 {
		keys = append(keys, orderkey.New())
		links = append(links, must.Get(keys[len(links)].Succeed(keys[len(links)+1].Public(), now))(t))
	}
	p := newPost(t, keys[0].Public())
	s := p.start()
	s.handle(p.order(now, orderkey.Private{}, keys[5], links[1:]...), "pinned key") // a gap
	s.handle(p.order(now, orderkey.Private{}, keys[5], links...), "")
	if s.Key() != keys[5].Public().ID() {
		t.Errorf("the key is %s", s.Key())
	}
}

// A thief of another key leads a station nowhere, and neither does a link that no order of the next key comes with.
func TestStolenRotation(t *testing.T) {
	old, current, thief := orderkey.New(), orderkey.New(), orderkey.New()
	link := must.Get(old.Succeed(current.Public(), now))(t)
	own := must.Get(thief.Succeed(current.Public(), now))(t)
	p := newPost(t, old.Public())
	s := p.start()
	for _, c := range []topic.Command{p.order(now, orderkey.Private{}, thief, own), p.order(now, thief, thief, link),
		p.order(now, old, thief, link), {ID: "bare", Name: "do", Expires: now.Add(time.Minute), Keys: []string{link}}} {
		r := must.Get(s.Handle(t.Context(), must.Get(json.Marshal(c))(t)))(t)
		if r.State != topic.Refused || s.Key() != old.Public().ID() {
			t.Errorf("answer %+v, key %s", r, s.Key())
		}
	}
	s.handle(p.order(now, orderkey.Private{}, old), "")
}

// Without a clock, an order of before the rotation is not played again under the new key.
func TestNewestOrderSurvivesARotation(t *testing.T) {
	old, current := orderkey.New(), orderkey.New()
	link := must.Get(old.Succeed(current.Public(), now))(t)
	p := newPost(t, old.Public())
	p.now = func() clock.Reading {
		return clock.Reading{Now: time.Unix(60, 0), Floor: now.AddDate(0, 0, -1), Why: "a test"}
	}
	recorded := p.order(now.Add(-time.Hour), old, current, link) // the station never got it
	s := p.start()
	s.handle(p.order(now, orderkey.Private{}, old), "")
	// The link comes with an order that is too old to be executed: the key is pinned, and the newest order is still known.
	s.handle(recorded, "a later order was given")
	if s.Key() != current.Public().ID() {
		t.Errorf("the key is %s", s.Key())
	}
	s.stop()
	s = p.start()
	s.handle(p.order(now.Add(-time.Hour), orderkey.Private{}, current), "a later order was given")
	s.handle(p.order(now.Add(time.Hour), orderkey.Private{}, current), "")
}

// A station that is enrolled again has the key of that enrolment, even if it is the one from which it once came.
func TestEnrolledAgain(t *testing.T) {
	old, current, other := orderkey.New(), orderkey.New(), orderkey.New()
	link := must.Get(old.Succeed(current.Public(), now))(t)
	p := newPost(t, old.Public())
	s := p.start()
	s.handle(p.order(now, orderkey.Private{}, current, link), "")
	s.stop()
	for _, c := range []struct {
		pin  Pin
		want string
	}{
		{Pin{Key: old.Public(), Station: dock, Enrolment: "first"}, current.Public().ID()},
		{Pin{Key: old.Public(), Station: dock, Enrolment: "second"}, old.Public().ID()}, // a restored ledger
		{Pin{Key: other.Public(), Station: dock, Enrolment: "first"}, other.Public().ID()},
		{Pin{Station: dock}, ""},
		{Pin{Key: old.Public(), Station: dock, Enrolment: "first"}, old.Public().ID()}, // forgotten by the one without a key
	} {
		p.pin = c.pin
		s := p.start()
		if s.Key() != c.want {
			t.Errorf("%v %s: the key is %s, want %s", c.pin.Key, c.pin.Enrolment, s.Key(), c.want)
		}
		s.stop()
	}
}

// fullDisk saves no pin.
type fullDisk struct{ marks }

var errFull = errors.New("disk full")

func (fullDisk) SetOrderPin(spool.OrderPin, string, string) error { return errFull }

// A key that cannot be saved is not pinned: after a power cut the station would be back at the old one.
func TestPinThatCannotBeSaved(t *testing.T) {
	old, current := orderkey.New(), orderkey.New()
	link := must.Get(old.Succeed(current.Public(), now))(t)
	p := newPost(t, old.Public())
	s := p.start()
	must.Do(t, s.Trust(p.pin, fullDisk{marks{}}))
	s.handle(p.order(now, old, current, link), errFull.Error())
	if s.Key() != old.Public().ID() {
		t.Errorf("the key is %s", s.Key())
	}
	must.Do(t, s.Trust(p.pin, s.spool.Replies))
	s.handle(p.order(now, old, current, link), "")
}
