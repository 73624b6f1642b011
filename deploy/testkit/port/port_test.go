package port

import (
	"net"
	"testing"
)

// Addresses differ, nothing listens at them, and a server may listen there twice.
func TestFree(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		at := Free(t)
		if n := Number(t, at); seen[at] || n < first || n >= last {
			t.Fatalf("got %s, after %v", at, seen)
		}
		seen[at] = true
	}
	for at := range seen {
		for range 2 {
			ln, err := net.Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			ln.Close()
		}
	}
}

// The end of a reservation frees its mark.
func TestRelease(t *testing.T) {
	at, release, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.ListenPacket("udp", at); err == nil {
		c.Close()
		t.Errorf("%s is not reserved", at)
	}
	release()
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
