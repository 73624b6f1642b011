package ground

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cattlecounter/cloud/place/paddock"
	"cattlecounter/cloud/store/ledger"
)

// mostVersions are the newest versions of the paddocks of a site whose names are known.
const mostVersions = 20

// Names knows the names of paddocks. It is safe for concurrent use.
type Names struct {
	Book *ledger.BorderBook

	mu    sync.Mutex
	known map[string]names // by site
}

// names are those of the version that holds, and of the newest versions.
type names struct {
	holds, newest int64
	now, all      []string
}

// At returns the names of the paddocks that a site has at a time, and of those that its newest versions have or had. Both
// are empty for a site without paddocks, and the caller must not change them.
func (n *Names) At(ctx context.Context, site string, at time.Time) (now, all []string, err error) {
	holds, err := n.Book.At(ctx, site, at)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	versions, err := n.Book.List(ctx, site, mostVersions)
	if err != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	newest := int64(0)
	for _, v := range versions {
		newest = max(newest, v.Version)
	}
	if k, ok := n.known[site]; ok && k.holds == holds.Version && k.newest == newest {
		return k.now, k.all, nil
	}
	if now, err = namesOf(holds); err == nil {
		all, err = n.allOf(ctx, versions)
	}
	if err != nil {
		return nil, nil, err
	}
	if n.known == nil {
		n.known = map[string]names{}
	}
	n.known[site] = names{holds.Version, newest, now, all}
	return now, all, nil
}

// allOf returns the names of all versions, each once.
func (n *Names) allOf(ctx context.Context, versions []ledger.Borders) (all []string, err error) {
	seen := map[string]bool{}
	for _, v := range versions {
		b, err := n.Book.Get(ctx, v.Site, v.Version)
		if err != nil {
			return nil, err
		}
		list, err := namesOf(b)
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	return all, nil
}

func namesOf(b ledger.Borders) ([]string, error) {
	list, err := paddock.Read([]byte(b.Document))
	if err != nil {
		return nil, fmt.Errorf("stored paddocks of site %s version %d: %w", b.Site, b.Version, err)
	}
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = p.Name
	}
	return names, nil
}
