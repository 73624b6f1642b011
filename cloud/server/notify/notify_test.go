package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/emptyledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// needed is what needs attention, by site.
type needed map[string][]wire.Attention

func (n needed) Attention(_ context.Context, in ledger.Scope) (all []wire.Attention, err error) {
	for site, as := range n {
		if in.Has(site, "") {
			all = append(all, as...)
		}
	}
	return all, nil
}

// target is a channel that records what it gets, or fails.
type target struct {
	mu   sync.Mutex
	got  []wire.NotificationMessage
	fail error
}

func (c *target) Check(string) error { return nil }

func (c *target) Send(_ context.Context, _ ledger.NotificationRule, m wire.NotificationMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail == nil {
		c.got = append(c.got, m)
	}
	return c.fail
}

// scene is a Notifier over a ledger.
type scene struct {
	*Notifier
	t      *testing.T
	ledger *ledger.Ledger
	clock  *clock.Clock
	needed needed
	target *target
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, clock: clock.New(), needed: needed{}, target: &target{}}
	s.ledger = must.Get(ledger.Open(t.Context(), emptyledger.In(t, t.TempDir()),
		ledger.Options{Now: s.clock.Now}))(t)
	t.Cleanup(func() { _ = s.ledger.Close() })
	l := s.ledger
	s.Notifier = must.Get(New(Options{Rules: l.Notifications, Events: l.Notifications, Messages: l.Notifications,
		Attention: s.needed, Feed: l.Changes, Flights: l.Flights,
		Book: l.Book, Channels: map[string]Channel{"test": s.target}, PublicURL: "https://cattle.example/",
		Now: s.clock.Now}))(t)
	return s
}

func (s *scene) rule(site, language string, kinds ...wire.NotificationKind) ledger.NotificationRule {
	s.t.Helper()
	r := ledger.NotificationRule{Site: site, Channel: "test", Language: language}
	for _, k := range kinds {
		r.Kinds = append(r.Kinds, string(k))
	}
	return must.Get(s.ledger.Notifications.AddRule(s.t.Context(), r))(s.t)
}

// round advances the clock, works once and returns the messages that arrived.
func (s *scene) round(after time.Duration) []wire.NotificationMessage {
	s.t.Helper()
	s.clock.Advance(after)
	must.Do(s.t, s.Round(s.t.Context()))
	got := s.target.got
	s.target.got = nil
	return got
}

// count records counted footage of a site.
func (s *scene) count(site, id string, unique int) {
	s.t.Helper()
	ctx := s.t.Context()
	rec := must.Get(s.ledger.Footage.Record(ctx, ledger.Footage{ID: footage.ID(id), Site: site, Device: "dock-" + site,
		Name: id + ".MP4", Size: 1, SHA256: footage.Sum([]byte(id)), BlobKey: "k/" + id, Captured: s.clock.Now()}))(s.t)
	j, _, err := s.ledger.Attempts.Begin(ctx, rec.Job.ID, "w-"+id)
	must.Do(s.t, err)
	must.Get(s.ledger.Attempts.Finish(ctx, j.ID, j.Fence, ledger.Count{Unique: unique, Low: unique - 2,
		High: unique + 3}, "k"))(s.t)
}

func silent(device string) wire.Attention {
	return wire.Attention{Kind: wire.AttentionStationSilent, Severity: wire.Warn, Site: "north", Device: device,
		Text: "station " + device + " sends no messages", Since: time.Unix(1e9, 0)}
}

