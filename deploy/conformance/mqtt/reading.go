package mqtt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"cattlecounter/deploy/conformance/finding"
)

// Sections of deploy/docs/mqtt.md and of the AsyncAPI document.
const (
	whoMay   = "Who may do what"
	readers  = "Reading"
	howLong  = "How long messages are kept"
	ordering = "Orders"
	home     = "Home Assistant"
	sessions = "Sessions"
	asyncapi = "asyncapi.yaml"
)

// mostCounts is how many counts of footage are retained.
const mostCounts = 1000

// logins are the checks of names and tokens.
var logins = []check{
	{"login-wrong-token", whoMay, finding.Must, nil, func(ctx context.Context, k *kit) error {
		return k.wantRefused(ctx, account{name: k.reader.name, token: "wrong-" + newID()}, nil)
	}},
	{"login-without-name", whoMay, finding.Must, nil, func(ctx context.Context, k *kit) error {
		return k.wantRefused(ctx, account{}, nil)
	}},
	{"login-name-of-another", whoMay, finding.Must, []string{needsAdmin}, func(ctx context.Context, k *kit) error {
		return k.wantRefused(ctx, account{name: k.made.station.name, token: k.reader.token}, nil)
	}},
	{"login-client-id-of-another", whoMay, finding.Must, []string{needsAdmin}, func(ctx context.Context, k *kit) error {
		same := func(p *packets.ConnectPacket) { p.ClientIdentifier = "kit-same-id" }
		first, err := k.dial(ctx, k.made.station.account, same)
		if err != nil {
			return err
		}
		defer first.close()
		second, err := k.dial(ctx, k.reader, same)
		if err != nil {
			return err
		}
		defer second.close()
		if err := first.publish(ctx, k.made.station.topic("vitals"), k.vitals(1), false); err != nil {
			return fmt.Errorf("a client of another account with the same client id ends the session: %w", err)
		}
		return nil
	}},
}

func (k *kit) wantRefused(ctx context.Context, a account, change func(*packets.ConnectPacket)) error {
	c, err := k.dial(ctx, a, change)
	if errors.Is(err, errRefused) {
		return nil
	}
	if err == nil {
		c.close()
		err = errors.New("the broker accepts the log-in")
	}
	return err
}

// reading are the checks of what a new subscriber gets.
var reading = []check{
	{"read-own-sites", whoMay, finding.Must, nil, func(ctx context.Context, k *kit) error {
		got, err := k.newcomer(ctx, k.reader, everything)
		if err != nil {
			return err
		}
		for _, m := range got {
			if err := k.ofOwnSite(m.topic); err != nil {
				return err
			}
		}
		return nil
	}},
	{"read-wide-filters", whoMay, finding.Must, nil, func(ctx context.Context, k *kit) error {
		for _, filter := range []string{"#", "cattle/#", "+/v1/#", "$SYS/#", "cattle/v1/+/counts/+", "cattle/v1/+/+/command"} {
			got, err := k.newcomer(ctx, k.reader, filter)
			if err != nil {
				return fmt.Errorf("the filter %s: %w", filter, err)
			}
			for _, m := range got {
				if err := k.ofOwnSite(m.topic); err != nil {
					return fmt.Errorf("the filter %s: %w", filter, err)
				}
			}
		}
		return nil
	}},
	{"identifiers-of-both-sides", asyncapi, finding.Must, nil, checkIdentifiers},
	{"retained-kinds", asyncapi, finding.Must, nil, func(_ context.Context, k *kit) error {
		for _, m := range k.watch.all() {
			if kind := k.contract.kind(m.topic); m.retained && (kind == "vitals" || kind == "command") {
				return fmt.Errorf("a retained message at %.200s", m.topic)
			}
		}
		return nil
	}},
	{"counts-retained", readers, finding.Must, []string{needsAdmin}, checkCounts},
	{"counts-newest", howLong, finding.Must, nil, checkNewest},
	{"counts-at-most-1000", howLong, finding.Must, nil, func(_ context.Context, k *kit) error {
		seen := map[string]bool{}
		for _, m := range k.watch.all() {
			if m.retained && k.contract.kind(m.topic) == "count" {
				seen[m.topic] = true
			}
		}
		if len(seen) > mostCounts {
			return fmt.Errorf("the counts of %d pieces of footage are retained", len(seen))
		}
		return nil
	}},
	{"home-assistant", home, finding.Must, nil, func(ctx context.Context, k *kit) error {
		got, err := k.newcomer(ctx, k.reader, "homeassistant/#")
		if err != nil {
			return err
		}
		if len(got) == 0 {
			return finding.Skip("nothing is published for Home Assistant")
		}
		for _, m := range got {
			if levels := strings.Split(m.topic, "/"); len(levels) != 5 || levels[2] != k.o.Site {
				return fmt.Errorf("%.200q is not of the site of the reader", m.topic)
			}
			if err := k.contract.check(m.topic, m.payload); err != nil {
				return err
			}
		}
		return nil
	}},
	{"version-1-stays", readers, finding.Must, []string{needsServed}, func(_ context.Context, k *kit) error {
		if gone := k.contract.missing(); len(gone) > 0 {
			return fmt.Errorf("the document of the cloud lacks %d of version 1: %s", len(gone), strings.Join(gone[:min(len(gone), 5)], "; "))
		}
		return nil
	}},
}

