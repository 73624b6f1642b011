package mqtt

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cattlecounter/deploy/conformance/finding"
)

// order is an order as a station gets it.
type order struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Station string    `json:"station"`
	By      string    `json:"by"`
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	Signed  string    `json:"signed"`
	Next    string    `json:"next"`
}

// mostAhead is how far ahead an order may expire, with a margin for clocks.
const mostAhead = 24*time.Hour + time.Minute

// orders are the checks of orders and their answers.
var orders = []check{
	{"order-signed", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		_, m, err := k.orderThroughAPI(ctx, "refused", "kit")
		if err != nil {
			return err
		}
		if m.retained {
			return errors.New("the order is retained")
		}
		return k.checkSigned(m.payload)
	}},
	{"order-refused", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.wantAnswer(ctx, "refused", "the card is missing")
	}},
	{"order-done", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error { return k.wantAnswer(ctx, "done", "42 pieces") }},
	{"order-accepted-then-done", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		if err := k.wantAnswer(ctx, "accepted", "it takes long"); err != nil {
			return err
		}
		return k.withStation(ctx, func(c *client) error {
			var v stationView
			if err := k.admin(ctx, http.MethodGet, "/api/v1/stations/"+k.made.station.name, nil, &v); err != nil {
				return err
			}
			if len(v.Replies) == 0 || v.Replies[0].State != "accepted" {
				return fmt.Errorf("the API does not list the answer: %+v", v.Replies)
			}
			id := v.Replies[0].ID
			if err := c.publish(ctx, k.made.station.topic("command", id), k.reply(id, "pause", "done", "at last"), true); err != nil {
				return err
			}
			return k.awaitStation(ctx, k.made.station.name, "the last answer to an order", func(v stationView) bool {
				return len(v.Replies) > 0 && v.Replies[0] == orderReply{id, "done", "at last"}
			})
		})
	}},
	{"order-answer-malformed", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		r, _, err := k.order(ctx, func(c *client, o order) error {
			at := k.made.station.topic("command", o.ID)
			for _, bad := range [][]byte{[]byte("{"), k.reply("another", o.Name, "done", "wrong id"), k.reply(o.ID, o.Name, "perhaps", "wrong state")} {
				if err := c.publish(ctx, at, bad, false); err != nil {
					return err
				}
			}
			return c.publish(ctx, at, k.reply(o.ID, o.Name, "refused", "right"), true)
		})
		if err == nil && (r.State != "refused" || r.Text != "right") {
			err = fmt.Errorf("the API took %+v for the answer", r)
		}
		return err
	}},
	{"order-unknown", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		from := k.watch.count()
		status, err := k.call(ctx, k.o.Admin.Reveal(), http.MethodPost, k.commands(), map[string]any{"command": "explode"}, nil)
		if err == nil || status < 400 || status >= 500 {
			return fmt.Errorf("status %d to an order that does not exist", status)
		}
		if err := k.fence(ctx, k.made.station, k.watch); err != nil {
			return err
		}
		return nothing(k.watch, from, "an order that does not exist", func(m message) bool { return m.topic == k.made.station.topic("command") })
	}},
	{"order-offline", ordering, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		s := k.made.station
		err := k.withStation(ctx, func(c *client) error { return c.publish(ctx, s.topic("status"), k.status(false), true) })
		if err != nil {
			return err
		}
		if err := k.awaitStation(ctx, s.name, "the station is offline", func(v stationView) bool { return v.State == "offline" }); err != nil {
			return err
		}
		from := k.watch.count()
		if status, err := k.call(ctx, k.o.Admin.Reveal(), http.MethodPost, k.commands(), map[string]any{"command": "pause"}, nil); err == nil {
			return fmt.Errorf("status %d to an order for a station that is offline", status)
		}
		if err := k.fence(ctx, s, k.watch); err != nil {
			return err
		}
		return nothing(k.watch, from, "an order to a station that is offline", func(m message) bool { return m.topic == s.topic("command") })
	}},
	{"operator-orders", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.byOperator(ctx, k.made.station, false, true)
	}},
	{"operator-of-another-site", whoMay, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		return k.byOperator(ctx, k.made.other, false, false)
	}},
	{"order-not-retained", asyncapi, finding.Must, onlyAdmin, func(ctx context.Context, k *kit) error {
		if err := k.byOperator(ctx, k.made.station, true, true); err != nil {
			return err
		}
		got, err := k.newcomer(ctx, k.reader, k.made.station.topic("command"))
		if err == nil && len(got) > 0 {
			err = fmt.Errorf("a new subscriber gets the order %.200s", got[0].payload)
		}
		return err
	}},
}

func (k *kit) commands() string { return "/api/v1/stations/" + k.made.station.name + "/commands" }

// byOperator publishes an order as the operator and checks whether it arrives at a station.
func (k *kit) byOperator(ctx context.Context, to post, retain, want bool) error {
	c, err := k.on(ctx, to)
	if err != nil {
		return err
	}
	defer c.close()
	if granted, err := c.subscribe(ctx, to.topic("command")); err != nil || !granted {
		return errors.Join(err, errors.New("the station may not subscribe to its orders"))
	}
	id := newID()
	text, err := json.Marshal(map[string]any{"id": id, "name": "pause", "expires": time.Now().Add(time.Minute).UTC()})
	if err != nil {
		return err
	}
	if err := k.tried(ctx, k.made.operator, to.topic("command"), text, retain); err != nil {
		return err
	}
	if !want { // an order that a station gets comes after it
		return k.nothingBefore(ctx, c, to)
	}
	wait, cancel := k.within(ctx)
	defer cancel()
	m, _, err := c.await(wait, "the order of the operator", 0, func(m message) bool { return strings.Contains(string(m.payload), id) })
	if err == nil && m.retained {
		err = errors.New("the order is retained")
	}
	return err
}

