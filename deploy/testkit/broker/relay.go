package broker

import "cattlecounter/deploy/testkit/faultproxy"

// Relay stands between one client and the broker until the end of the test, so that the
// client's network can go from one moment to the next: for a moment by Sever, for good by
// Close.
func (b *Broker) Relay() *faultproxy.Proxy {
	b.t.Helper()
	p, err := faultproxy.New(faultproxy.Options{To: b.addr})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = p.Close() })
	return p
}
