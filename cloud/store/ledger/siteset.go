package ledger

import (
	"fmt"
	"slices"
	"strings"

	"cattlecounter/shared/topic"
)

// AllSites stands for every site in the sites of a token or a person.
const AllSites = "*"

// SiteSet is where a token or a person may read and act. The zero value is nowhere.
type SiteSet []string

// Has reports whether a site is one of them.
func (s SiteSet) Has(site string) bool { return s.All() || slices.Contains(s, site) }

// All reports whether they are every site, also those that come later.
func (s SiteSet) All() bool { return slices.Contains(s, AllSites) }

// String implements fmt.Stringer: names between commas.
func (s SiteSet) String() string { return strings.Join(s, ",") }

// ParseSiteSet checks names of sites. The error wraps ErrInvalid.
func ParseSiteSet(names []string) (SiteSet, error) {
	var out SiteSet
	for _, n := range names {
		if n != AllSites {
			if _, err := topic.ParseDevice(n, "x"); err != nil {
				return nil, fmt.Errorf("site %.80q: %w: %w", n, err, ErrInvalid)
			}
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no site given; name sites, or %s for all: %w", AllSites, ErrInvalid)
	}
	return out, nil
}

func readSiteSet(text string) SiteSet {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}
