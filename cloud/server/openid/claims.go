package openid

import (
	"encoding/json"
	"slices"
	"strings"
)

// Bounds of what a token may name.
const (
	maxValues = 2000
	maxText   = 255
)

// ranks are the roles that a provider may give, the weakest first.
var ranks = []string{"viewer", "reviewer", "operator", "admin"}

// values are the texts of a claim: a text, or those of a list. A claim that is not there is looked for inside of objects:
// realm_access.roles is the list roles of the object realm_access.
func values(claims map[string]json.RawMessage, name string) []string {
	raw, ok := claims[name]
	if !ok {
		outer, inner, nested := strings.Cut(name, ".")
		var object map[string]json.RawMessage
		if !nested || json.Unmarshal(claims[outer], &object) != nil {
			return nil
		}
		return values(object, inner)
	}
	if s := text(raw); s != "" {
		return []string{s}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) > maxValues {
		return nil
	}
	var out []string
	for _, one := range list {
		if s := text(one); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// text is a text of a token, "" for something else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil || len(s) > maxText {
		return ""
	}
	return s
}

// strongest is what the groups of somebody give: the strongest of their roles, at the sites of all groups with this role.
func strongest(grants []Grant, groups []string) Grant {
	var best Grant
	for _, g := range grants {
		if !slices.Contains(groups, g.Value) {
			continue
		}
		switch have, is := slices.Index(ranks, best.Role), slices.Index(ranks, g.Role); {
		case is > have:
			best = Grant{Value: g.Value, Role: g.Role, Sites: slices.Clone(g.Sites)}
		case is == have && is >= 0:
			for _, site := range g.Sites {
				if !slices.Contains(best.Sites, site) {
					best.Sites = append(best.Sites, site)
				}
			}
		}
	}
	return best
}
