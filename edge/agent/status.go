package agent

import (
	"math"
	"os"
	"time"

	"cattlecounter/edge/spool"
	"cattlecounter/edge/status"
	"cattlecounter/edge/uplink"
	"cattlecounter/edge/vitals"
	"cattlecounter/shared/topic"
)

// Status returns the state of every part.
func (a *Agent) Status() status.Status {
	s := status.Status{V: status.Version, At: time.Now().UTC(), Clock: vitals.Clock(), ClockHint: a.clockHint(),
		Link: a.uplink.Link(), Uplink: a.uplink.Report(), Folders: a.watch.Folders(), Disk: a.disk(),
		Agent: status.Agent{Site: a.cfg.Site, Device: a.cfg.Device, Version: a.version, PID: os.Getpid(), Session: a.session,
			Started: a.started, Uptime: time.Since(a.begun).Seconds(), Paused: a.uplink.Paused(), OrderKey: a.orders.Key()},
		Totals: map[status.Phase]int{}, Footage: []status.Footage{}}
	if a.beacon != nil {
		b := a.beacon.Status()
		s.Broker = status.Broker{Enabled: true, Up: b.Up, Waiting: b.Waiting, Dropped: b.Dropped, Detail: b.Why}
	}
	s.Alarms, _ = a.alarms.All()
	for _, p := range status.Phases() {
		s.Totals[p] = 0
	}
	for _, r := range a.spool.Records.All() {
		if r.LogOf != "" {
			if !r.State.Ended() {
				s.FlightLogs = append(s.FlightLogs, status.LogOfRecord(r))
			}
			continue
		}
		f := status.OfRecord(r, a.spool.Records.Get)
		s.Totals[f.Phase]++
		s.Footage = append(s.Footage, f)
	}
	return s
}

// answerWatchdog answers the service manager's watchdog with the status in one line. It reads the
// spool and the status of every part, so a lock that is held forever makes it block. A
// card or a link that hangs does not: those have limits of their own, and a restart would
// not help.
func (a *Agent) answerWatchdog() (string, error) {
	if _, err := a.spool.Link.Paused(); err != nil {
		return "", err
	}
	return status.Line(a.Status()), nil
}

func (a *Agent) disk() status.Disk {
	d := status.Disk{Quota: int64(a.cfg.Spool.Quota), MinFree: int64(a.cfg.Spool.MinFree)}
	sp, err := a.spool.Disk.Space()
	d.Total, d.Free, d.Spool, d.Percent = sp.Total, sp.Free, sp.Used, sp.Percent()
	if err != nil {
		d.Alarm = err.Error()
	} else if sp.Full != nil {
		d.Alarm = sp.Full.Error()
	}
	return d
}

// vitals returns the device's health for the beacon.
func (a *Agent) vitals() topic.Vitals {
	d := a.disk()
	v := topic.Vitals{UptimeSeconds: time.Since(a.begun).Seconds(), DiskTotal: d.Total, DiskFree: d.Free,
		SpoolBytes:   d.Spool,
		TemperatureC: vitals.Temperature(), LinkUp: a.uplink.Link().State == uplink.LinkUp, SpoolPercent: d.Percent, OrderKey: a.orders.Key()}
	v.Alarms, v.Alarm = a.alarms.All()
	if h := a.clockHint(); h != nil {
		v.ClockOffset, v.ClockSource = &h.Offset, h.Source
	}
	for _, r := range a.spool.Records.All() {
		if r.LogOf == "" && !r.State.Ended() && r.State != spool.Confirmed {
			v.SpoolFootage++
		}
	}
	return v
}

// clockHint returns the best hint of the time, nil without one.
func (a *Agent) clockHint() *status.ClockHint {
	e, ok := a.clock.Best()
	if !ok {
		return nil
	}
	return &status.ClockHint{Source: topic.ClockSource(e.Source), From: e.From, Time: e.Now, Offset: seconds(e.Ahead),
		Uncertainty: seconds(e.Uncertainty), Age: seconds(e.Age), Text: e.Text()}
}

// seconds rounds to milliseconds; a hint is not more precise.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }
