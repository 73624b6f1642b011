package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

type listed []wire.Station

func (l listed) List(context.Context) ([]wire.Station, error) {
	if l == nil {
		return nil, errors.New("the ledger does not answer")
	}
	return l, nil
}

func TestStationMetrics(t *testing.T) {
	at := time.Unix(1_800_000_000, 500e6)
	stations := listed{
		{Site: "north", Device: "dock-1", State: wire.StationOnline, Seen: &at, WaitingBytes: 7,
			Vitals: &topic.Vitals{SpoolPercent: 42, Alarms: map[string]string{"spool": "full soon", "invented": "x"}}},
		{Site: "north", Device: "dock-2", State: wire.StationOffline, Seen: &at},
		{Site: "north", Device: "never"},
	}
	const want = `
		# HELP cattle_station_alarm 1 while a station has this alarm.
		# TYPE cattle_station_alarm gauge
		cattle_station_alarm{alarm="clock",device="dock-1",site="north"} 0
		cattle_station_alarm{alarm="cloud",device="dock-1",site="north"} 0
		cattle_station_alarm{alarm="quarantine",device="dock-1",site="north"} 0
		cattle_station_alarm{alarm="space",device="dock-1",site="north"} 0
		cattle_station_alarm{alarm="spool",device="dock-1",site="north"} 1
		# HELP cattle_station_last_seen_timestamp_seconds Time of the newest request or message of a station.
		# TYPE cattle_station_last_seen_timestamp_seconds gauge
		cattle_station_last_seen_timestamp_seconds{device="dock-1",site="north"} 1.8000000005e+09
		cattle_station_last_seen_timestamp_seconds{device="dock-2",site="north"} 1.8000000005e+09
		# HELP cattle_station_online 1 while a station is online.
		# TYPE cattle_station_online gauge
		cattle_station_online{device="dock-1",site="north"} 1
		cattle_station_online{device="dock-2",site="north"} 0
		# HELP cattle_station_spool_used_ratio Used part of the room that the spool of a station may use; at 1 it reads no more footage.
		# TYPE cattle_station_spool_used_ratio gauge
		cattle_station_spool_used_ratio{device="dock-1",site="north"} 0.42
		# HELP cattle_station_waiting_bytes Bytes of footage on a station that the cloud does not have.
		# TYPE cattle_station_waiting_bytes gauge
		cattle_station_waiting_bytes{device="dock-1",site="north"} 7
		cattle_station_waiting_bytes{device="dock-2",site="north"} 0
	`
	if err := testutil.CollectAndCompare(newStationCollector(stations), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(newStationCollector(listed(nil))); n != 0 {
		t.Errorf("%d series without a ledger", n)
	}
	if problems, err := testutil.CollectAndLint(newStationCollector(stations)); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
