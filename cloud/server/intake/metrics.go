package intake

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/shared/wire"
)

type metrics struct {
	bytes    prometheus.Counter
	active   prometheus.Gauge
	finished *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

const (
	namespace   = "cattle"
	subsystem   = "intake"
	scrapeLimit = 2 * time.Second
)

// newMetrics registers what the intake counts, with r when there is one.
func newMetrics(r prometheus.Registerer, s sessions) (*metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	m := &metrics{
		bytes: prometheus.NewCounter(prometheus.CounterOpts(opts("received_bytes_total",
			"Bytes of uploads that are durable."))),
		active: prometheus.NewGauge(prometheus.GaugeOpts(opts("requests_active", "Running upload requests."))),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts(opts("uploads_finished_total",
			"Uploads that were verified and recorded.")),
			[]string{"outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts(opts("refused_total",
			"Requests answered with a problem document.")),
			[]string{"problem"}),
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("sessions_open",
		"Upload sessions that are not finished.")), func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
		defer cancel()
		n, err := s.CountUnfinished(ctx, "")
		if err != nil {
			return math.NaN() // not known
		}
		return float64(n)
	})
	for _, o := range []string{outcomeCounted, outcomeDuplicate, outcomeSibling, outcomeRepeat,
		outcomeTelemetry, outcomeThumbnail} {
		m.finished.WithLabelValues(o)
	}
	for _, slug := range wire.Slugs() {
		m.refused.WithLabelValues(string(slug))
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.bytes, m.active, m.finished, m.refused, open} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
