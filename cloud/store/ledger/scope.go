package ledger

// Scope is what an answer is restricted to. The zero value is everything.
type Scope struct {
	Device string  // "" for all devices
	Sites  SiteSet // nil for all sites
}

// All reports whether nothing is left out.
func (s Scope) All() bool { return s.Device == "" && s.allSites() }

// Has reports whether the things of a device of a site are in it.
func (s Scope) Has(site, device string) bool {
	return (s.Device == "" || s.Device == device) && s.hasSite(site)
}

func (s Scope) allSites() bool { return s.Sites == nil || s.Sites.All() }

func (s Scope) hasSite(site string) bool { return s.allSites() || s.Sites.Has(site) }
