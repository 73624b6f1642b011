package clock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/beevik/ntp"
)

// ntpLimit bounds the question to one server, its name included.
const ntpLimit = 5 * time.Second

// ErrUnwelcome says that a time server does not want to be asked (RFC 5905
// section 7.4). Who asks must stop then.
var ErrUnwelcome = errors.New("the time server does not want to be asked")

// AskNTP asks a time server, host or host:port, once: two packets of 48 bytes.
// The error wraps ErrUnwelcome or ErrImplausible where that is the reason.
func AskNTP(ctx context.Context, server string) (Hint, error) {
	return askNTP(ctx, server, new(net.Dialer).DialContext)
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func askNTP(ctx context.Context, server string, dial dialer) (Hint, error) {
	ctx, cancel := context.WithTimeout(ctx, ntpLimit)
	defer cancel()
	var sent time.Time
	var hangUp func() bool
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: ntpLimit, Dialer: func(_, remote string) (net.Conn, error) {
		c, err := dial(ctx, "udp", remote)
		if err != nil {
			return nil, err
		}
		hangUp = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })
		sent = time.Now()
		return guarded{c}, nil
	}})
	at := time.Now()
	if hangUp != nil {
		hangUp()
	}
	if err == nil {
		err = r.Validate()
	}
	switch {
	case errors.Is(err, ntp.ErrKissOfDeath):
		return Hint{}, fmt.Errorf("%s answers %q: %w", server, r.KissCode, ErrUnwelcome)
	case err != nil:
		return Hint{}, fmt.Errorf("time server %s: %w", server, err)
	}
	// Not the library's offset: it is a difference of two readings of the wall
	// clock, which may be set in between.
	half := at.Sub(sent) / 2
	return newHint(NTP, server, r.Time.Add(half), half+max(r.RootDelay/2, 0)+max(r.RootDispersion, 0), at)
}

// guarded keeps packets from the library that it panics on: it shifts by the
// negated poll interval and precision, which for -128 is no positive number.
type guarded struct{ net.Conn }

func (g guarded) Read(b []byte) (int, error) {
	const poll, precision, broken = 2, 3, 0x80
	n, err := g.Conn.Read(b)
	if err == nil && n > precision && (b[poll] == broken || b[precision] == broken) {
		return 0, errors.New("poll interval or precision of -128")
	}
	return n, err
}
