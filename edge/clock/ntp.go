package clock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/beevik/ntp"
)

// ntpLimit bounds the query of one server, with the lookup of its name.
const ntpLimit = 5 * time.Second

// ErrRefused marks a time server that refuses queries (RFC 5905 section 7.4). The
// client must stop asking it.
var ErrRefused = errors.New("the time server refuses queries")

// AskNTP asks a time server, host or host:port, once: two packets of 48 bytes.
// The error wraps ErrRefused or ErrImplausible where that is the reason.
func AskNTP(ctx context.Context, server string) (Hint, error) {
	return askNTP(ctx, server, new(net.Dialer).DialContext)
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func askNTP(ctx context.Context, server string, dial dialer) (Hint, error) {
	ctx, cancel := context.WithTimeout(ctx, ntpLimit)
	defer cancel()
	var sent time.Time
	var disconnect func() bool
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: ntpLimit,
		Dialer: func(_, remote string) (net.Conn, error) {
			c, err := dial(ctx, "udp", remote)
			if err != nil {
				return nil, err
			}
			disconnect = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
			sent = time.Now()
			return guarded{c}, nil
		}})
	at := time.Now()
	if disconnect != nil {
		disconnect()
	}
	if err == nil {
		err = r.Validate()
	}
	switch {
	case errors.Is(err, ntp.ErrKissOfDeath):
		return Hint{}, fmt.Errorf("%s answers %q: %w", server, r.KissCode, ErrRefused)
	case err != nil:
		return Hint{}, fmt.Errorf("time server %s: %w", server, err)
	}
	// The library's offset is not used: it compares two readings of the wall clock,
	// which may be set in between.
	half := at.Sub(sent) / 2
	return newHint(NTP, server, r.Time.Add(half), half+max(r.RootDelay/2, 0)+max(r.RootDispersion, 0), at)
}

// guarded refuses packets that make the library panic: it shifts by the negated poll
// interval and precision, and -128 has no positive counterpart.
type guarded struct{ net.Conn }

func (g guarded) Read(b []byte) (int, error) {
	const poll, precision, broken = 2, 3, 0x80
	n, err := g.Conn.Read(b)
	if err == nil && n > precision && (b[poll] == broken || b[precision] == broken) {
		return 0, errors.New("poll interval or precision of -128")
	}
	return n, err
}
