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
	// clockOff is what is worth a word: footage is dated by the clock.
	clockOff = 10 * time.Second
	// clockWrong is where orders with an expiry are refused and certificates
	// begin to fail.
	clockWrong = 5 * time.Minute

	timeService = "let a time service keep it (timedatectl set-ntp true, or chrony); without internet a GNSS receiver or a real-time clock does: firmware-notes/time.md"
)

// clock compares the clock with what others say. Their word is a hint: nothing
// is set by it.
func (v *visit) clock(ctx context.Context) []Finding {
	found := v.askReceiver(ctx)
	found = append(found, v.askServers(ctx)...)
	found = append([]Finding{v.judgeClock()}, found...)
	if q := v.hints.Quarrel(); q != "" {
		found = append(found, warn("clock", "find out which is wrong; the first is believed", "time sources do not agree: %s", q))
	}
	return found
}

// askReceiver asks gpsd, where the configuration names one.
func (v *visit) askReceiver(ctx context.Context) []Finding {
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
		return []Finding{warn("clock", "give the antenna a view of the sky and wait some minutes; gpsmon shows what the receiver says", "GNSS does not know the time: %v", err)}
	}
	return []Finding{warn("clock", "check clock.gpsd, and gpsd itself: systemctl status gpsd", "GNSS cannot be asked: %v", err)}
}

// askServers asks time servers until one answers. That none does is worth a word
// only where the configuration counts on them.
func (v *visit) askServers(ctx context.Context) []Finding {
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
	return []Finding{warn("clock", "check clock.ntp, and that UDP port 123 is let out", "no time server answers: %v", uplink.OneLine(last.Error()))}
}

func (v *visit) judgeClock() Finding {
	e, known := v.hints.Best()
	now, synced := v.Probes.Now(), v.Probes.Clock() == topic.ClockSynced
	says := now.UTC().Format(time.RFC3339)
	off, within := e.Ahead.Abs().Round(10*time.Millisecond), max(e.Ahead.Abs(), e.Uncertainty, time.Second).Round(10*time.Millisecond)
	switch {
	case known && off > clockWrong:
		return fail("clock", "set it, and "+timeService, "it says %s, which is %s off by %s", says, clock.Coarse(off), e.From)
	case now.Before(clock.Built()):
		return fail("clock", "set it, and "+timeService, "it says %s", says)
	case v.dateBad && !known:
		return warn("clock", "look at the certificate's dates above; "+timeService, "it says %s, where a certificate is not valid", says)
	case known && off > clockOff:
		return warn("clock", timeService, "it says %s, which is %s off by %s", says, clock.Coarse(off), e.From)
	case !synced && known:
		return warn("clock", timeService, "it is right within %s by %s, but nothing keeps it so: messages say unsynced", within, e.From)
	case !synced:
		return warn("clock", timeService, "it says %s; nothing keeps it, and nobody could be asked", says)
	case known:
		return ok("clock", "kept by a time service, right within %s by %s", within, e.From)
	}
	return ok("clock", "kept by a time service")
}
