package notify

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// Limits of a subscription and a message. A push service takes at most 4 KB (RFC 8030 section 7.2).
const (
	longestSubscription = 2048
	authBytes           = 16 // of the secret of a subscription (RFC 8291 section 3.2)
	pushTTL             = 24 * time.Hour
	pushText            = 600 // runes
	pushTitle           = 120
	pushBytes           = 3900 // of a message before its encryption, which adds up to 120
)

// ErrGone marks the error of a subscription that its browser has ended. The rule of it is removed.
var ErrGone = fmt.Errorf("the browser has ended the subscription: %w", ErrRefused)

// Push sends messages to browsers by Web Push (RFC 8030, 8291, 8292). A target is a subscription as a browser gives it:
// {"endpoint": …, "keys": {"p256dh": …, "auth": …}}. Its endpoint must be https at a public address, as of Webhooks. It is
// safe for concurrent use.
type Push struct {
	web     *Webhooks
	key     ledger.PushKey
	contact string
}

// NewPush returns a channel that signs with a key. contact is an https or mailto address for the push service, which may
// report abuse there.
func NewPush(networks []netip.Prefix, key ledger.PushKey, contact string) *Push {
	return &Push{web: NewWebhooks(networks, nil), key: key, contact: strings.TrimPrefix(contact, "mailto:")}
}

// PublicKey is the key that browsers subscribe to, in base64url.
func (p *Push) PublicKey() string { return p.key.Public }

// Check implements Channel.
func (p *Push) Check(target string) error {
	_, err := p.subscription(target)
	return err
}

// subscription reads a target.
func (p *Push) subscription(target string) (*webpush.Subscription, error) {
	if len(target) > longestSubscription {
		return nil, fmt.Errorf("the subscription is longer than %d bytes", longestSubscription)
	}
	var s webpush.Subscription
	d := json.NewDecoder(strings.NewReader(target))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || d.More() {
		return nil, errors.New("it is not a subscription of a browser: endpoint, and keys with p256dh and auth")
	}
	if !strings.HasPrefix(s.Endpoint, "https://") {
		return nil, errors.New("the endpoint does not begin with https://")
	}
	if err := p.web.Check(s.Endpoint); err != nil {
		return nil, fmt.Errorf("the endpoint: %w", err)
	}
	point, err := keyBytes(s.Keys.P256dh)
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(point)
	}
	if err != nil {
		return nil, errors.New("the key p256dh is not a point of P-256 in base64url")
	}
	if auth, err := keyBytes(s.Keys.Auth); err != nil || len(auth) != authBytes {
		return nil, fmt.Errorf("the key auth does not have %d bytes in base64url", authBytes)
	}
	return &s, nil
}

func keyBytes(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// PushHost is the host of the push service of a target, for people: the rest of the endpoint is a secret.
func PushHost(target string) string {
	var s webpush.Subscription
	if err := json.Unmarshal([]byte(target), &s); err != nil {
		return "?"
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return "?"
	}
	return u.Host
}

// pushMessage is what the service worker of the page reads.
type pushMessage struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Text  string `json:"text"`
	View  string `json:"view"` // the path that a click opens
}

// Send implements Channel. The push service carries the message and cannot read it.
func (p *Push) Send(ctx context.Context, r ledger.NotificationRule, m wire.NotificationMessage) error {
	s, err := p.subscription(r.Target)
	if err != nil {
		return fmt.Errorf("target: %w: %w", err, ErrRefused)
	}
	body, err := pushBody(m)
	if err != nil {
		return err
	}
	resp, err := webpush.SendNotificationWithContext(ctx, body, s, &webpush.Options{HTTPClient: p.web.client,
		TTL: int(pushTTL.Seconds()), Urgency: webpush.UrgencyHigh, Subscriber: p.contact, VAPIDPublicKey: p.key.Public,
		VAPIDPrivateKey: p.key.Private.Reveal()})
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerRead)) // what it says does not matter
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusNotFound || status == http.StatusGone:
		return fmt.Errorf("the push service answers with %d: %w", status, ErrGone)
	case status == http.StatusTooManyRequests || status >= 500:
		return fmt.Errorf("the push service answers with status %d", status)
	default:
		return fmt.Errorf("the push service refuses the message (%d); subscribe again in the browser: %w", status, ErrRefused)
	}
}

// pushOf is a message in short: the lines of the events without their links.
func pushOf(m wire.NotificationMessage) pushMessage {
	out := pushMessage{ID: m.ID, Title: cutRunes(m.Subject, pushTitle), View: "/"}
	var lines []string
	for _, e := range m.Events {
		lines = append(lines, e.Text)
	}
	if len(lines) == 0 {
		lines = []string{strings.TrimSpace(m.Text)}
	}
	out.Text = cutRunes(strings.Join(lines, "\n"), pushText)
	if len(m.Events) == 1 {
		e := m.Events[0]
		out.View = view(e.Kind, e.Footage, e.Device)
	}
	return out
}

// pushBody is a message in short as JSON. JSON has up to six bytes for a rune, so a text that does not fit is cut again.
func pushBody(m wire.NotificationMessage) ([]byte, error) {
	short := pushOf(m)
	for most := pushText; ; most = most * 3 / 4 {
		short.Text = cutRunes(short.Text, most)
		body, err := json.Marshal(short)
		if err != nil || len(body) <= pushBytes || most < 2 {
			return body, err
		}
	}
}

func cutRunes(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