// ofOwnSite fails for a topic outside the contract, or of another site than that of the reader.
func (k *kit) ofOwnSite(name string) error {
	if levels := strings.Split(name, "/"); len(levels) < 3 || levels[0] != "cattle" || levels[2] != k.o.Site {
		return fmt.Errorf("%.200q is not of the site of the reader", name)
	}
	return nil
}

// checkIdentifiers subscribes with the identifier of a message that it has not acknowledged: both sides choose theirs
// independently (MQTT 3.1.1, section 2.3.1).
func checkIdentifiers(ctx context.Context, k *kit) error {
	if !slices.ContainsFunc(k.watch.all(), func(m message) bool { return m.retained && m.qos == 1 }) {
		return finding.Skip("nothing is retained")
	}
	c, err := k.dialAs(ctx, k.reader, acksNothing, nil)
	if err != nil {
		return err
	}
	defer c.close()
	if granted, err := c.subscribe(ctx, everything); err != nil || !granted {
		return errors.Join(err, errors.New("the reader may not subscribe to "+everything))
	}
	ctx, cancel := k.within(ctx)
	defer cancel()
	m, _, err := c.await(ctx, "a retained message", 0, func(m message) bool { return m.qos == 1 })
	if err != nil {
		return err
	}
	granted, err := c.subscribeAs(ctx, m.id, "cattle/v1/"+k.reader.site+"/counts/+", 1)
	if err == nil && !granted {
		err = errors.New("a filter is refused because its identifier is that of a message that waits")
	}
	return err
}

// countView is a count in a message and in the API.
type countView struct {
	Footage     string     `json:"footage"`
	Device      string     `json:"device"`
	Unique      int        `json:"unique"`
	Low         int        `json:"low"`
	High        int        `json:"high"`
	Captured    *time.Time `json:"captured"`
	DuplicateOf string     `json:"duplicate_of"`
	SiblingOf   string     `json:"sibling_of"`
}

// retained decodes the retained messages of a kind by topic; the last one counts.
func retained[T any](k *kit, kind string) (map[string]T, error) {
	out := map[string]T{}
	for _, m := range k.watch.all() {
		if k.contract.kind(m.topic) != kind || !m.retained || len(m.payload) == 0 {
			continue
		}
		var v T
		if err := json.Unmarshal(m.payload, &v); err != nil {
			return nil, fmt.Errorf("%.200s: %w", m.topic, err)
		}
		out[m.topic] = v
	}
	return out, nil
}

// checkCounts compares the retained counts with those of the API.
func checkCounts(ctx context.Context, k *kit) error {
	var page struct {
		Items []countView `json:"items"`
	}
	// With the rights of the reader the API has the counts of the same sites.
	if _, err := k.call(ctx, k.reader.token, http.MethodGet, "/api/v1/counts?limit=100", nil, &page); err != nil {
		return err
	}
	if len(page.Items) == 0 {
		return finding.Skip("the site %s has no count", k.o.Site)
	}
	counts, err := retained[countView](k, "count")
	if err != nil {
		return err
	}
	for _, want := range page.Items {
		got, ok := counts["cattle/v1/"+k.o.Site+"/counts/"+want.Footage]
		switch {
		case !ok:
			return fmt.Errorf("the count of %.80s is not retained", want.Footage)
		case got.Unique != want.Unique || got.Low != want.Low || got.High != want.High:
			return fmt.Errorf("the count of %.80s is %d (%d to %d), the API says %d (%d to %d)", want.Footage, got.Unique, got.Low, got.High,
				want.Unique, want.Low, want.High)
		}
	}
	return nil
}

// checkNewest compares the newest count of each station with its counts.
func checkNewest(_ context.Context, k *kit) error {
	counts, err := retained[countView](k, "count")
	if err != nil {
		return err
	}
	newest, err := retained[countView](k, "newest")
	if err != nil {
		return err
	}
	tested := false
	for at, c := range counts {
		if c.Captured == nil || c.DuplicateOf != "" || c.SiblingOf != "" {
			continue
		}
		tested = true
		n, ok := newest["cattle/v1/"+k.o.Site+"/counts/stations/"+c.Device]
		switch {
		case !ok:
			return fmt.Errorf("%.200s has a count, and its station %.80s no newest one", at, c.Device)
		case n.Captured == nil || n.Captured.Before(*c.Captured):
			return fmt.Errorf("the newest count of %.80s is of %v, and a count of %v is retained", c.Device, n.Captured, *c.Captured)
		}
	}
	if !tested {
		return finding.Skip("no count of a known time is retained")
	}
	return nil
}