// nothingBefore gives a station an order through the API, and fails when another one arrives before it.
func (k *kit) nothingBefore(ctx context.Context, c *client, to post) error {
	if err := c.publish(ctx, to.topic("status"), k.status(true), true); err != nil {
		return err
	}
	failed := make(chan error, 1)
	ctx, cancel := k.within(ctx)
	defer cancel()
	go func() {
		_, err := k.call(ctx, k.o.Admin.Reveal(), http.MethodPost, "/api/v1/stations/"+to.name+"/commands", map[string]any{"command": "pause"}, nil)
		failed <- err
	}()
	m, _, err := c.await(ctx, "an order", 0, func(m message) bool { return m.topic == to.topic("command") })
	var o order
	if err == nil {
		err = json.Unmarshal(m.payload, &o)
	}
	if err == nil && o.Signed == "" {
		err = fmt.Errorf("the station got the order of an operator of another site: %.200s", m.payload)
	}
	if err == nil {
		err = c.publish(ctx, to.topic("command", o.ID), k.reply(o.ID, o.Name, "refused", "kit"), true)
	}
	if err != nil {
		cancel()
		<-failed //nolint:errcheck // it ends by cancel
		return err
	}
	return <-failed
}

// order gives the station an order through the API and answers it. It returns what the API says and the message of the order.
func (k *kit) order(ctx context.Context, answer func(*client, order) error) (r orderReply, m message, err error) {
	s := k.made.station
	err = k.withStation(ctx, func(c *client) error {
		ctx, cancel := k.within(ctx)
		defer cancel()
		if granted, err := c.subscribe(ctx, s.topic("command")); err != nil || !granted {
			return errors.Join(err, errors.New("the station may not subscribe to its orders"))
		}
		failed := make(chan error, 1)
		go func() {
			_, err := k.call(ctx, k.o.Admin.Reveal(), http.MethodPost, k.commands(), map[string]any{"command": "pause"}, &r)
			failed <- err
		}()
		var err error
		m, _, err = c.await(ctx, "the order", 0, func(m message) bool { return m.topic == s.topic("command") })
		var o order
		if err == nil {
			err = json.Unmarshal(m.payload, &o)
		}
		if err == nil {
			err = answer(c, o)
		}
		if err != nil {
			cancel()
			<-failed //nolint:errcheck // it ends by cancel
			return err
		}
		return <-failed
	})
	return r, m, err
}

// orderThroughAPI is order with one answer.
func (k *kit) orderThroughAPI(ctx context.Context, state, why string) (orderReply, message, error) {
	return k.order(ctx, func(c *client, o order) error {
		return c.publish(ctx, k.made.station.topic("command", o.ID), k.reply(o.ID, o.Name, state, why), true)
	})
}

// wantAnswer answers an order and checks what the API says of it.
func (k *kit) wantAnswer(ctx context.Context, state, why string) error {
	r, _, err := k.orderThroughAPI(ctx, state, why)
	if err == nil && (r.State != state || r.Text != why) {
		err = fmt.Errorf("the API says %q %.100q, the station answered %q %q", r.State, r.Text, state, why)
	}
	return err
}

// checkSigned checks an order by the key of the enrolment: a JSON Web Signature in compact form with Ed25519.
func (k *kit) checkSigned(payload []byte) error {
	var outer, o order
	if err := json.Unmarshal(payload, &outer); err != nil {
		return err
	}
	encoded, _ := strings.CutPrefix(k.made.station.orderKey, "ed25519:")
	key, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("the enrolment gave the key %.80q", k.made.station.orderKey)
	}
	content, ok := verified(key, outer.Signed)
	if !ok { // the cloud may have rotated its key a moment ago
		content, ok = verified(key, outer.Next)
	}
	if !ok {
		return errors.New("the order is not signed with the key of the enrolment")
	}
	header, body, _ := strings.Cut(content, ".")
	var h struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	if err := errors.Join(decode(header, &h), decode(body, &o)); err != nil {
		return err
	}
	s, now := k.made.station, time.Now()
	switch {
	case h.Alg != "EdDSA" || h.Typ != "cattle-order":
		return fmt.Errorf("the signature has alg %q and typ %q", h.Alg, h.Typ)
	case o.Station != s.site+"/"+s.name:
		return fmt.Errorf("the signed order is for %q", o.Station)
	case o.ID == "" || o.ID != outer.ID || o.Name != "pause" || o.By == "":
		return fmt.Errorf("the signed order is %+v", o)
	case o.Issued.IsZero() || !o.Expires.After(now) || o.Expires.Sub(now) > mostAhead:
		return fmt.Errorf("the signed order was given at %s and expires at %s", o.Issued, o.Expires)
	}
	return nil
}

// verified returns the signed part of a signature in compact form, and whether the key signed it.
func verified(key ed25519.PublicKey, signed string) (content string, ok bool) {
	content, signature, ok := cutLast(signed, ".")
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	return content, ok && err == nil && ed25519.Verify(key, []byte(content), sum)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// decode reads a part of a signature.
func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return fmt.Errorf("a part of the signature: %w", err)
	}
	return json.Unmarshal(text, into)
}
