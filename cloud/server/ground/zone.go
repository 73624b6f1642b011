package ground

import (
	"fmt"
	"math"
	"sync"
	"time"
	_ "time/tzdata" // a server in a small container has no zones of its own

	"github.com/ringsaturn/tzf"

	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
)

// Sources of the time of a recording.
const (
	FromLog     = "log"       // the log has a satellite receiver's time, or a zone
	FromLogZone = "log_zone"  // local time of the log, in the zone of its position
	FromSolar   = "log_solar" // local time of the log, in the hour of its longitude: no zone is known there
	FromStation = "station"   // as the station sent it
)

// zones finds the zone of a position. It takes a second and some 100 MB of memory for a moment, so only servers with logs
// in local time make it.
var zones = sync.OnceValues(tzf.NewDefaultFinder)

// zone is a time zone and how it was found.
type zone struct {
	location *time.Location
	name     string
	solar    bool
}

// zoneAt returns the zone at the first position of a log.
func zoneAt(log *flightlog.Log) zone {
	for i := range log.Samples {
		if s := &log.Samples[i]; s.HasPosition() {
			return zoneOf(s.Lat, s.Lon)
		}
	}
	return zone{location: time.UTC, name: "UTC", solar: true}
}

// ZoneAt returns the time zone of a place and its name: an IANA name, or UTC±n by the longitude where none is known.
func ZoneAt(lat, lon float64) (*time.Location, string) {
	z := zoneOf(lat, lon)
	return z.location, z.name
}

func zoneOf(lat, lon float64) zone {
	if finder, err := zones(); err == nil {
		if name := finder.GetTimezoneName(lon, lat); name != "" {
			if l, err := time.LoadLocation(name); err == nil {
				return zone{location: l, name: name}
			}
		}
	}
	hours := int(math.Round(lon / 15))
	name := fmt.Sprintf("UTC%+d", hours)
	return zone{location: time.FixedZone(name, hours*3600), name: name, solar: true}
}

// taken is when footage was recorded by its log, and where that time comes from. The time is zero when the log does not
// tell; the source is then that of the time that the station sent, "" without one.
func taken(log *flightlog.Log, f ledger.Footage, now time.Time) (at time.Time, source, name string) {
	if !f.Captured.IsZero() {
		source = FromStation
	}
	if log == nil || !log.OfVideo {
		return time.Time{}, source, ""
	}
	t := log.Captured()
	if !footage.IsPlausible(t, now, true) {
		return time.Time{}, source, ""
	}
	switch log.Zone {
	case flightlog.UTC:
		return t.UTC(), FromLog, ""
	case flightlog.Local:
		z := zoneAt(log)
		at = time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), z.location).UTC()
		if z.solar {
			return at, FromSolar, z.name
		}
		return at, FromLogZone, z.name
	}
	return time.Time{}, source, ""
}
