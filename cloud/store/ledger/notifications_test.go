package ledger

import (
	"fmt"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
)

func rule(site string, kinds ...string) NotificationRule {
	return NotificationRule{Site: site, Kinds: kinds, Channel: "webhook", Target: "https://hooks.example/x",
		Secret: secret.New("s3cret"), Language: "es", QuietFrom: 60, QuietTo: 120, Zone: "America/Bogota"}
}

func TestNotificationRules(t *testing.T) {
	ctx := By(t.Context(), "boss")
	l, _ := fresh(t)
	n := l.Notifications
	r := must.Get(n.AddRule(ctx, rule("north", "a", "b")))(t)
	got := must.Get(n.Rule(ctx, r.ID))(t)
	if got.Secret.Reveal() != "s3cret" || len(got.Kinds) != 2 || got.Who != "boss" || got.QuietTo != 120 || got.Paused ||
		got.Zone != "America/Bogota" || got.Created.IsZero() {
		t.Errorf("read %+v", got)
	}
	got.Kinds, got.Paused, got.Language, got.Target = []string{"c"}, true, "en", "https://other.example"
	must.Do(t, n.SetRule(ctx, got))
	after := must.Get(n.Rules(ctx))(t)
	if len(after) != 1 || !after[0].Paused || after[0].Kinds[0] != "c" || after[0].Target != r.Target ||
		after[0].Language != "en" {
		t.Errorf("after the change %+v", after)
	}
	must.Do(t, n.RemoveRule(ctx, r.ID))
	for name, err := range map[string]error{
		"removed twice": n.RemoveRule(ctx, r.ID),
		"set":           n.SetRule(ctx, got),
		"read":          func() error { _, err := n.Rule(ctx, r.ID); return err }(),
		"message":       func() error { _, err := n.Add(ctx, Notification{Rule: r.ID}, time.Time{}); return err }(),
	} {
		must.FailWith(t, err, ErrNotFound)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	must.Do(t, n.Observe(ctx, r.ID, []NotificationEvent{{Key: "k"}})) // its rule has just been removed
	entries := must.Get(l.Audit.Find(ctx, AuditQuery{Who: "boss", Limit: 9}))(t)
	if len(entries) != 3 {
		t.Errorf("audit log %+v", entries)
	}
}

// A condition is one event while it holds, also when it is gone for a moment. What ends before its message is
// forgotten.
func TestNotificationEvents(t *testing.T) {
	ctx := t.Context()
	l, c := fresh(t)
	n := l.Notifications
	r := must.Get(n.AddRule(ctx, rule("north", "a")))(t)
	silent := NotificationEvent{Key: "silent", Document: "1", Lasting: true}
	counted := NotificationEvent{Key: "count", Document: "2"}
	for _, step := range []struct {
		what    string
		after   time.Duration
		seen    []NotificationEvent
		waiting int
		tell    bool
	}{
		{"both begin", 0, []NotificationEvent{silent, counted}, 2, false},
		{"both again", time.Minute, []NotificationEvent{silent, counted}, 2, false},
		{"the condition ends before a message", time.Minute, nil, 1, true},
		{"it begins again", time.Minute, []NotificationEvent{silent}, 1, true},
		{"it is reported once", time.Hour, []NotificationEvent{silent, counted}, 0, false},
		{"it ends", time.Minute, nil, 0, false},
		{"it comes back soon", 14 * time.Minute, []NotificationEvent{silent}, 0, false},
		{"it ends again", time.Hour, nil, 0, false},
		{"and is forgotten", time.Hour, nil, 0, false},
		{"so it is a new event", time.Hour, []NotificationEvent{silent}, 1, false},
	} {
		c.Advance(step.after)
		must.Do(t, n.Observe(ctx, r.ID, step.seen))
		w := must.Get(n.Waiting(ctx, r.ID, 10))(t)
		if w.All != step.waiting || len(w.Events) != step.waiting {
			t.Fatalf("%s: %+v wait, want %d", step.what, w, step.waiting)
		}
		if step.tell {
			must.Get(n.Add(ctx, Notification{Rule: r.ID, State: NotificationSent, Ended: c.Now()}, w.Until))(t)
		}
	}
}

func TestNotificationDelivery(t *testing.T) {
	ctx := By(t.Context(), "boss")
	l, c := fresh(t)
	n := l.Notifications
	r := must.Get(n.AddRule(ctx, rule("north", "a")))(t)
	other := must.Get(n.AddRule(ctx, rule(AllSites, "a")))(t)
	if !must.Get(n.Last(ctx, r.ID))(t).IsZero() {
		t.Error("there is a last message")
	}
	for i := range 3 {
		must.Do(t, n.Observe(ctx, r.ID, []NotificationEvent{{Key: fmt.Sprint(i), Document: "d\x00"}}))
		c.Advance(time.Second)
	}
	w := must.Get(n.Waiting(ctx, r.ID, 2))(t)
	if w.All != 3 || len(w.Events) != 2 || w.Events[0].Key != "0" {
		t.Fatalf("waiting %+v", w)
	}
	m := must.Get(n.Add(ctx, Notification{Rule: r.ID, State: NotificationWaiting, Due: c.Now(), Document: "doc"},
		w.Until))(t)
	must.Get(n.Add(ctx, Notification{Rule: other.ID, State: NotificationWaiting, Due: c.Now().Add(time.Hour)},
		time.Time{}))(t)
	due := must.Get(n.Due(ctx, 9))(t)
	if len(due) != 1 || due[0].ID != m.ID || due[0].Target != r.Target || due[0].Document != "doc" ||
		due[0].Site != "north" {
		t.Fatalf("due %+v", due)
	}
	due[0].Attempts, due[0].Due, due[0].Fault = 1, c.Now().Add(time.Minute), "no answer"
	must.Do(t, n.Attempted(ctx, due[0]))
	if again := must.Get(n.Due(ctx, 9))(t); len(again) != 0 {
		t.Errorf("due at once: %+v", again)
	}
	must.FailWith(t, n.Retry(ctx, m.ID), ErrNotFound) // it waits
	due[0].State = NotificationDead
	must.Do(t, n.Attempted(ctx, due[0]))
	dead, next, err := n.List(ctx, Page{Sites: SiteSet{"north"}, State: string(NotificationDead)})
	must.Do(t, err)
	if len(dead) != 1 || next != "" || dead[0].Fault != "no answer" || dead[0].Ended.IsZero() {
		t.Errorf("dead %+v", dead)
	}
	must.Do(t, n.Retry(ctx, m.ID))
	if again := must.Get(n.Due(ctx, 9))(t); len(again) != 1 || again[0].Attempts != 0 {
		t.Errorf("due after a retry: %+v", again)
	}
	r.Paused = true
	must.Do(t, n.SetRule(ctx, r))
	if got := must.Get(n.Get(ctx, m.ID))(t); got.State != NotificationDead || got.Fault == "" {
		t.Errorf("after its rule was paused: %+v", got)
	}
	due[0].State = NotificationSent
	must.Do(t, n.Attempted(ctx, due[0]))
	if got := must.Get(n.Get(ctx, m.ID))(t); got.State != NotificationDead {
		t.Errorf("a message that had ended is %s", got.State)
	}
	for sites, want := range map[string]int{"north": 1, "south": 0, AllSites: 2} {
		if all, _, err := n.List(ctx, Page{Sites: SiteSet{sites}}); err != nil || len(all) != want {
			t.Errorf("messages of %s: %v, error %v", sites, all, err)
		}
	}
	must.Do(t, n.Prune(ctx, c.Now().Add(time.Hour)))
	all, _, err := n.List(ctx, Page{})
	if must.Do(t, err); len(all) != 1 || all[0].Rule != other.ID {
		t.Errorf("left %+v", all)
	}
}
