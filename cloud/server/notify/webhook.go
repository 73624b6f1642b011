package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/version"
	"cattlecounter/shared/wire"
)

const (
	longestURL = 1024
	answerRead = 4 << 10 // bytes of an answer, so that the connection can be used again
)

// errPlain says that a target without TLS is not in one of the networks that may have one.
var errPlain = errors.New("http is allowed to the addresses in notify.networks only; use https")

// Webhooks posts messages as JSON (wire.NotificationMessage), signed as the Standard Webhooks specification says.
// Targets must be public addresses, or in one of the networks. That is decided by the address that is connected to, so
// a name that changes its address changes nothing. Redirects are not followed, and no proxy is used. It is safe for
// concurrent use.
type Webhooks struct {
	networks []netip.Prefix
	guard    *ssrf.Guardian
	client   *http.Client
	now      func() time.Time
}

// NewWebhooks returns a channel that may also reach networks. now is the clock of signatures, nil for time.Now.
func NewWebhooks(networks []netip.Prefix, now func() time.Time) *Webhooks {
	if now == nil {
		now = time.Now
	}
	var v4, v6 []netip.Prefix
	for _, p := range networks {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	w := &Webhooks{networks: networks, now: now,
		guard: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
	w.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: sendTime / 2, ControlContext: w.control}).DialContext,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: sendTime / 2, MaxResponseHeaderBytes: 16 << 10, MaxIdleConnsPerHost: 1, MaxIdleConns: 16,
			IdleConnTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		},
	}
	return w
}

type plainKey struct{}

// control decides by the address whether a connection may be opened.
func (w *Webhooks) control(ctx context.Context, network, address string, c syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if plain, _ := ctx.Value(plainKey{}).(bool); plain && !w.allowed(at.Addr()) {
		return errPlain
	}
	return w.guard.Safe(network, address, c)
}

// allowed reports whether an address is in one of the configured networks.
func (w *Webhooks) allowed(ip netip.Addr) bool {
	return slices.ContainsFunc(w.networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Check implements Channel.
func (w *Webhooks) Check(target string) error {
	u, err := url.Parse(target)
	switch {
	case len(target) > longestURL:
		return fmt.Errorf("it is longer than %d bytes", longestURL)
	case err != nil:
		return errors.New("it is not a URL such as https://hooks.example.com/cattle")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errors.New("it does not begin with https:// and a host")
	case u.User != nil:
		return errors.New("it has a user or a password; a target checks the signature instead")
	case u.Fragment != "":
		return errors.New("it has a part after #, which is never sent")
	}
	ip, err := netip.ParseAddr(strings.Trim(u.Hostname(), "[]"))
	if err != nil {
		if u.Hostname() == "localhost" && len(w.networks) == 0 {
			return errors.New("localhost is not a public address; allow it in notify.networks of the configuration")
		}
		return nil // a name: its address is checked with every connection
	}
	if u.Scheme == "http" && !w.allowed(ip) {
		return errPlain
	}
	if w.guard.SafeAddr(ip) != nil {
		return fmt.Errorf("%s is not a public address; allow it in notify.networks of the configuration", ip)
	}
	return nil
}

// Send implements Channel. An answer from 200 to 299 is a success; 410 and redirects refuse for good.
func (w *Webhooks) Send(ctx context.Context, r ledger.NotificationRule, m wire.NotificationMessage) error {
	if err := w.Check(r.Target); err != nil {
		return fmt.Errorf("target: %w: %w", err, ErrRefused)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	signer, err := standardwebhooks.NewWebhook(r.Secret.Reveal())
	if err != nil {
		return fmt.Errorf("the secret of the rule cannot be used; add the rule again: %w", ErrRefused)
	}
	at := w.now()
	signature, err := signer.Sign(m.ID, at, body)
	if err != nil {
		return err
	}
	ctx = context.WithValue(ctx, plainKey{}, strings.HasPrefix(r.Target, "http:"))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Target, bytes.NewReader(body))
	if err != nil {
		return errors.New("target: it is not a URL")
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "cattlecounter/" + version.String(),
		standardwebhooks.HeaderWebhookID:        m.ID,
		standardwebhooks.HeaderWebhookTimestamp: fmt.Sprint(at.Unix()),
		standardwebhooks.HeaderWebhookSignature: signature,
	} {
		req.Header.Set(name, value)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerRead)) // what it says does not matter
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("it answers with a redirect (%d); set the address that it leads to: %w", resp.StatusCode,
			ErrRefused)
	case resp.StatusCode == http.StatusGone:
		return fmt.Errorf("it answers with %d: it is there no more: %w", resp.StatusCode, ErrRefused)
	}
	return fmt.Errorf("it answers with status %d", resp.StatusCode)
}

// withoutURL removes the address from an error: it may have a secret.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, ssrf.ErrProhibitedIP) {
		return errors.New("its name leads to an address that is not public; allow it in notify.networks of the configuration")
	}
	if errors.Is(err, errPlain) {
		return errPlain
	}
	return err
}
