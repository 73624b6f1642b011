// Package port finds addresses for servers of tests that must know their port before they listen, or that listen again at
// the same port after a stop. A port that the kernel picks for port 0 is not safe for that: while the server is away, the
// kernel may give the port to a connection of any other program. No program imports this package.
package port

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports to choose from. They are below those that the kernel picks itself: 32768 and more on Linux, 49152 and more
// elsewhere.
const (
	first = 15_000
	last  = 32_000
	tries = 1000
)

// Reserve returns a TCP address of loopback, host:port, at which nothing listens. No other caller gets it, also in another
// process, until release is called or this process ends: the UDP port of the same number is held as a mark.
func Reserve() (address string, release func(), err error) {
	for range tries {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.N(last-first)))
		var lc net.ListenConfig
		mark, held := lc.ListenPacket(context.Background(), "udp", address)
		if held != nil {
			continue
		}
		ln, taken := lc.Listen(context.Background(), "tcp", address)
		if taken == nil {
			taken = ln.Close()
		}
		if taken == nil {
			return address, func() { _ = mark.Close() }, nil
		}
		_ = mark.Close()
		err = taken
	}
	return "", nil, fmt.Errorf("no free port on 127.0.0.1 in %d tries: %w", tries, err)
}

// Free returns an address of Reserve that is reserved until the end of the test.
func Free(t testing.TB) string {
	t.Helper()
	address, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// Number is the port of an address host:port.
func Number(t testing.TB, address string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	n, fault := strconv.Atoi(text)
	if err != nil || fault != nil {
		t.Fatalf("address %q has no port", address)
	}
	return n
}
