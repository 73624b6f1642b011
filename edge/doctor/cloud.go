package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/proxy"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/wire"
)

const (
	// tokenPath is an upload that cannot exist. The intake checks the token first, so
	// a request for it tests the token and changes nothing.
	tokenPath = wire.FilesPath + "doctor"
	maxAnswer = 64 << 10
	// expiresSoon is how long before a certificate's end the doctor warns.
	expiresSoon = 14 * 24 * time.Hour
)

// answer is the cloud's answer with its whole body.
type answer struct {
	*http.Response
	body []byte
	took time.Duration
	at   time.Time // of arrival
}

// ask sends one request. With verify false the server's certificate is not checked
// and no token is sent.
func (v *inspection) ask(ctx context.Context, method, path string, verify bool) (answer, error) {
	cfg, err := uplink.TLSConfig(v.Config.Cloud.CAFile)
	if err != nil {
		return answer{}, err
	}
	via, err := proxy.Func(v.Config.Cloud.Proxy)
	if err != nil {
		return answer{}, fmt.Errorf("cloud.proxy: %w", err)
	}
	cfg.InsecureSkipVerify, cfg.Time = !verify, v.Probes.Now
	t := &http.Transport{Proxy: via, TLSClientConfig: cfg, DisableKeepAlives: true}
	c := &http.Client{Transport: t, Timeout: checkLimit, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token must not go to another address
	}}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(v.Config.Cloud.URL, "/")+path, nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set(wire.HeaderTusResumable, wire.TusVersion)
	if verify {
		req.Header.Set("Authorization", "Bearer "+v.Config.Token.Reveal())
	}
	began := time.Now()
	r, err := c.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // the finding names the address already
		}
		return answer{}, err
	}
	defer r.Body.Close()
	a := answer{Response: r, took: time.Since(began), at: time.Now()}
	a.body, err = io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	return a, err
}

// link checks that the cloud's API answers.
func (v *inspection) link(ctx context.Context) []Finding {
	at := v.Config.Cloud.URL
	a, err := v.ask(ctx, http.MethodGet, wire.HealthPath, true)
	if err != nil {
		w := explain(err, "cloud", v.hints)
		if w.date {
			v.dateBad = true
			if a, err := v.ask(ctx, http.MethodGet, wire.HealthPath, false); err == nil {
				v.addServerTime(a)
			}
			w = explain(err, "cloud", v.hints)
		}
		return []Finding{fail("link", w.do, "%s: %s", at, w.what)}
	}
	v.addServerTime(a)
	switch {
	case a.StatusCode/100 == 3:
		return []Finding{fail("link", "set cloud.url to the API's address; on a guest network log in first",
			"%s redirects to %.200q", at, a.Header.Get("Location"))}
	case a.StatusCode >= http.StatusInternalServerError:
		return []Finding{fail("link",
			"look for the fault on the server or on the proxy before it; the agent retries by itself", "%s answers HTTP %d", at,
			a.StatusCode)}
	case !healthy(a.body):
		return []Finding{fail("link", "check cloud.url; a proxy or the modem's own page may answer instead of the API",
			"%s answers HTTP %d, but not as CattleCounter's API", at, a.StatusCode)}
	}
	v.linked = true
	found := []Finding{ok("link", "%s answers in %d ms%s", at, a.took.Milliseconds(), describeTLS(a.TLS))}
	if a.TLS == nil && !loopback(v.Config.Cloud.URL) {
		found = append(found, warn("link", "use https, with a TLS proxy before the API",
			"the token and the footage go over the network unencrypted"))
	}
	if a.TLS != nil && len(a.TLS.PeerCertificates) > 0 {
		if left := a.TLS.PeerCertificates[0].NotAfter.Sub(v.Probes.Now()); left < expiresSoon {
			found = append(found, warn("link", "renew the certificate on the server",
				"the server's certificate expires in %.0f days", left.Hours()/24))
		}
	}
	return found
}

