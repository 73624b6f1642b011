package notify

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

var b64 = base64.RawURLEncoding

// browser is the receiver of push messages: a subscription, and its private parts.
type browser struct {
	private *ecdh.PrivateKey
	auth    []byte
}

func newBrowser(t testing.TB) browser {
	t.Helper()
	b := browser{private: must.Get(ecdh.P256().GenerateKey(rand.Reader))(t), auth: make([]byte, authBytes)}
	_, _ = rand.Read(b.auth)
	return b
}

func (b browser) subscription(endpoint string) string {
	return fmt.Sprintf(`{"endpoint":%q,"keys":{"p256dh":%q,"auth":%q}}`, endpoint, b64.EncodeToString(b.private.PublicKey().Bytes()),
		b64.EncodeToString(b.auth))
}

// decrypt reads a message as a browser does (RFC 8188 section 2, RFC 8291 section 3.4).
func (b browser) decrypt(t *testing.T, body []byte) []byte {
	t.Helper()
	salt, keyLength := body[:16], int(body[20])
	if size := binary.BigEndian.Uint32(body[16:]); int(size) < len(body)-21-keyLength || len(body) > 4096 {
		t.Fatalf("a record of %d bytes in %d", size, len(body))
	}
	sender := must.Get(ecdh.P256().NewPublicKey(body[21 : 21+keyLength]))(t)
	shared := must.Get(b.private.ECDH(sender))(t)
	info := "WebPush: info\x00" + string(b.private.PublicKey().Bytes()) + string(sender.Bytes())
	ikm := must.Get(hkdf.Key(sha256.New, shared, b.auth, info, 32))(t)
	cek := must.Get(hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16))(t)
	nonce := must.Get(hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12))(t)
	gcm := must.Get(cipher.NewGCM(must.Get(aes.NewCipher(cek))(t)))(t)
	plain := must.Get(gcm.Open(nil, nonce, body[21+keyLength:], nil))(t)
	text := strings.TrimRight(string(plain), "\x00")
	if !strings.HasSuffix(text, "\x02") {
		t.Fatalf("the last record does not end with 2: %q", text)
	}
	return []byte(text[:len(text)-1])
}

func testPushKey(t testing.TB) ledger.PushKey {
	k := must.Get(ecdh.P256().GenerateKey(rand.Reader))(t)
	return ledger.PushKey{Public: b64.EncodeToString(k.PublicKey().Bytes()), Private: secret.New(b64.EncodeToString(k.Bytes()))}
}

// newPush returns a channel that trusts a test server and may reach loopback addresses.
func newPush(t *testing.T, srv *httptest.Server, networks ...netip.Prefix) *Push {
	p := NewPush(networks, testPushKey(t), "https://cattle.example")
	if srv != nil {
		p.web.client.Transport.(*http.Transport).TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig
	}
	t.Cleanup(p.web.client.CloseIdleConnections)
	return p
}

// checkVAPID verifies the signature that tells a push service who sends (RFC 8292).
func checkVAPID(t *testing.T, header, origin, public string) {
	t.Helper()
	parts := strings.Split(strings.TrimPrefix(header, "vapid t="), ", k=")
	if len(parts) != 2 || parts[1] != public {
		t.Fatalf("Authorization %q", header)
	}
	signed, signature, _ := strings.Cut(parts[0], ".")
	claims, signature, _ := strings.Cut(signature, ".")
	var c struct {
		Aud, Sub string
		Exp      int64
	}
	must.Do(t, json.Unmarshal(must.Get(b64.DecodeString(claims))(t), &c))
	if c.Aud != origin || c.Sub != "https://cattle.example" || time.Until(time.Unix(c.Exp, 0)) > 24*time.Hour {
		t.Errorf("claims %+v", c)
	}
	point := must.Get(b64.DecodeString(public))(t)
	key := must.Get(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point))(t)
	sum, raw := sha256.Sum256([]byte(signed+"."+claims)), must.Get(b64.DecodeString(signature))(t)
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])) {
		t.Error("the signature is wrong")
	}
}

