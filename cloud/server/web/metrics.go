package web

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/shared/job"
)

const namespace = "cattle"

// metrics are the counters of this package.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	received prometheus.Counter
}

func newMetrics(o Options, connections func() int) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: "http_requests_total",
			Help: "Requests answered."}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: "http_request_seconds",
			Help: "Time from the head of a request to its answer.", Buckets: []float64{.005, .025, .1, .5, 2, 10, 60,
				600}}, []string{"route"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "upload_bytes_total",
			Help: "Bytes of request bodies received."}),
	}
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, f)
	}
	o.Metrics.MustRegister(m.requests, m.seconds, m.received, newLedgerCollector(o),
		gauge("http_connections", "Open connections.", func() float64 { return float64(connections()) }),
		gauge("sse_subscribers", "Listeners of server-sent events.", func() float64 { return float64(o.Hub.Subscribers()) }),
	)
	return m
}

func (m *metrics) request(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// ledgerCollector reads the ledger and the queue at every scrape.
type ledgerCollector struct {
	o                                             Options
	jobs, footage, bytes, animals, uploads, queue *prometheus.Desc
}

func newLedgerCollector(o Options) *ledgerCollector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &ledgerCollector{o: o,
		jobs:    d("jobs", "Jobs by state.", "state"),
		footage: d("footage", "Pieces of footage in the ledger."),
		bytes:   d("footage_bytes", "Bytes of footage, duplicates not counted."),
		animals: d("animals_counted", "Sum of the counts; a flight of several pieces of footage counts once."),
		uploads: d("uploads_open", "Uploads that are not finished."),
		queue:   d("queue_length", "Messages in the job queue."),
	}
}

// Describe implements prometheus.Collector.
func (l *ledgerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.jobs, l.footage, l.bytes, l.animals, l.uploads, l.queue} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. It leaves out values that it cannot read; the
// readiness check has the reason.
func (l *ledgerCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTime)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if st, err := l.o.Ledger.Totals.Stats(ctx); err == nil {
		for _, state := range job.States() {
			gauge(l.jobs, float64(st.Jobs[state]), string(state))
		}
		gauge(l.footage, float64(st.Footage))
		gauge(l.bytes, float64(st.Bytes))
		gauge(l.animals, float64(st.Animals))
		gauge(l.uploads, float64(st.Uploads))
	}
	if n, err := l.o.Queue.Len(ctx); err == nil {
		gauge(l.queue, float64(n))
	}
}
