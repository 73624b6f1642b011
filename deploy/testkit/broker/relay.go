package broker

import "cattlecounter/deploy/testkit/faultproxy"

// Relay starts a proxy in front of the broker, which lasts until the end of the test. Sever interrupts the network of
// the client that uses the proxy, and Close ends it.
func (b *Broker) Relay() *faultproxy.Proxy {
	b.t.Helper()
	p, err := faultproxy.New(faultproxy.Options{To: b.addr})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = p.Close() })
	return p
}