// A browser can read what arrives, the push service can see only who sent it, and no secret travels.
func TestPush(t *testing.T) {
	var header http.Header
	var body []byte
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, body = r.Header, must.Get(io.ReadAll(r.Body))(t)
		w.WriteHeader(http.StatusCreated)
	}))
	defer srv.Close()
	b, p := newBrowser(t), newPush(t, srv, loopback...)
	r := ledger.NotificationRule{ID: "r1", Channel: wire.ChannelPush, Target: b.subscription(srv.URL + "/push/secret-path")}
	m := wire.NotificationMessage{ID: "m1", Subject: "CattleCounter north: Count ready", Text: "long", Events: []wire.NotificationEvent{
		{Kind: wire.NotifyCountReady, Footage: "f1", Text: "north, A.MP4: 31 animals (29 to 33)", Link: "https://cattle.example/footage/f1"}}}
	must.Do(t, p.Send(t.Context(), r, m))
	got := string(b.decrypt(t, body))
	if want := `{"id":"m1","title":"CattleCounter north: Count ready","text":"north, A.MP4: 31 animals (29 to 33)","view":"/footage/f1"}`; got != want {
		t.Errorf("the browser reads %s", got)
	}
	if header.Get("TTL") != "86400" || header.Get("Content-Encoding") != "aes128gcm" {
		t.Errorf("header %v", header)
	}
	checkVAPID(t, header.Get("Authorization"), srv.URL, p.PublicKey())
	m.Events = nil
	for range 60 {
		m.Events = append(m.Events, wire.NotificationEvent{Kind: wire.NotifyCountReady, Footage: "f", Text: strings.Repeat("ñ", 400)})
	}
	must.Do(t, p.Send(t.Context(), r, m))
	if got := string(b.decrypt(t, body)); !strings.Contains(got, `…","view":"/"}`) {
		t.Errorf("a long message: %s", got)
	}
	for _, wide := range []string{"<", "&", "\u2028", "🐄", "\""} { // 6 bytes each in JSON that is escaped for HTML
		m.Subject = strings.Repeat(wide, 200)
		for i := range m.Events {
			m.Events[i].Text = strings.Repeat(wide, 400)
		}
		if err := p.Send(t.Context(), r, m); err != nil {
			t.Errorf("a message of %q: %v", wide, err)
			continue
		}
		var short pushMessage
		must.Do(t, json.Unmarshal(b.decrypt(t, body), &short))
		if !strings.HasPrefix(short.Text, strings.Repeat(wide, 100)) || !strings.HasSuffix(short.Text, "…") {
			t.Errorf("a message of %q: %q", wide, short.Text)
		}
	}
	for status, want := range map[int][2]bool{404: {true, true}, 410: {true, true}, 400: {true, false}, 403: {true, false},
		413: {true, false}, 429: {false, false}, 500: {false, false}, 301: {true, false}} {
		srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		err := p.Send(t.Context(), r, m)
		if err == nil || errors.Is(err, ErrRefused) != want[0] || errors.Is(err, ErrGone) != want[1] || strings.Contains(err.Error(), "secret-path") {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// Only subscriptions at public https addresses are taken, also where a name leads to another address.
func TestPushTargets(t *testing.T) {
	p, b := newPush(t, nil), newBrowser(t)
	must.Do(t, p.Check(b.subscription("https://fcm.googleapis.com/fcm/send/abc")))
	for _, endpoint := range []string{"http://push.example.com/x", "https://127.0.0.1/x", "https://10.1.2.3/x", "https://[::1]/x",
		"https://169.254.169.254/latest", "https://localhost/x", "https://u:p@push.example.com/x", "ftp://push.example.com", "", "https://"} {
		if err := p.Check(b.subscription(endpoint)); err == nil {
			t.Errorf("%q is taken", endpoint)
		}
	}
	good := b.subscription("https://push.example.com/x")
	for _, bad := range []string{"", "x", "{}", "null", good + good, strings.Replace(good, `"keys"`, `"key"`, 1),
		strings.Replace(good, `"p256dh":"B`, `"p256dh":"A`, 1), strings.Replace(good, `"auth":"`, `"auth":"AAAA`, 1),
		strings.Repeat(" ", longestSubscription) + good} {
		if err := p.Check(bad); err == nil {
			t.Errorf("%.200q is taken", bad)
		}
	}
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	strict := newPush(t, srv)
	r := ledger.NotificationRule{Target: b.subscription(strings.Replace(srv.URL, "127.0.0.1", "localhost.", 1))}
	if err := strict.Send(t.Context(), r, wire.NotificationMessage{}); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("a name of this machine: %v", err)
	}
	if host := PushHost(good); host != "push.example.com" {
		t.Errorf("host %q", host)
	}
}

// gone is a channel whose browser has ended its subscription.
type gone struct{}

func (gone) Check(string) error { return nil }

func (gone) Send(context.Context, ledger.NotificationRule, wire.NotificationMessage) error {
	return ErrGone
}

// The rule of a browser that has ended its subscription is removed with its messages.
func TestGoneSubscription(t *testing.T) {
	s := newScene(t)
	s.o.Channels["test"] = gone{}
	s.rule("north", "en", wire.NotifyStationSilent)
	s.needed["north"] = []wire.Attention{silent("d1")}
	s.round(0)
	s.round(settle)
	if rules := must.Get(s.ledger.Notifications.Rules(t.Context()))(t); len(rules) != 0 {
		t.Errorf("rules %+v", rules)
	}
	s.round(time.Hour)
}

func FuzzSubscription(f *testing.F) {
	b := newBrowser(f)
	f.Add(b.subscription("https://push.example.com/x"))
	f.Add(`{"endpoint":"https://[::1]/","keys":{}}`)
	p := NewPush(nil, testPushKey(f), "https://cattle.example")
	f.Fuzz(func(t *testing.T, target string) {
		s, err := p.subscription(target)
		if err == nil && !strings.HasPrefix(s.Endpoint, "https://") {
			t.Fatalf("%q is taken", target)
		}
		PushHost(target)
	})
}
