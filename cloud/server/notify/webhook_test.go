package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	key      = []byte("0123456789abcdef0123456789abcdef")
)

func hook(target string) ledger.NotificationRule {
	return ledger.NotificationRule{ID: "r1", Channel: wire.ChannelWebhook, Target: target,
		Secret: secret.New("whsec_" + base64.StdEncoding.EncodeToString(key))}
}

// newHooks returns a channel whose connections end with the test. Certificates of tests are trusted.
func newHooks(t *testing.T, srv *httptest.Server, networks ...netip.Prefix) *Webhooks {
	w := NewWebhooks(networks, func() time.Time { return time.Unix(1_700_000_000, 0) })
	if srv != nil && srv.Certificate() != nil {
		w.client.Transport.(*http.Transport).TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

// A receiver that knows the secret can check who sent a message, and that it was not changed.
func TestWebhookIsSigned(t *testing.T) {
	var got http.Header
	var body []byte
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, body = r.Header, must.Get(io.ReadAll(r.Body))(t)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	m := wire.NotificationMessage{ID: "m1", Subject: "s", Events: []wire.NotificationEvent{}}
	must.Do(t, newHooks(t, srv, loopback...).Send(t.Context(), hook(srv.URL+"/in?x=1"), m))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("m1.1700000000." + string(body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got.Get("Webhook-Signature") != want || got.Get("Webhook-Id") != "m1" ||
		got.Get("Webhook-Timestamp") != "1700000000" ||
		got.Get("Content-Type") != "application/json" || !strings.HasPrefix(got.Get("User-Agent"), "cattlecounter/") {
		t.Errorf("headers %v, want signature %s", got, want)
	}
	var back wire.NotificationMessage
	if must.Do(t, json.Unmarshal(body, &back)); back.Subject != "s" {
		t.Errorf("body %s", body)
	}
}

func TestWebhookAnswers(t *testing.T) {
	for status, want := range map[int]error{200: nil, 204: nil, 302: ErrRefused, 410: ErrRefused, 404: errAny,
		500: errAny, 503: errAny} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/in" {
				t.Errorf("a redirect was followed to %s", r.URL)
			}
			w.Header().Set("Location", "/other")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}))
		err := newHooks(t, srv, loopback...).Send(t.Context(), hook(srv.URL+"/in"), wire.NotificationMessage{ID: "m"})
		switch {
		case want == nil && err != nil, want != nil && err == nil:
			t.Errorf("status %d: error %v", status, err)
		case errors.Is(err, ErrRefused) != errors.Is(want, ErrRefused):
			t.Errorf("status %d: error %v is of the wrong class", status, err)
		}
		srv.Close()
	}
}

var errAny = errors.New("any")

// A rule must not make the server reach what only the server can reach, whatever name, form or address it uses.
func TestWebhookReachesPublicAddressesOnly(t *testing.T) {
	reached := false
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer srv.Close()
	port := must.Get(url.Parse(srv.URL))(t).Port()
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1",
		"2130706433", "0x7f.1",
		"169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "100.64.0.1", "[fd00::1]", "[fe80::1]",
		"[64:ff9b::7f00:1]",
		"[2002:7f00:1::]", "[::]"} {
		for _, scheme := range []string{"http", "https"} {
			err := newHooks(t, nil).Send(t.Context(), hook(scheme+"://"+host+":"+port+"/secret"), wire.NotificationMessage{})
			if err == nil || strings.Contains(err.Error(), "/secret") {
				t.Errorf("%s %s: error %v", scheme, host, err)
			}
		}
	}
	if reached {
		t.Fatal("the server was reached")
	}
	err := newHooks(t, nil, netip.MustParsePrefix("10.0.0.0/8")).Send(t.Context(), hook("http://localhost:"+port),
		wire.NotificationMessage{})
	if err == nil || !errors.Is(err, errPlain) || reached {
		t.Errorf("http to an address that is not allowed: %v", err)
	}
	if err := newHooks(t, nil, loopback...).Send(t.Context(), hook(srv.URL), wire.NotificationMessage{}); err != nil ||
		!reached {
		t.Errorf("an allowed address: %v", err)
	}
}

func TestWebhookTargets(t *testing.T) {
	w := NewWebhooks(nil, nil)
	for target, ok := range map[string]bool{
		"https://hooks.example.com/T00/x?y=1": true, "https://hooks.example.com:8443": true, "https://93.184.216.34/": true,
		"https://[2606:4700::1111]/": true, "http://hooks.example.com": true, // its address decides
		"": false, "hooks.example.com": false, "ftp://hooks.example.com": false, "https://": false, "https:///x": false,
		"https://u:p@hooks.example.com": false, "https://hooks.example.com/#x": false, "http://93.184.216.34/": false,
		"https://10.0.0.1": false, "https://localhost": false, "https://[::1]/": false, "https://x/" + strings.Repeat("x",
			1024): false,
		"https://exa mple.com": false,
	} {
		if err := w.Check(target); (err == nil) != ok {
			t.Errorf("%.60q: error %v", target, err)
		}
	}
}

func TestWebhookWithoutASecret(t *testing.T) {
	r := hook("https://hooks.example.com")
	r.Secret = secret.New("not base64!")
	must.FailWith(t, NewWebhooks(nil, nil).Send(t.Context(), r, wire.NotificationMessage{}), ErrRefused)
}

// FuzzWebhookTarget looks for a target that is taken and has a user, or an address that is not public.
func FuzzWebhookTarget(f *testing.F) {
	for _, s := range []string{"https://a.example/x", "https://[::1]:1/", "https://u@h", "http://10.0.0.1",
		"https://%31"} {
		f.Add(s)
	}
	w := NewWebhooks(nil, nil)
	f.Fuzz(func(t *testing.T, s string) {
		if w.Check(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.Hostname() == "" {
			t.Fatalf("%q was taken", s)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified()) {
			t.Fatalf("%q was taken", s)
		}
	})
}
