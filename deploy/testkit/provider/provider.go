// Package provider is an OpenID Connect provider for tests: a real HTTP server with discovery, signing keys, and strict
// checks of the client, the code and PKCE. A test says who logs in, and can make it lie.
package provider

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Client of the provider.
const (
	ClientID     = "cattle"
	ClientSecret = "client secret"
)

// Provider is a running provider. Its fields may change between two log-ins.
type Provider struct {
	URL string // the issuer
	// Claims of who logs in next. sub is required.
	Claims map[string]any
	// Forge changes the claims of an ID token before it is signed; nil changes nothing.
	Forge func(claims map[string]any)
	// Sign replaces the signing of an ID token; nil is RS256 with the published key.
	Sign func(claims []byte) string
	// Deny answers each log-in with this error, "" for none.
	Deny string
	// NoName leaves the issuer out of answers (RFC 9207), though the provider promises it.
	NoName bool
	// Down answers everything with status 503.
	Down bool

	mu       sync.Mutex
	t        testing.TB
	key      *rsa.PrivateKey
	redirect string
	codes    map[string]url.Values // requests by their code
}

// signingKey is made once: it takes long on a busy machine.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// Start starts a provider for a client with this redirect address. It ends with the test.
func Start(t testing.TB, redirect string) *Provider {
	t.Helper()
	p := &Provider{t: t, key: signingKey(), redirect: redirect, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.Down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p.URL = s.URL
	return p
}

// Change changes fields of a provider that is in use.
func (p *Provider) Change(change func(*Provider)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *Provider) send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	p.send(w, http.StatusOK, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize",
		"token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []string{"S256"}})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.send(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
}

// authorize logs the person in without a question and sends the browser back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("redirect_uri") != p.redirect || q.Get("response_type") != "code" ||
		q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" {
		http.Error(w, "bad request "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}, "iss": {p.URL}, "session_state": {"a parameter of this provider"}}
	if p.NoName {
		back.Del("iss")
	}
	if p.Deny != "" {
		back.Set("error", p.Deny)
	} else {
		code := rand.Text()
		p.codes[code] = q
		back.Set("code", code)
	}
	http.Redirect(w, r, p.redirect+"?"+back.Encode(), http.StatusFound)
}

// token exchanges a code, once, for an ID token.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(code, why string) {
		p.send(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": why})
	}
	id, key, basic := r.BasicAuth()
	if !basic {
		id, key = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	} else if plain, err := url.QueryUnescape(key); err == nil {
		key = plain
	}
	asked, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case id != ClientID || key != ClientSecret:
		refuse("invalid_client", "unknown client")
		return
	case !ok || r.PostFormValue("redirect_uri") != p.redirect:
		refuse("invalid_grant", "unknown code")
		return
	case base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge"):
		refuse("invalid_grant", "wrong code_verifier")
		return
	}
	claims := map[string]any{"iss": p.URL, "aud": ClientID, "nonce": asked.Get("nonce"), "iat": time.Now().Unix(),
		"exp": time.Now().Add(5 * time.Minute).Unix()}
	for name, v := range p.Claims {
		claims[name] = v
	}
	if p.Forge != nil {
		p.Forge(claims)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	sign := p.Sign
	if sign == nil {
		sign = func(b []byte) string { return Sign(p.t, jose.RS256, jose.JSONWebKey{Key: p.key, KeyID: "1"}, b) }
	}
	p.send(w, http.StatusOK, map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": sign(text)})
}

// PublicKey is the published key as bytes, for attacks that use it as a shared secret.
func (p *Provider) PublicKey() []byte { return p.key.N.Bytes() }

// Sign signs claims.
func Sign(t testing.TB, alg jose.SignatureAlgorithm, key any, claims []byte) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	signed, err := s.Sign(claims)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

// Unsigned is a token with the algorithm none.
func Unsigned(claims []byte) string {
	enc := base64.RawURLEncoding
	return fmt.Sprintf("%s.%s.", enc.EncodeToString([]byte(`{"alg":"none"}`)), enc.EncodeToString(claims))
}
