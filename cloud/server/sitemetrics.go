package server

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/cloud/server/progress"
	"cattlecounter/cloud/store/ledger"
)

// siteCounts finds the newest counts; ledger.Sites implements it.
type siteCounts interface {
	Names(ctx context.Context, limit int) ([]string, error)
	Newest(ctx context.Context, site string, in ledger.Scope, from time.Time, limit int) ([]ledger.Sighting, error)
	NewestPaddocks(ctx context.Context, site string, most int) ([]ledger.PaddockSighting, error)
}

// Limits of one scrape.
const (
	mostMeasuredSites = 200
	// mostMeasuredCounts are the newest counts of a site in which the animals of a paddock are looked for.
	mostMeasuredCounts   = 100
	mostMeasuredPaddocks = 200 // of one site
	siteTime             = 5 * time.Second
)

// siteCollector reads the newest count of each site and paddock at every scrape. Every figure has its interval and the
// time of its recording, so that a board can show how old it is. What was never counted has no series.
type siteCollector struct {
	counts        siteCounts
	borders       progress.Borders // a paddock that the site has no more has no series
	site, paddock countSeries
}

// countSeries are a count, its 95 % interval, and the time of the recording.
type countSeries struct{ animals, low, high, at *prometheus.Desc }

func newSiteCollector(counts siteCounts, borders progress.Borders) *siteCollector {
	series := func(subsystem, of string, labels ...string) countSeries {
		d := func(name, help string) *prometheus.Desc {
			return prometheus.NewDesc(prometheus.BuildFQName("cattle", subsystem, name), help+of, labels, nil)
		}
		return countSeries{animals: d("animals", "Animals in the newest count of a "), low: d("animals_low",
			"Lower end of the 95 % interval of the newest count of a "), high: d("animals_high",
			"Upper end of the 95 % interval of the newest count of a "), at: d("count_timestamp_seconds",
			"Time of the recording that was counted last, or of its arrival where that is unknown, of a ")}
	}
	return &siteCollector{counts: counts, borders: borders, site: series("site", "site.", "site"),
		paddock: series("paddock", "paddock.", "site", "paddock")}
}

// Describe implements prometheus.Collector.
func (c *siteCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range []countSeries{c.site, c.paddock} {
		for _, d := range []*prometheus.Desc{s.animals, s.low, s.high, s.at} {
			ch <- d
		}
	}
}

// Collect implements prometheus.Collector. It leaves out what it cannot read; the readiness check has the reason.
func (c *siteCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), siteTime)
	defer cancel()
	names, err := c.counts.Names(ctx, mostMeasuredSites)
	if err != nil {
		return
	}
	for _, name := range names {
		if c.collectSite(ctx, ch, name) != nil {
			return
		}
	}
}

func (c *siteCollector) collectSite(ctx context.Context, ch chan<- prometheus.Metric, name string) error {
	newest, err := c.counts.Newest(ctx, name, ledger.Scope{}, time.Time{}, 1)
	if err != nil {
		return err
	}
	for _, s := range newest {
		c.site.collect(ch, s.Unique, s.Low, s.High, s.At, name)
	}
	current, _, err := c.borders(ctx, name)
	if err != nil || len(current) == 0 {
		return err
	}
	paddocks, err := c.counts.NewestPaddocks(ctx, name, mostMeasuredCounts)
	if err != nil {
		return err
	}
	for _, p := range paddocks[:min(len(paddocks), mostMeasuredPaddocks)] {
		if !slices.Contains(current, p.Name) {
			continue
		}
		c.paddock.collect(ch, *p.Animals, *p.Low, *p.High, p.Footage.Sighted(), name, p.Name)
	}
	return nil
}

func (s countSeries) collect(ch chan<- prometheus.Metric, animals, low, high int, at time.Time, labels ...string) {
	for d, v := range map[*prometheus.Desc]float64{s.animals: float64(animals), s.low: float64(low),
		s.high: float64(high), s.at: float64(at.UnixMilli()) / 1000} {
		m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...)
		if err != nil { // a name that is no UTF-8
			m = prometheus.NewInvalidMetric(d, err)
		}
		ch <- m
	}
}
