package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cattlecounter/shared/wire"
)

// stationList lists the stations; stations.Table implements it.
type stationList interface {
	List(ctx context.Context) ([]wire.Station, error)
}

// stationAlarms are the names of the alarms that become a label. Others are left out: what a station sends must not
// decide how many series there are.
var stationAlarms = []string{"space", "spool", "quarantine", "cloud", "clock"}

// stationCollector reads the table of stations at every scrape. A station that was never heard of has no series.
type stationCollector struct {
	stations                              stationList
	seen, online, spool, waiting, alarmed *prometheus.Desc
}

func newStationCollector(s stationList) *stationCollector {
	d := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName("cattle", "station", name), help,
			append([]string{"site", "device"}, more...), nil)
	}
	return &stationCollector{stations: s,
		seen:    d("last_seen_timestamp_seconds", "Time of the newest request or message of a station."),
		online:  d("online", "1 while a station is online."),
		spool:   d("spool_used_ratio", "Used part of the room that the spool of a station may use; at 1 it reads no more footage."),
		waiting: d("waiting_bytes", "Bytes of footage on a station that the cloud does not have."),
		alarmed: d("alarm", "1 while a station has this alarm.", "alarm"),
	}
}

// Describe implements prometheus.Collector.
func (c *stationCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.seen, c.online, c.spool, c.waiting, c.alarmed} {
		ch <- d
	}
}

const stationTime = 3 * time.Second

// Collect implements prometheus.Collector. While the ledger does not answer there are no series; the readiness check has
// the reason.
func (c *stationCollector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), stationTime)
	defer cancel()
	list, err := c.stations.List(ctx)
	if err != nil {
		return
	}
	for _, s := range list {
		c.station(ch, s)
	}
}

func (c *stationCollector) station(ch chan<- prometheus.Metric, s wire.Station) {
	gauge := func(d *prometheus.Desc, v float64, more ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{s.Site, s.Device}, more...)...)
	}
	if s.Seen == nil {
		return
	}
	gauge(c.seen, float64(s.Seen.UnixMilli())/1000)
	online := 0.0
	if s.State == wire.StationOnline {
		online = 1
	}
	gauge(c.online, online)
	gauge(c.waiting, float64(s.WaitingBytes))
	if s.Vitals == nil {
		return
	}
	gauge(c.spool, s.Vitals.SpoolPercent/100)
	for _, name := range stationAlarms {
		v := 0.0
		if _, set := s.Vitals.Alarms[name]; set {
			v = 1
		}
		gauge(c.alarmed, v, name)
	}
}
