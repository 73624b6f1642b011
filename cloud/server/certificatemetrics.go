package server

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/cloud/config"
)

// registerCertificates adds a metric with the end of the certificate of each listener that has one.
func registerCertificates(reg *prometheus.Registry, cfg config.Config, log *slog.Logger) error {
	ends, err := certificateEnds(cfg, log)
	if err != nil {
		return err
	}
	var faults []error
	for listener, end := range ends {
		faults = append(faults, reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "cattle", Name: "certificate_expires_timestamp_seconds", Help: "When the certificate of a listener ends.",
			ConstLabels: prometheus.Labels{"listener": listener},
		}, func() float64 { return float64(end().UnixMilli()) / float64(time.Second/time.Millisecond) })))
	}
	return errors.Join(faults...)
}