// Events of a short time are one message, each is reported once, and messages keep their distance.
func TestEventsAreGrouped(t *testing.T) {
	s := newScene(t)
	s.rule("north", "en", wire.NotifyStationSilent)
	s.rule("south", "en", wire.NotifyStationSilent)
	s.needed["north"] = []wire.Attention{silent("d1"), silent("d2"), {Kind: wire.AttentionLogUnreadable, Site: "north"},
		{Kind: wire.AttentionJobFailed, Site: "north"}}
	if got := s.round(0); len(got) != 0 {
		t.Fatalf("told at once: %+v", got)
	}
	got := s.round(settle)
	if len(got) != 1 || len(got[0].Events) != 2 || got[0].ID == "" || got[0].Site != "north" ||
		got[0].Subject != "CattleCounter north: Station silent (2)" ||
		!strings.Contains(got[0].Text,
			"Station silent: station d1 sends no messages\n  https://cattle.example/stations/d1\n") ||
		!strings.Contains(got[0].Text, "https://cattle.example/settings") {
		t.Fatalf("got %+v", got)
	}
	s.needed["north"] = append(s.needed["north"], silent("d3"))
	if got := s.round(time.Minute); len(got) != 0 {
		t.Errorf("a second message after a minute: %+v", got)
	}
	if got := s.round(distance); len(got) != 1 || len(got[0].Events) != 1 || got[0].Events[0].Device != "d3" {
		t.Errorf("got %+v", got)
	}
	for range 5 {
		if got := s.round(distance); len(got) != 0 {
			t.Errorf("told again: %+v", got)
		}
	}
	for i := range 100 {
		s.needed["north"] = append(s.needed["north"], silent(fmt.Sprint("many-", i)))
	}
	s.round(0)
	got = s.round(distance)
	if len(got) != 1 || len(got[0].Events) != eventsShown || got[0].More != 50 || !strings.Contains(got[0].Text,
		"and 50 more") {
		t.Errorf("%d messages, %d more", len(got), got[0].More)
	}
	if got := s.round(distance); len(got) != 0 {
		t.Errorf("the others are reported later: %+v", got)
	}
}

// readFrom is a feed that remembers from where it is read.
type readFrom struct {
	feed
	after []int64
}

func (f *readFrom) Counts(ctx context.Context, after int64, limit int) ([]ledger.CountView, error) {
	f.after = append(f.after, after)
	return f.feed.Counts(ctx, after, limit)
}

// The first rule of an old ledger does not read its history, and neither does a rule that was paused for long.
func TestFirstRuleReadsNoHistory(t *testing.T) {
	s := newScene(t)
	f := &readFrom{feed: s.ledger.Changes}
	s.o.Feed = f
	for i := range 5 {
		s.count("north", fmt.Sprint("old-", i), 7)
	}
	s.clock.Advance(time.Hour)
	s.rule("north", "en", wire.NotifyCountReady)
	s.count("north", "new", 9)
	s.round(0)
	if got := s.round(settle); len(got) != 1 || len(got[0].Events) != 1 || got[0].Events[0].Footage != "new" {
		t.Errorf("got %+v", got)
	}
	counts, _, err := s.ledger.Counts.List(t.Context(), ledger.Page{Limit: 2})
	must.Do(t, err)
	if len(f.after) == 0 || f.after[0] < counts[1].Seq {
		t.Errorf("changes are read from %v on, the last old count has %d", f.after, counts[1].Seq)
	}
}

// A count is reported with its interval and once; what was counted before the rule is not. One that the book does not
// expect is reported too.
func TestCounts(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	s.count("north", "old", 7)
	s.clock.Advance(time.Hour)
	ten := 10
	must.Do(t, s.ledger.Book.Put(ctx, "north", s.clock.Now().Add(-time.Hour), []ledger.Expected{{Animals: &ten},
		{Paddock: "East", Animals: &ten}, {Paddock: "West", Animals: &ten}}))
	s.rule("north", "es", wire.NotifyCountReady)
	s.rule(ledger.AllSites, "en", wire.NotifyCountOffBook)
	s.count("north", "agrees", 9)
	s.count("south", "elsewhere", 99)
	s.round(0)
	got := s.round(settle)
	if len(got) != 1 || len(got[0].Events) != 1 || got[0].Subject != "CattleCounter north: Conteo listo" ||
		got[0].Events[0].Text != "north, agrees.MP4: 9 animales (7 a 12)" || got[0].Events[0].Count.High != 12 ||
		got[0].Events[0].Link != "https://cattle.example/footage/agrees" {
		t.Fatalf("got %+v", got)
	}
	for _, d := range must.Get(s.ledger.Grounds.ListDue(ctx, "", 9))(t) {
		if d.Footage != "agrees" {
			continue
		}
		in := func(n int) *int { return &n }
		must.Do(t, s.ledger.Grounds.Put(ctx, d, ledger.Ground{Spread: ledger.Spread{Way: "camera", Placed: 9, Borders: 1,
			Paddocks: []ledger.PaddockCount{{Name: "East", Animals: in(5), Low: in(4), High: in(6), Seen: 1},
				{Name: "West", Animals: in(4), Low: in(4), High: in(4), Seen: 0.5}}}}))
	}
	s.round(distance)
	got = s.round(settle)
	if len(got) != 1 || len(got[0].Events) != 1 ||
		got[0].Subject != "CattleCounter all sites: Count differs from the book" ||
		got[0].Events[0].Text != "north, paddock East: 5 animals (4 to 6), the book has 10; footage agrees.MP4" {
		t.Errorf("got %+v", got)
	}
	s.count("north", "many", 20)
	s.round(distance)
	got = s.round(settle)
	if len(got) != 2 {
		t.Fatalf("got %+v", got)
	}
	for _, m := range got {
		if e := m.Events[0]; e.Kind == wire.NotifyCountOffBook &&
			e.Text != "north: 20 animals (18 to 23), the book has 10 for the whole site; footage many.MP4" {
			t.Errorf("got %+v", e)
		}
	}
}

// In quiet hours events wait, and are one message afterwards.
func TestQuietHours(t *testing.T) {
	s := newScene(t) // 06:00 UTC is 01:00 in Bogota
	r := s.rule("north", "en", wire.NotifyStationSilent)
	r.QuietFrom, r.QuietTo, r.Zone = 22*60, 5*60+30, "America/Bogota"
	must.Do(t, s.ledger.Notifications.SetRule(t.Context(), r))
	for i := range 9 {
		s.needed["north"] = append(s.needed["north"], silent(fmt.Sprint("d", i)))
		if got := s.round(29 * time.Minute); len(got) != 0 {
			t.Fatalf("at %s in quiet hours: %+v", s.clock.Now(), got)
		}
	}
	if got := s.round(10 * time.Minute); len(got) != 1 || len(got[0].Events) != 9 {
		t.Errorf("after them: %+v", got)
	}
	for _, c := range []struct {
		from, to, at int
		want         bool
	}{{60, 120, 59, false}, {60, 120, 60, true}, {60, 120, 119, true}, {60, 120, 120, false}, {0, 0, 0, false}, {120, 60,
		90, false},
		{120, 60, 120, true}, {120, 60, 0, true}} {
		at := time.Date(2026, 7, 1, 0, c.at, 0, 0, time.UTC)
		if quiet(ledger.NotificationRule{QuietFrom: c.from, QuietTo: c.to, Zone: "UTC"}, at) != c.want {
			t.Errorf("quiet from %d to %d: minute %d is not %v", c.from, c.to, c.at, c.want)
		}
	}
}

// A message that a target does not take is tried again with growing pauses, under the same id, and is dead at last. A
// person can have it sent again.
func TestAttempts(t *testing.T) {
	s := newScene(t)
	s.rule("north", "en", wire.NotifyStationSilent)
	s.needed["north"] = []wire.Attention{silent("d1")}
	s.target.fail = errors.New("no answer\r\nX: y")
	s.round(0)
	s.round(settle)
	log := func() ledger.Notification {
		t.Helper()
		all, _, err := s.ledger.Notifications.List(t.Context(), ledger.Page{})
		if must.Do(t, err); len(all) != 1 {
			t.Fatalf("messages %+v", all)
		}
		return all[0]
	}
	for i, p := range pauses {
		if n := log(); n.State != ledger.NotificationWaiting || n.Attempts != i+1 || !n.Due.Equal(s.clock.Now().Add(p)) ||
			n.Fault != "no answer X: y" {
			t.Fatalf("after attempt %d: %+v", i+1, n)
		}
		s.round(p - time.Second) // too early
		s.round(time.Second)
	}
	dead := log()
	if dead.State != ledger.NotificationDead || dead.Attempts != len(pauses)+1 {
		t.Fatalf("at last: %+v", dead)
	}
	s.target.fail = nil
	if got := s.round(24 * time.Hour); len(got) != 0 {
		t.Errorf("a dead message was sent: %+v", got)
	}
	must.Do(t, s.ledger.Notifications.Retry(t.Context(), dead.ID))
	if got := s.round(0); len(got) != 1 || got[0].ID != dead.ID {
		t.Errorf("got %+v", got)
	}
	s.needed["north"] = []wire.Attention{silent("d2")}
	s.target.fail = fmt.Errorf("gone: %w", ErrRefused)
	s.round(distance)
	s.round(settle)
	all, _, err := s.ledger.Notifications.List(t.Context(), ledger.Page{State: string(ledger.NotificationDead)})
	if must.Do(t, err); len(all) != 1 || all[0].Attempts != 1 {
		t.Errorf("a refused message: %+v", all)
	}
}

