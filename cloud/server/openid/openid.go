// Package openid logs people in at an OpenID Connect provider, such as Entra ID or Keycloak, by the authorization code flow
// with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9207). It decides who somebody is and what the provider's
// groups give them; sessions are those of cloud/store/ledger.
package openid

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cattlecounter/shared/secret"
)

const (
	patience = 10 * time.Second // for an answer of the provider
	// restAfter is how long a provider that did not answer is not asked again: many log-ins must not wait one after the other.
	restAfter = 5 * time.Second
)

// Classes of errors; compare with errors.Is.
var (
	ErrUnreachable = errors.New("the provider does not answer")
	ErrDeclined    = errors.New("the provider did not log the person in") // canceled, or not allowed there
	ErrRefused     = errors.New("the answer of the provider is not valid")
)

// Options of New. Everything is required but Client and Now.
type Options struct {
	Issuer       string // URL, exactly as the provider writes it
	ClientID     string
	ClientSecret secret.String
	Redirect     string   // URL to which the provider sends the browser back
	Scopes       []string // besides openid and profile
	Claim        string   // the claim of the ID token with groups or roles; a dot leads into an object
	Grants       []Grant
	Client       *http.Client
	Now          func() time.Time
}

// Grant is what a value of the claim gives.
type Grant struct {
	Value string
	Role  string
	Sites []string
}

// Identity is somebody whom the provider has logged in. Issuer and Subject identify; Name may change and is only shown.
type Identity struct {
	Issuer, Subject, Name string
	Grant                 Grant // the zero value when no group gives anything
}

// Answer is what the browser brings back.
type Answer struct{ Code, State, Issuer, Error string }

// Provider is one provider. It is safe for concurrent use.
type Provider struct {
	o Options

	mu      sync.Mutex
	known   *known
	failed  time.Time
	failure error
}

// known is what the discovery document of the provider says.
type known struct {
	oauth     oauth2.Config
	verifier  *oidc.IDTokenVerifier
	sendsName bool // every answer names the issuer (RFC 9207)
}

// New returns a provider, without asking it.
func New(o Options) *Provider {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: patience}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Provider{o: o}
}

// Begin returns the address to which the browser goes. key is a new random secret that only this browser has; state, nonce
// and the verifier of PKCE follow from it. The error wraps ErrUnreachable.
func (p *Provider) Begin(ctx context.Context, key secret.String) (string, error) {
	k, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return k.oauth.AuthCodeURL(derive(key, "state"), oidc.Nonce(derive(key, "nonce")),
		oauth2.S256ChallengeOption(derive(key, "verifier"))), nil
}

// Finish returns who came back with an answer. key is that of Begin; the caller sees to it that it is used once. The error
// wraps ErrUnreachable, ErrDeclined or ErrRefused, and never has the code or a token.
func (p *Provider) Finish(ctx context.Context, key secret.String, a Answer) (Identity, error) {
	if subtle.ConstantTimeCompare([]byte(a.State), []byte(derive(key, "state"))) != 1 {
		return Identity{}, fmt.Errorf("the state is not that of this browser: %w", ErrRefused)
	}
	k, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	switch {
	case a.Issuer != "" && a.Issuer != p.o.Issuer, a.Issuer == "" && k.sendsName:
		return Identity{}, fmt.Errorf("the answer is from the issuer %.120q, not %q: %w", a.Issuer, p.o.Issuer, ErrRefused)
	case a.Error != "":
		return Identity{}, fmt.Errorf("error %.60q: %w", a.Error, ErrDeclined)
	case a.Code == "":
		return Identity{}, fmt.Errorf("the answer has no code: %w", ErrRefused)
	}
	ctx = oidc.ClientContext(ctx, p.o.Client)
	tokens, err := k.oauth.Exchange(ctx, a.Code, oauth2.VerifierOption(derive(key, "verifier")))
	if err != nil {
		return Identity{}, exchangeFault(err)
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return Identity{}, fmt.Errorf("the provider sent no ID token: %w", ErrRefused)
	}
	token, err := k.verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("ID token: %w: %w", err, ErrRefused)
	}
	return p.identify(token, derive(key, "nonce"))
}

// identify reads an ID token whose signature, issuer, audience and time are right.
func (p *Provider) identify(token *oidc.IDToken, nonce string) (Identity, error) {
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return Identity{}, fmt.Errorf("the ID token belongs to another log-in: %w", ErrRefused)
	}
	var c map[string]json.RawMessage
	if err := token.Claims(&c); err != nil {
		return Identity{}, fmt.Errorf("claims of the ID token: %w: %w", err, ErrRefused)
	}
	if azp := text(c["azp"]); azp != p.o.ClientID && (azp != "" || len(token.Audience) > 1) {
		return Identity{}, fmt.Errorf("the ID token was made for %.60q: %w", azp, ErrRefused)
	}
	if token.Subject == "" || len(token.Subject) > 255 {
		return Identity{}, fmt.Errorf("the ID token has no subject of 1 to 255 bytes: %w", ErrRefused)
	}
	id := Identity{Issuer: token.Issuer, Subject: token.Subject, Name: firstOf(text(c["preferred_username"]), text(c["email"]),
		text(c["name"]), token.Subject)}
	id.Grant = strongest(p.o.Grants, values(c, p.o.Claim))
	return id, nil
}

// discover asks the provider once for its addresses.
func (p *Provider) discover(ctx context.Context) (*known, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil {
		return p.known, nil
	}
	if p.failure != nil && p.o.Now().Sub(p.failed) < restAfter {
		return nil, p.failure
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.o.Client), p.o.Issuer)
	var meta struct {
		SendsName bool `json:"authorization_response_iss_parameter_supported"`
	}
	if err == nil {
		err = provider.Claims(&meta)
	}
	if err != nil {
		p.failed, p.failure = p.o.Now(), fmt.Errorf("discovery of %s: %w: %w", p.o.Issuer, err, ErrUnreachable)
		return nil, p.failure
	}
	p.known = &known{sendsName: meta.SendsName,
		verifier: provider.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now}),
		oauth: oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.ClientSecret.Reveal(), RedirectURL: p.o.Redirect,
			Endpoint: provider.Endpoint(), Scopes: append([]string{oidc.ScopeOpenID, "profile"}, p.o.Scopes...)}}
	return p.known, nil
}

// exchangeFault is an error of the token endpoint without its body, which could show a token.
func exchangeFault(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError {
		return fmt.Errorf("the provider refused the code: status %d, error %.60q: %w", refused.Response.StatusCode,
			refused.ErrorCode, ErrRefused)
	}
	if refused != nil {
		return fmt.Errorf("token endpoint: status %d: %w", refused.Response.StatusCode, ErrUnreachable)
	}
	return fmt.Errorf("token endpoint: %w: %w", err, ErrUnreachable)
}

// derive returns one of the values of a log-in, 256 bits in base64url.
func derive(key secret.String, purpose string) string {
	b, err := hkdf.Key(sha256.New, []byte(key.Reveal()), nil, "cattlecounter openid "+purpose, sha256.Size)
	if err != nil { // only for a length that is too large
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func firstOf(texts ...string) string {
	return texts[slices.IndexFunc(texts, func(s string) bool { return s != "" })]
}
