// Package monitoring tests the alert rules and the Grafana board against the metrics of the real server.
package monitoring