// healthy reports whether body is the API's health document.
func healthy(body []byte) bool {
	var h wire.Health
	return json.Unmarshal(body, &h) == nil && h.Status == wire.HealthOK
}

func describeTLS(s *tls.ConnectionState) string {
	if s == nil {
		return ""
	}
	text := ", " + tls.VersionName(s.Version)
	if len(s.PeerCertificates) > 0 {
		text += ", certificate until " + s.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	}
	return text
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// addServerTime adds the server's time to the hints, when the answer has a plausible one.
func (v *inspection) addServerTime(a answer) {
	if h, err := clock.ParseDate(a.Header.Get("Date"), a.took, a.at); err == nil {
		v.hints.Add(h)
	}
}

// token checks that the cloud accepts the device's token.
func (v *inspection) token(ctx context.Context) []Finding {
	if !v.linked {
		return []Finding{warn("token", "repair the link first", "not checked: the cloud does not answer")}
	}
	a, err := v.ask(ctx, http.MethodHead, tokenPath, true)
	if err != nil {
		return []Finding{warn("token", "run the doctor again", "not checked: %s", explain(err, "cloud", v.hints).what)}
	}
	const replace = "on the server, cloud-api device list shows revoked tokens, and cloud-api device add NAME --site SITE " +
		"replaces one; cloud-api device enrol NAME --site SITE makes a code for edge-agent enrol on this station"
	switch a.StatusCode {
	case http.StatusNotFound:
		return []Finding{ok("token", "the cloud accepts the token")}
	case http.StatusUnauthorized:
		return []Finding{fail("token", replace, "%s", v.whyRefused(ctx))}
	case http.StatusForbidden:
		return []Finding{fail("token", "use a device's token, not a reader's: "+replace,
			"the token does not allow uploads (HTTP 403)")}
	}
	return []Finding{warn("token", "check cloud.url and any proxy before the API, then run the doctor again",
		"not checked: the cloud answers HTTP %d", a.StatusCode)}
}

// whyRefused asks for the reason, which the answer to HEAD has no room for.
func (v *inspection) whyRefused(ctx context.Context) string {
	a, err := v.ask(ctx, http.MethodGet, wire.FootagePath("doctor"), true)
	if err != nil || a.StatusCode != http.StatusUnauthorized {
		return "the cloud does not know the token (HTTP 401)"
	}
	return fmt.Sprintf("the cloud refuses the token (HTTP 401): %s", uplink.ParseProblem(a.StatusCode, a.body).Detail)
}

// orderKey warns of orders that need no signature.
func (v *inspection) orderKey() []Finding {
	if k := v.Config.OrderKey; !k.IsZero() {
		return []Finding{ok("orders", "must be signed with the key %s of the cloud, or one to which it has led", k.ID())}
	}
	return []Finding{warn("orders", "enrol the station again (edge-agent enrol), or set order_key to what cloud-api device "+
		"order-key prints",
		"need no signature: who controls the broker can give them")}
}

// broker connects with the device's account and another client id: with the agent's
// id the broker would disconnect the agent.
func (v *inspection) broker(ctx context.Context) []Finding {
	c := v.Config
	if c.MQTT.URL == "" {
		return []Finding{ok("broker", "off (mqtt.url is empty)")}
	}
	cfg, err := uplink.TLSConfig(c.MQTT.CAFile)
	if err != nil {
		return []Finding{fail("broker", "correct mqtt.ca_file", "%v", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	cfg.Time = v.Probes.Now
	err = v.Probes.Broker(ctx, brokerOptions(c, cfg), c.Address().Command())
	if err == nil {
		return append([]Finding{ok("broker", "%s accepts name and token", c.MQTT.URL)}, v.orderKey()...)
	}
	w := explainBroker(err, c.Address(), v.hints)
	v.dateBad = v.dateBad || w.date
	found := []Finding{fail("broker", w.do, "%s: %s", c.MQTT.URL, w.what)}
	if !v.linked && !w.date {
		found[0].Do += "; the link to the cloud is down as well: repair it first"
	}
	return found
}
