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
	// tokenPath is an upload that cannot exist: the intake looks at the token
	// first, so asking for it tells whether the token is good and changes nothing.
	tokenPath = wire.FilesPath + "doctor"
	maxAnswer = 64 << 10
	// soonOver is when a certificate that ends is worth a word.
	soonOver = 14 * 24 * time.Hour
)

// answered is an answer of the cloud, its body read.
type answered struct {
	*http.Response
	body []byte
	took time.Duration
	at   time.Time // when it came
}

// ask sends one request. With trusting false the server's certificate is not
// checked and no token goes out.
func (v *visit) ask(ctx context.Context, method, path string, trusting bool) (answered, error) {
	cfg, err := uplink.TLSConfig(v.Config.Cloud.CAFile)
	if err != nil {
		return answered{}, err
	}
	via, err := proxy.Func(v.Config.Cloud.Proxy)
	if err != nil {
		return answered{}, fmt.Errorf("cloud.proxy: %w", err)
	}
	cfg.InsecureSkipVerify, cfg.Time = !trusting, v.Probes.Now
	t := &http.Transport{Proxy: via, TLSClientConfig: cfg, DisableKeepAlives: true}
	c := &http.Client{Transport: t, Timeout: checkLimit, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the token goes to no other address
	}}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(v.Config.Cloud.URL, "/")+path, nil)
	if err != nil {
		return answered{}, err
	}
	req.Header.Set(wire.HeaderTusResumable, wire.TusVersion)
	if trusting {
		req.Header.Set("Authorization", "Bearer "+v.Config.Token.Reveal())
	}
	began := time.Now()
	r, err := c.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // the address stands in the finding already
		}
		return answered{}, err
	}
	defer r.Body.Close()
	a := answered{Response: r, took: time.Since(began), at: time.Now()}
	a.body, err = io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	return a, err
}

// link asks whether the cloud's API is there.
func (v *visit) link(ctx context.Context) []Finding {
	at := v.Config.Cloud.URL
	a, err := v.ask(ctx, http.MethodGet, wire.HealthPath, true)
	if err != nil {
		w := explain(err, "cloud", v.hints)
		if w.date {
			v.dateBad = true
			if a, err := v.ask(ctx, http.MethodGet, wire.HealthPath, false); err == nil {
				v.noteDate(a)
			}
			w = explain(err, "cloud", v.hints)
		}
		return []Finding{fail("link", w.do, "%s: %s", at, w.what)}
	}
	v.noteDate(a)
	switch {
	case a.StatusCode/100 == 3:
		return []Finding{fail("link", "set cloud.url to where the API is; on a guest network log in first", "%s redirects to %.200q", at, a.Header.Get("Location"))}
	case a.StatusCode >= http.StatusInternalServerError:
		return []Finding{fail("link", "the server, or the proxy before it, is not well: look there; the agent tries again by itself", "%s answers HTTP %d", at, a.StatusCode)}
	case !healthy(a.body):
		return []Finding{fail("link", "check cloud.url; a proxy or the modem's own page may answer instead of the API", "%s answers HTTP %d, but it is not CattleCounter's API", at, a.StatusCode)}
	}
	v.linked = true
	found := []Finding{ok("link", "%s answers in %d ms%s", at, a.took.Milliseconds(), secured(a.TLS))}
	if a.TLS == nil && !loopback(v.Config.Cloud.URL) {
		found = append(found, warn("link", "use https; see README on the proxy with TLS before the API", "the token and the footage go over the network unencrypted"))
	}
	if a.TLS != nil && len(a.TLS.PeerCertificates) > 0 {
		if left := a.TLS.PeerCertificates[0].NotAfter.Sub(v.Probes.Now()); left < soonOver {
			found = append(found, warn("link", "have it renewed on the server", "the server's certificate ends in %.0f days", left.Hours()/24))
		}
	}
	return found
}

// healthy recognises the API by its health document.
func healthy(body []byte) bool {
	var h wire.Health
	return json.Unmarshal(body, &h) == nil && h.Status == wire.HealthOK
}

func secured(s *tls.ConnectionState) string {
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

// noteDate keeps the server's time, if it gives one that can be.
func (v *visit) noteDate(a answered) {
	if h, err := clock.ParseDate(a.Header.Get("Date"), a.took, a.at); err == nil {
		v.hints.Add(h)
	}
}

// token asks whether the cloud takes the device's token.
func (v *visit) token(ctx context.Context) []Finding {
	if !v.linked {
		return []Finding{warn("token", "mend the link first", "not asked: the cloud does not answer")}
	}
	a, err := v.ask(ctx, http.MethodHead, tokenPath, true)
	if err != nil {
		return []Finding{warn("token", "ask again", "not known: %s", explain(err, "cloud", v.hints).what)}
	}
	const again = "on the server: cloud-api device list shows whether it is revoked, cloud-api device renew NAME makes a new one, cloud-api device add NAME --site SITE for a revoked one; put it into token_file"
	switch a.StatusCode {
	case http.StatusNotFound:
		return []Finding{ok("token", "the cloud takes it")}
	case http.StatusUnauthorized:
		return []Finding{fail("token", again, "the cloud does not know it (HTTP 401)")}
	case http.StatusForbidden:
		return []Finding{fail("token", "a device's token is needed, not a reader's: "+again, "it has no right to upload (HTTP 403)")}
	}
	return []Finding{warn("token", "check cloud.url and what stands before the API, then ask again", "not known: the cloud answers HTTP %d", a.StatusCode)}
}

// broker connects as the device, under a client id of its own: the agent's would
// throw the agent out.
func (v *visit) broker(ctx context.Context) []Finding {
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
		return []Finding{ok("broker", "%s takes name and token", c.MQTT.URL)}
	}
	w := explainBroker(err, c.Address(), v.hints)
	v.dateBad = v.dateBad || w.date
	found := []Finding{fail("broker", w.do, "%s: %s", c.MQTT.URL, w.what)}
	if !v.linked && !w.date {
		found[0].Do += "; the link to the cloud is down as well: mend that first"
	}
	return found
}
