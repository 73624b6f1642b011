package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"cattlecounter/shared/secret"
)

// CallbackPath is where an OpenID Connect provider sends the browser back.
const CallbackPath = "/api/v1/openid/callback"

// OpenID configures the log-in at an OpenID Connect provider. It is off while Issuer is empty.
type OpenID struct {
	Issuer       string        `yaml:"issuer"` // URL, exactly as the provider writes it
	ClientID     string        `yaml:"client_id"`
	ClientSecret secret.String `yaml:"client_secret"`
	Name         string        `yaml:"name"`   // of the provider, on the button
	Claim        string        `yaml:"claim"`  // of the ID token with groups or roles
	Scopes       []string      `yaml:"scopes"` // besides openid and profile
	// Grants are lines GROUP=ROLE@SITE, with + between sites.
	Grants []string `yaml:"grants"`
}

// OpenIDGrant is what a group of the provider gives.
type OpenIDGrant struct {
	Group, Role string
	Sites       []string
}

var errGrant = errors.New("is not GROUP=ROLE@SITE, such as cattle-admins=admin@* or crew=operator@north+south")

// ParseGrants reads Grants.
func (o OpenID) ParseGrants() ([]OpenIDGrant, error) {
	var all []OpenIDGrant
	for _, line := range o.Grants {
		i := strings.LastIndex(line, "=") // a group may have = in its name
		role, sites, ok := strings.Cut(line[i+1:], "@")
		if i < 1 || !ok || sites == "" {
			return nil, fmt.Errorf("%.80q %w", line, errGrant)
		}
		if !slices.Contains(PeopleRoles(), role) {
			return nil, fmt.Errorf("%.80q: %q is not one of %s", line, role, strings.Join(PeopleRoles(), ", "))
		}
		all = append(all, OpenIDGrant{Group: line[:i], Role: role, Sites: strings.Split(sites, "+")})
	}
	return all, nil
}

func (h HTTP) validateOpenID(f *faults) {
	o := h.OpenID
	if o.Issuer == "" {
		f.addIf(!h.Passwords, "http.passwords: false needs http.openid.issuer; otherwise no log-in would be left")
		f.addIf(o.ClientID != "" || len(o.Grants) > 0, "http.openid.issuer: is empty, so http.openid has no effect; set it or remove the rest")
		return
	}
	u, err := url.Parse(o.Issuer)
	ok := err == nil && u.Host != "" && u.RawQuery == "" && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()+":0"))
	f.addIf(!ok, "http.openid.issuer: %q is not an https address such as https://login.example/realms/farm", o.Issuer)
	f.addIf(o.ClientID == "", "http.openid.client_id: set the id that the provider gave this server")
	f.addIf(o.ClientSecret.IsZero(), "http.openid.client_secret: set it, best in CATTLE_CLOUD_HTTP_OPENID_CLIENT_SECRET_FILE")
	f.addIf(h.PublicURL == "", "http.public_url: http.openid needs it; the provider sends browsers to it, with the path %s", CallbackPath)
	f.addIf(o.Claim == "", "http.openid.claim: set the claim of the ID token with groups or roles, such as groups")
	grants, err := o.ParseGrants()
	if err != nil {
		f.addIf(true, "http.openid.grants: %v", err)
	}
	f.addIf(err == nil && len(grants) == 0, "http.openid.grants: is empty, so no log-in at the provider would be allowed")
}
