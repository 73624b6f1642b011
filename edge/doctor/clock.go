package doctor

import (
	"context"
	"errors"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/edge/uplink"
	"cattlecounter/shared/topic"
)

const (
	// clockOff is from when the doctor warns: the clock dates the footage.
	clockOff = 10 * time.Second
	// clockWrong is from when orders expire too early and certificates fail.
	clockWrong = 5 * time.Minute

	timeService = "let a time service keep the clock (timedatectl set-ntp true, or chrony); " +
		"without internet use a GNSS receiver or a real-time clock: firmware-notes/time.md"
)

// clock compares this device's clock with other sources. It does not set the clock.
func (v *inspection) clock(ctx context.Context) []Finding {
	found := v.askReceiver(ctx)
	found = append(found, v.askServers(ctx)...)
	found = append([]Finding{v.compareClock()}, found...)
	if d := v.hints.Disagreement(); d != "" {
		found = append(found, warn("clock", "find out which source is wrong; the agent uses the first one",
			"time sources do not agree: %s", d))
	}
	return found
}

// askReceiver asks gpsd, where the configuration names one.
func (v *inspection) askReceiver(ctx context.Context) []Finding {
	at := v.Config.Clock.GPSD
	if at == "" {
		return nil
	}
	h, err := v.Probes.GPSD(ctx, at)
	switch {
	case err == nil:
		v.hints.Add(h)
		return nil
	case errors.Is(err, clock.ErrNoFix):
		return []Finding{warn("clock",
			"give the antenna a view of the sky and wait some minutes; gpsmon shows the receiver's state",
			"the GNSS receiver does not know the time: %v", err)}
	}
	return []Finding{warn("clock", "check clock.gpsd and gpsd itself: systemctl status gpsd",
		"cannot ask gpsd for the time: %v", err)}
}

// askServers asks time servers until one answers. No answer is a finding only where
// the configuration names servers.
func (v *inspection) askServers(ctx context.Context) []Finding {
	var last error
	for _, server := range v.NTP {
		h, err := v.Probes.NTP(ctx, server)
		if err == nil {
			v.hints.Add(h)
			return nil
		}
		last = err
	}
	if last == nil || len(v.Config.Clock.NTP) == 0 {
		return nil
	}
	return []Finding{warn("clock", "check clock.ntp, and that the firewall allows UDP port 123 to the outside",
		"no time server answers: %v", uplink.OneLine(last.Error()))}
}

func (v *inspection) compareClock() Finding {
	e, known := v.hints.Best()
	now, synced := v.Probes.Now(), v.Probes.Clock() == topic.ClockSynced
	shown := now.UTC().Format(time.RFC3339)
	off := e.Ahead.Abs().Round(10 * time.Millisecond)
	within := max(e.Ahead.Abs(), e.Uncertainty, time.Second).Round(10 * time.Millisecond)
	switch {
	case known && off > clockWrong:
		return fail("clock", "set the clock, and "+timeService, "the clock shows %s, which is %s off by %s", shown,
			clock.Coarse(off), e.From)
	case now.Before(clock.Built()):
		return fail("clock", "set the clock, and "+timeService, "the clock shows %s", shown)
	case v.dateBad && !known:
		return warn("clock", "compare it with the certificate's dates above; "+timeService,
			"the clock shows %s, when a certificate is not valid", shown)
	case known && off > clockOff:
		return warn("clock", timeService, "the clock shows %s, which is %s off by %s", shown, clock.Coarse(off), e.From)
	case !synced && known:
		return warn("clock", timeService,
			"the clock is right within %s by %s, but no time service keeps it: messages are marked unsynced", within, e.From)
	case !synced:
		return warn("clock", timeService, "the clock shows %s; no time service keeps it, and no time source answers", shown)
	case known:
		return ok("clock", "kept by a time service, right within %s by %s", within, e.From)
	}
	return ok("clock", "kept by a time service")
}
