package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
)

// parts records the calls of every part of a station.
type parts struct {
	calls   []string
	list    []spool.Record
	err     error // of every call
	damaged int
}

func (p *parts) note(format string, a ...any) error {
	p.calls = append(p.calls, fmt.Sprintf(format, a...))
	return p.err
}

func (p *parts) SetPaused(v bool)          { _ = p.note("link paused %t", v) }
func (p *parts) SetLimit(n int64) error    { return p.note("limit %d", n) }
func (p *parts) SetMetered(v bool) error   { return p.note("metered %t", v) }
func (p *parts) ResetMetered() error       { return p.note("metered as configured") }
func (p *parts) Kick()                     { _ = p.note("kick") }
func (p *parts) All() []spool.Record       { return p.list }
func (p *parts) Retry(id footage.ID) error { return p.note("retry %s", id) }
func (p *parts) Prioritise(id footage.ID, n int, now bool) error {
	return p.note("priority %s %d %t", id, n, now)
}

func (p *parts) CheckAll(context.Context) (int, error) { return p.damaged, p.err }

func (p *parts) Get(id footage.ID) (spool.Record, bool) {
	for _, r := range p.list {
		if r.ID == id {
			return r, true
		}
	}
	return spool.Record{}, false
}

// setting is the saved pause.
type setting struct{ p *parts }

func (s setting) SetPaused(v bool) error { return s.p.note("saved paused %t", v) }

func newStation() (*parts, *Station) {
	p := &parts{}
	return p, &Station{Link: p, Records: p, Recovery: p, Pause: setting{p}, Level: new(slog.LevelVar),
		Rescan: func() { _ = p.note("rescan") }}
}

func TestActions(t *testing.T) {
	const id = "01JD"
	for _, c := range []struct {
		name  string
		args  map[string]string
		want  string // in the answer or the refusal
		calls string // of the parts; "" when refused
	}{
		{Pause, nil, "upload paused", "saved paused true, link paused true"},
		{Resume, nil, "upload resumed", "saved paused false, link paused false"},
		{Rescan, nil, "scanned now", "rescan"},
		{Prioritise, map[string]string{"footage": id}, "has priority 1", "priority 01JD 1 false"},
		{Prioritise, map[string]string{"footage": id, "priority": "-7", "now": "true"}, "has priority -7",
			"priority 01JD -7 true"},
		{Prioritise, map[string]string{"footage": id, "priority": "high"}, "not a number", ""},
		{Prioritise, map[string]string{"footage": id, "now": "yes"}, "not true or false", ""},
		{Prioritise, nil, "set the argument footage", ""},
		{Limit, map[string]string{"rate": "512KiB"}, "limited to 512KiB per second", "limit 524288"},
		{Limit, map[string]string{"rate": "none"}, "no limit", "limit -1"},
		{Limit, map[string]string{"rate": "configured"}, "configured limit", "limit 0"},
		{Limit, map[string]string{"rate": "0"}, "above 0", ""},
		{Limit, map[string]string{"rate": "fast"}, "not a size", ""},
		{Limit, nil, "set the argument rate", ""},
		{Metered, map[string]string{"link": "yes"}, "as metered", "metered true"},
		{Metered, map[string]string{"link": "no"}, "not metered", "metered false"},
		{Metered, map[string]string{"link": "configured"}, "as configured", "metered as configured"},
		{Metered, map[string]string{"link": "perhaps"}, "set the argument link", ""},
		{Log, map[string]string{"level": "loud"}, "not debug, info", ""},
		{Retry, map[string]string{"footage": "q"}, "footage q is retried", "retry q, kick"},
		{Retry, map[string]string{"footage": "s"}, "footage s is spooled; it is retried now", "kick"},
		{Retry, map[string]string{"footage": "cloud-q"}, "footage q is retried", "retry q, kick"},
		{Prioritise, map[string]string{"footage": "cloud-q", "priority": "5"}, "priority 5", "priority q 5 false"},
		{Retry, map[string]string{"footage": "all"}, "2 pieces of footage are retried", "retry q, retry r, kick"},
	} {
		p, s := newStation()
		p.list = []spool.Record{{ID: "s", State: spool.Spooled}, {ID: "q", State: spool.Quarantined, UploadedAs: "cloud-q"},
			{ID: "r", State: spool.Quarantined}}
		text, err := s.Actions()[c.name].Do(t.Context(), c.args)
		if got := fmt.Sprint(text, err); (err == nil) != (c.calls != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %v: %s, want %q", c.name, c.args, got, c.want)
		}
		if got := strings.Join(p.calls, ", "); got != c.calls {
			t.Errorf("%s %v: calls %q, want %q", c.name, c.args, got, c.calls)
		}
	}
}

// A pause that cannot be saved does not take effect, so that a power cut does not undo it.
func TestPauseIsSavedFirst(t *testing.T) {
	p, s := newStation()
	p.err = errors.New("disk is full")
	if err := s.SetPaused(true); !errors.Is(err, p.err) || !slices.Equal(p.calls, []string{"saved paused true"}) {
		t.Errorf("%v after %v", err, p.calls)
	}
}

func TestFsckAnswers(t *testing.T) {
	p, s := newStation()
	for damaged, want := range map[int]string{0: "the spool is whole", 3: "3 pieces of footage are damaged"} {
		p.damaged = damaged
		if text, err := s.Actions()[Fsck].Do(t.Context(), nil); err != nil || !strings.Contains(text, want) {
			t.Errorf("%d damaged: %q %v", damaged, text, err)
		}
	}
	if !s.Actions()[Fsck].Long {
		t.Error("fsck is not a long order")
	}
}

func TestLogLevel(t *testing.T) {
	_, s := newStation()
	if text, err := s.Actions()[Log].Do(t.Context(), map[string]string{"level": "debug"}); err != nil ||
		!strings.Contains(text, "level debug") {
		t.Errorf("%q %v", text, err)
	}
	if s.Level.Level() != slog.LevelDebug {
		t.Errorf("level %s", s.Level.Level())
	}
}

// One piece of footage that cannot be retried does not stop the others.
func TestRetryAllContinuesAfterFault(t *testing.T) {
	p, s := newStation()
	p.list = []spool.Record{{ID: "q", State: spool.Quarantined}, {ID: "r", State: spool.Quarantined}}
	p.err = errors.New("disk is full")
	_, err := s.Actions()[Retry].Do(t.Context(), map[string]string{"footage": "all"})
	if !errors.Is(err, p.err) || !slices.Equal(p.calls, []string{"retry q", "retry r", "kick"}) {
		t.Errorf("%v after %v", err, p.calls)
	}
}
