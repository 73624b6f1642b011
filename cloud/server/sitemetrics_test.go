package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cattlecounter/cloud/store/ledger"
)

// counted are the newest counts of sites.
type counted struct {
	sites    map[string]ledger.Sighting
	paddocks []ledger.PaddockSighting
}

func (c counted) Names(context.Context, int) ([]string, error) {
	if c.sites == nil {
		return nil, errors.New("the ledger does not answer")
	}
	return []string{"empty", "north"}, nil
}

func (c counted) Newest(_ context.Context, site string, _ ledger.Scope, _ time.Time, _ int) ([]ledger.Sighting, error) {
	if s, ok := c.sites[site]; ok {
		return []ledger.Sighting{s}, nil
	}
	return nil, nil
}

func (c counted) NewestPaddocks(context.Context, string, int) ([]ledger.PaddockSighting, error) {
	return c.paddocks, nil
}

func (c counted) borders(_ context.Context, site string) (now, before []string, err error) {
	if site != "north" {
		return nil, nil, nil
	}
	return []string{"River"}, []string{"Sold"}, nil
}

func TestSiteMetrics(t *testing.T) {
	at, ints := time.Unix(1_800_000_000, 500e6), func(n int) *int { return &n }
	in := func(name string, n int, taken time.Time) ledger.PaddockSighting {
		return ledger.PaddockSighting{Footage: ledger.Footage{Taken: taken, Received: at.Add(time.Hour)},
			PaddockCount: ledger.PaddockCount{Name: name, Animals: ints(n), Low: ints(n - 2), High: ints(n + 3)}}
	}
	c := counted{sites: map[string]ledger.Sighting{"north": {Unique: 238, Low: 230, High: 247, At: at}},
		paddocks: []ledger.PaddockSighting{in("River", 40, time.Time{}), in("Sold", 7, at)}}
	const want = `
		# HELP cattle_paddock_animals Animals in the newest count of a paddock.
		# TYPE cattle_paddock_animals gauge
		cattle_paddock_animals{paddock="River",site="north"} 40
		# HELP cattle_paddock_animals_high Upper end of the 95 % interval of the newest count of a paddock.
		# TYPE cattle_paddock_animals_high gauge
		cattle_paddock_animals_high{paddock="River",site="north"} 43
		# HELP cattle_paddock_animals_low Lower end of the 95 % interval of the newest count of a paddock.
		# TYPE cattle_paddock_animals_low gauge
		cattle_paddock_animals_low{paddock="River",site="north"} 38
		# HELP cattle_paddock_count_timestamp_seconds Time of the recording that was counted last, or of its arrival where that is unknown, of a paddock.
		# TYPE cattle_paddock_count_timestamp_seconds gauge
		cattle_paddock_count_timestamp_seconds{paddock="River",site="north"} 1.8000036005e+09
		# HELP cattle_site_animals Animals in the newest count of a site.
		# TYPE cattle_site_animals gauge
		cattle_site_animals{site="north"} 238
		# HELP cattle_site_animals_high Upper end of the 95 % interval of the newest count of a site.
		# TYPE cattle_site_animals_high gauge
		cattle_site_animals_high{site="north"} 247
		# HELP cattle_site_animals_low Lower end of the 95 % interval of the newest count of a site.
		# TYPE cattle_site_animals_low gauge
		cattle_site_animals_low{site="north"} 230
		# HELP cattle_site_count_timestamp_seconds Time of the recording that was counted last, or of its arrival where that is unknown, of a site.
		# TYPE cattle_site_count_timestamp_seconds gauge
		cattle_site_count_timestamp_seconds{site="north"} 1.8000000005e+09
	`
	if err := testutil.CollectAndCompare(newSiteCollector(c, c.borders), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	silent := counted{}
	if n := testutil.CollectAndCount(newSiteCollector(silent, silent.borders)); n != 0 {
		t.Errorf("%d series without a ledger", n)
	}
	if problems, err := testutil.CollectAndLint(newSiteCollector(c, c.borders)); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
