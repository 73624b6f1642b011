package overview

import (
	"context"
	"fmt"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/wire"
)

// certificates are those of the server that end soon, or that cannot be got or renewed.
func (o *Overview) certificates(_ context.Context, in ledger.Scope) ([]wire.Attention, error) {
	if !in.All() {
		return nil, nil
	}
	var all []wire.Attention
	for listener, read := range o.o.Certificates {
		c := read()
		left := c.Ends.Sub(o.o.Now())
		if c.Fault == nil && (left > certificateEnds || c.Managed && left > certificateLast || c.Ends.IsZero()) {
			continue // a first request takes a minute
		}
		a := wire.Attention{Kind: wire.AttentionCertificateEnd, Severity: wire.Warn, Since: c.Ends.Add(-certificateEnds),
			Action: wire.ActNone, Text: certificateText(listener, c, left)}
		if c.Fault != nil {
			a.Since = c.FaultSince
		}
		if left <= certificateLast {
			a.Severity = wire.Bad
		}
		all = append(all, a)
	}
	return all, nil
}

func certificateText(listener string, c Certificate, left time.Duration) string {
	day, renew := c.Ends.UTC().Format(time.DateOnly), "renew its files, no restart is needed"
	if c.Managed {
		renew = "the server tries again by itself"
	}
	if c.Fault != nil {
		renew = fmt.Sprintf("%s: %s", renew, faulttext.Of(c.Fault))
	}
	switch {
	case c.Ends.IsZero():
		return fmt.Sprintf("%s has no certificate for one of its names, and clients cannot connect by it; %s", listener, renew)
	case left <= 0:
		return fmt.Sprintf("the certificate of %s ended on %s, and clients refuse it; %s", listener, day, renew)
	}
	return fmt.Sprintf("the certificate of %s ends on %s; %s", listener, day, renew)
}
