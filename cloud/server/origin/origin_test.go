package origin

import "testing"

func TestOfText(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7:4000": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7", "[::1]:80": "::1",
		"[2001:db8:1:2::1]:4": "2001:db8:1:2::/64", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:5": "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:4": "2001:db8:1:3::/64", "[fe80::1%eth0]:5": "fe80::/64", "pipe": "pipe", "host:1": "host",
	} {
		if got := OfText(in); got != want {
			t.Errorf("OfText(%q) is %q, want %q", in, got, want)
		}
	}
}
