package server

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/cloud/server/overview"
)

// registerCertificates adds a metric with the end of the certificate of each listener that has one.
// It is 0 while there is none.
func registerCertificates(reg *prometheus.Registry, states map[string]func() overview.Certificate) error {
	var faults []error
	for listener, state := range states {
		faults = append(faults, reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "cattle", Name: "certificate_expires_timestamp_seconds", Help: "When the certificate of a listener ends.",
			ConstLabels: prometheus.Labels{"listener": listener},
		}, func() float64 { return seconds(state().Ends) })))
	}
	return errors.Join(faults...)
}