func TestTestMessage(t *testing.T) {
	s := newScene(t)
	r := s.rule("north", "es", wire.NotifyStationSilent)
	n := must.Get(s.Test(t.Context(), r))(t)
	if n.State != ledger.NotificationSent || len(s.target.got) != 1 || !s.target.got[0].Test || s.target.got[0].ID == "" {
		t.Errorf("got %+v, sent %+v", n, s.target.got)
	}
	s.target.fail = errors.New("no answer")
	n = must.Get(s.Test(t.Context(), r))(t)
	if n.State != ledger.NotificationDead || n.Fault != "no answer" {
		t.Errorf("got %+v", n)
	}
	must.FailWith(t, s.Check("pigeon", "x"), ErrNoChannel)
}

// A process that does not lead sends nothing, and a paused rule sees nothing.
func TestWhoIsSilent(t *testing.T) {
	s := newScene(t)
	r := s.rule("north", "en", wire.NotifyStationSilent)
	s.needed["north"] = []wire.Attention{silent("d1")}
	leads := false
	s.o.Leads = func(context.Context) (bool, error) { return leads, nil }
	s.round(0)
	if got := s.round(time.Hour); len(got) != 0 {
		t.Errorf("without the lead: %+v", got)
	}
	leads, r.Paused = true, true
	must.Do(t, s.ledger.Notifications.SetRule(t.Context(), r))
	s.round(0)
	if got := s.round(time.Hour); len(got) != 0 {
		t.Errorf("of a paused rule: %+v", got)
	}
}

// Every kind has a title, and every cause a text, in every language.
func TestWords(t *testing.T) {
	for _, language := range Languages() {
		w := wordsOf(language)
		for _, k := range wire.NotificationKinds() {
			if w.titles[k] == "" {
				t.Errorf("%s: no title of %s", language, k)
			}
		}
		for cause, kind := range kinds {
			if got := w.text(event{Kind: kind, Cause: cause, Device: "d1", Detail: "why"}); !strings.Contains(got, "why") ||
				strings.ContainsAny(got, "{}") {
				t.Errorf("%s: text of %s is %q", language, cause, got)
			}
		}
	}
	seven := 7
	e := event{Kind: wire.NotifyCountReady, Site: "north", Name: "a\nb.MP4", Count: &wire.Interval{Unique: 5, Low: 4,
		High: 6},
		Whole: &wire.Interval{Unique: 9, Low: 8, High: 10}, Book: &seven}
	want := "north, a b.MP4: 5 animals (4 to 6); the whole flight: 9 animals (8 to 10)"
	if got := oneLine(english.text(e)); got != want {
		t.Errorf("got %q", got)
	}
}

// FuzzOneLine makes text of any bytes one line.
func FuzzOneLine(f *testing.F) {
	f.Add("a\r\nBcc: x\u202e\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := oneLine(s)
		if strings.ContainsAny(got, "\r\n\x00\u2028\u202e") || oneLine(got) != got {
			t.Errorf("%q became %q", s, got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
	})
}
