package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	eventsShown  = 50 // of one message; the others are a number
	subjectKinds = 3
)

// compose makes one message of all events of a rule that wait, unless it is too early or the hours are quiet.
func (n *Notifier) compose(ctx context.Context, r ledger.NotificationRule) error {
	now := n.o.Now()
	if quiet(r, now) {
		return nil
	}
	w, err := n.o.Events.Waiting(ctx, r.ID, eventsShown)
	if err != nil || w.All == 0 || now.Sub(w.Since) < settle {
		return err
	}
	last, err := n.o.Messages.Last(ctx, r.ID)
	if err != nil || now.Sub(last) < distance {
		return err
	}
	m, err := n.message(r, w, now)
	if err != nil {
		return err
	}
	doc, err := encode(m)
	if err != nil {
		return err
	}
	_, err = n.o.Messages.Add(ctx, ledger.Notification{Rule: r.ID, State: ledger.NotificationWaiting, Document: doc},
		w.Until)
	return err
}

// message is what a target gets of events.
func (n *Notifier) message(r ledger.NotificationRule, w ledger.WaitingEvents,
	now time.Time) (wire.NotificationMessage, error) {
	words := wordsOf(r.Language)
	m := wire.NotificationMessage{Rule: r.ID, Site: r.Site, At: now.UTC(), Events: []wire.NotificationEvent{},
		More: w.All - len(w.Events)}
	var titles []string
	var text strings.Builder
	for _, v := range w.Events {
		var e event
		if err := json.Unmarshal([]byte(v.Document), &e); err != nil {
			return m, fmt.Errorf("event %.80q of notification rule %s: %w", v.Key, r.ID, err)
		}
		shown := wire.NotificationEvent{Kind: e.Kind, Site: e.Site, Device: e.Device, Footage: e.Footage, Flight: e.Flight,
			Paddock: e.Paddock, Count: e.Count, Book: e.Book, Text: oneLine(words.text(e)), Since: e.Since, Link: n.link(e)}
		m.Events = append(m.Events, shown)
		title := words.titles[e.Kind]
		if len(titles) == 0 || titles[len(titles)-1] != title {
			titles = append(titles, title)
		}
		fmt.Fprintf(&text, "%s: %s\n", title, shown.Text)
		if shown.Link != "" {
			fmt.Fprintf(&text, "  %s\n", shown.Link)
		}
	}
	if m.More > 0 {
		fmt.Fprintf(&text, words.more+"\n", m.More)
	}
	if n.o.PublicURL != "" {
		fmt.Fprintf(&text, "\n%s %s/settings\n", words.footer, strings.TrimSuffix(n.o.PublicURL, "/"))
	}
	m.Subject, m.Text = subject(words, r, titles, w.All), text.String()
	return m, nil
}

// subject says where something happened and what, in one short line.
func subject(words *words, r ledger.NotificationRule, titles []string, events int) string {
	where := r.Site
	if where == ledger.AllSites {
		where = words.allSites
	}
	what := strings.Join(titles[:min(len(titles), subjectKinds)], ", ")
	if len(titles) > subjectKinds {
		what += ", …"
	}
	if events > 1 {
		what += fmt.Sprintf(" (%d)", events)
	}
	return oneLine(fmt.Sprintf("CattleCounter %s: %s", where, what))
}

// link is the address of the view of an event, "" when the server does not know its own.
func (n *Notifier) link(e event) string {
	base := strings.TrimSuffix(n.o.PublicURL, "/")
	if base == "" {
		return ""
	}
	return base + view(e.Kind, e.Footage, e.Device)
}

// view is the path of the view of an event.
func view(kind wire.NotificationKind, of footage.ID, device string) string {
	switch {
	case of != "" && kind != wire.NotifyUploadStuck: // an unfinished upload has no view
		return "/footage/" + url.PathEscape(string(of))
	case device != "":
		return "/stations/" + url.PathEscape(device)
	case kind == wire.NotifyCountingLate:
		return "/queue"
	}
	return "/"
}

// oneLine makes text from outside one line that turns no direction of writing: a name of a file must not look like
// another event or header.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return r <= ' ' || r == 0x7f || r >= 0x80 && r <= 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 ||
			r == 0x200e || r == 0x200f || r == 0xfeff
	}), " ")
}

// quiet reports whether a time is in the quiet hours of a rule.
func quiet(r ledger.NotificationRule, now time.Time) bool {
	if r.QuietFrom == r.QuietTo {
		return false
	}
	zone, err := time.LoadLocation(r.Zone)
	if err != nil { // the zone of a stored rule was known: without it the hours are those of UTC
		zone = time.UTC
	}
	at := now.In(zone)
	minute := at.Hour()*60 + at.Minute()
	if r.QuietFrom < r.QuietTo {
		return minute >= r.QuietFrom && minute < r.QuietTo
	}
	return minute >= r.QuietFrom || minute < r.QuietTo
}

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}