// others are the messages that the reader has received and that the kit has not sent as a station.
func (k *kit) others() []message {
	return slices.DeleteFunc(k.watch.all(), func(m message) bool {
		levels := strings.Split(m.topic, "/")
		return k.made != nil && len(levels) > 3 && slices.Contains(k.made.devices, levels[3]) && k.contract.kind(m.topic) != "job" &&
			k.contract.kind(m.topic) != "command"
	})
}

// received are the checks of everything that the reader has received during the run.
var received = []check{
	{"messages-fit-the-schema", asyncapi, finding.Must, nil, func(_ context.Context, k *kit) error {
		tested := 0
		for _, m := range k.others() {
			if len(m.payload) == 0 {
				continue // ends a retained message
			}
			tested++
			if err := k.contract.check(m.topic, m.payload); err != nil {
				return err
			}
		}
		if tested == 0 {
			return finding.Skip("no message arrived")
		}
		return nil
	}},
	{"messages-have-version-1", readers, finding.Must, nil, checkPromised},
	{"messages-at-qos-1", asyncapi, finding.Must, nil, func(_ context.Context, k *kit) error {
		for _, m := range k.others() {
			if m.qos != 1 {
				return fmt.Errorf("%.200s at QoS %d", m.topic, m.qos)
			}
		}
		return nil
	}},
	{"seq-grows", readers, finding.Must, nil, func(_ context.Context, k *kit) error {
		last, before := map[string]int64{}, map[string][]byte{}
		for _, m := range k.others() {
			var h struct {
				Seq *int64 `json:"seq"`
			}
			if len(m.payload) == 0 || json.Unmarshal(m.payload, &h) != nil || h.Seq == nil {
				continue
			}
			if old, known := last[m.topic]; known && *h.Seq <= old && !bytes.Equal(before[m.topic], m.payload) {
				return fmt.Errorf("%.200s: seq %d after %d with another content", m.topic, *h.Seq, old)
			}
			last[m.topic], before[m.topic] = *h.Seq, m.payload
		}
		return nil
	}},
}

// checkPromised checks that each message has the required fields of version 1.
func checkPromised(_ context.Context, k *kit) error {
	required := map[string][]string{}
	for line := range strings.Lines(promised) {
		if field, ok := strings.CutPrefix(strings.TrimSpace(line), "required "); ok {
			kind, name, _ := strings.Cut(field, ".")
			if strings.ContainsAny(name, ".[") {
				continue // of a nested object, which the schema checks
			}
			required[kind] = append(required[kind], name)
		}
	}
	for _, m := range k.others() {
		var have map[string]json.RawMessage
		if len(m.payload) == 0 {
			continue
		}
		if err := json.Unmarshal(m.payload, &have); err != nil {
			return fmt.Errorf("%.200s: %w", m.topic, err)
		}
		for _, name := range required[k.contract.kind(m.topic)] {
			if _, ok := have[name]; !ok {
				return fmt.Errorf("%.200s has no %s", m.topic, name)
			}
		}
	}
	return nil
}

// restarts are the checks of what is published again.
var restarts = []check{
	{"restart-keeps-times", readers, finding.Must, []string{needsRestart}, func(ctx context.Context, k *kit) error {
		before, after, err := k.restart(ctx)
		if err != nil {
			return err
		}
		if len(before) == 0 {
			return finding.Skip("no count, job or flight is retained")
		}
		for name, old := range before {
			if now := after[name]; now.Seq != old.Seq || !now.At.Equal(old.At) {
				return fmt.Errorf("%.200s had seq %d of %s, and after the restart seq %d of %s", name, old.Seq, old.At, now.Seq, now.At)
			}
		}
		return nil
	}},
}

// origin is what a restart must keep.
type origin struct {
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
}

// restart restarts the cloud and returns the headers of its retained messages before and after. It fails when one of them is
// not published again.
func (k *kit) restart(ctx context.Context) (before, after map[string]origin, err error) {
	before = k.origins()
	if err := k.o.Restart(ctx); err != nil {
		return nil, nil, err
	}
	var last error
	for again := true; again; {
		again = false
		err := k.poll(ctx, "the broker answers after the restart", func(ctx context.Context) error {
			w, err := k.dial(ctx, k.reader, nil)
			if err != nil {
				return err
			}
			if _, err = w.subscribe(ctx, everything); err != nil {
				w.close()
				return err
			}
			k.watch.close()
			k.watch = w
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		for name := range before {
			if _, _, last = k.watch.await(ctx, name, 0, func(m message) bool { return m.topic == name }); last != nil {
				again = !k.watch.alive() && ctx.Err() == nil // the old process had answered once more
				break
			}
		}
	}
	return before, k.origins(), last
}

// origins are the headers of the newest messages that the cloud keeps.
func (k *kit) origins() map[string]origin {
	out := map[string]origin{}
	for _, m := range k.watch.all() {
		kind := k.contract.kind(m.topic)
		var o origin
		if !slices.Contains([]string{"count", "job", "flight"}, kind) || json.Unmarshal(m.payload, &o) != nil {
			continue
		}
		out[m.topic] = o
	}
	return out
}
