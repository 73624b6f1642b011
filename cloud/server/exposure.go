package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server/openid"
	"cattlecounter/cloud/server/web"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/secret"
)

// newWeb adds to o what the configuration says of the HTTP listener, and listens.
func newWeb(ctx context.Context, cfg config.Config, o web.Options) (*web.Server, error) {
	o.Listen, o.IdleTimeout, o.OpenReading = cfg.HTTP.Listen, cfg.HTTP.IdleTimeout, cfg.HTTP.OpenReading
	o.Hosts = hostNames(cfg)
	o.Secure = cfg.HTTP.TLS.On() || strings.HasPrefix(cfg.HTTP.PublicURL, "https://")
	for _, role := range cfg.HTTP.SecondFactor {
		o.SecondFactor = append(o.SecondFactor, ledger.Role(role))
	}
	var err error
	if o.Proxies, err = cfg.HTTP.ProxyNetworks(); err != nil {
		return nil, fmt.Errorf("http.proxies: %w", err)
	}
	if cfg.HTTP.PublicURL != "" {
		o.Proxies = append(o.Proxies, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	if err := addOpenID(cfg.HTTP, &o); err != nil {
		return nil, err
	}
	return web.New(ctx, o)
}

// addOpenID adds the provider for log-ins, where there is one.
func addOpenID(h config.HTTP, o *web.Options) error {
	o.NoPasswords = !h.Passwords
	if h.OpenID.Issuer == "" {
		return nil
	}
	grants, err := h.OpenID.ParseGrants()
	if err != nil {
		return fmt.Errorf("http.openid.grants: %w", err)
	}
	var given []openid.Grant
	for _, g := range grants {
		sites, err := ledger.ParseSiteSet(g.Sites)
		if err != nil {
			return fmt.Errorf("http.openid.grants: group %.80q: %w", g.Group, err)
		}
		given = append(given, openid.Grant{Value: g.Group, Role: g.Role, Sites: sites})
	}
	if o.OpenIDName = h.OpenID.Name; o.OpenIDName == "" {
		u, err := url.Parse(h.OpenID.Issuer)
		if err != nil {
			return fmt.Errorf("http.openid.issuer: %w", err)
		}
		o.OpenIDName = u.Hostname()
	}
	o.OpenID = openid.New(openid.Options{Issuer: h.OpenID.Issuer, ClientID: h.OpenID.ClientID, ClientSecret: h.OpenID.ClientSecret,
		Redirect: strings.TrimSuffix(h.PublicURL, "/") + config.CallbackPath, Scopes: h.OpenID.Scopes, Claim: h.OpenID.Claim, Grants: given})
	return nil
}

// hostNames are the names that clients may use for this server.
func hostNames(cfg config.Config) []string {
	var names []string
	for _, n := range cfg.HTTP.Hosts {
		names = append(names, strings.ToLower(n))
	}
	names = append(names, cfg.HTTP.TLS.ACME.Domains...)
	if u, err := url.Parse(cfg.HTTP.PublicURL); err == nil && u.Hostname() != "" {
		names = append(names, strings.ToLower(u.Hostname()))
	}
	if host, _, err := net.SplitHostPort(cfg.HTTP.Listen); err == nil && host != "" {
		names = append(names, strings.ToLower(host))
	}
	return names
}

// setupCode returns a code for the first admin, or an empty one when there are people.
func setupCode(ctx context.Context, l *ledger.Ledger) (secret.String, error) {
	if n, err := l.People.Count(ctx); err != nil || n > 0 {
		return secret.String{}, err
	}
	return l.People.NewCode(ctx, ledger.CodeSetup, "")
}

func scheme(cfg config.Config) string {
	if cfg.HTTP.TLS.On() {
		return "https"
	}
	return "http"
}

// announce logs where the server is reached, and what an operator should know about that.
func announce(cfg config.Config, at Addresses, ledger string, log *slog.Logger) {
	page := cfg.HTTP.PublicURL
	if page == "" {
		page = at.HTTP
	}
	log.Info("cloud-api is ready", "address", at.HTTP, "page", page, "data", cfg.Data, "ledger", ledger, "store", cfg.Store)
	if cfg.HTTP.OpenReading {
		log.Warn("reading is open: everybody on this machine reads footage and counts without a login; "+
			"http.open_reading: false ends that", "address", at.HTTP)
	}
	if cfg.HTTP.Insecure && !cfg.HTTP.TLS.On() && !config.Loopback(cfg.HTTP.Listen) {
		log.Warn("http.insecure is set: passwords, tokens and footage cross the network in the clear unless a proxy adds TLS",
			"address", at.HTTP)
	}
	if cfg.MQTT.Insecure && at.Broker != "" && !cfg.MQTT.TLS.On() && !config.Loopback(cfg.MQTT.EmbeddedListen) {
		log.Warn("mqtt.insecure is set: tokens and messages cross the network in the clear unless a proxy adds TLS",
			"address", at.Broker)
	}
}
