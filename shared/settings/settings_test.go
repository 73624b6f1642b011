package settings

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/shared/secret"
)

type sample struct {
	Name   string `yaml:"name"`
	Uplink struct {
		URL   string        `yaml:"url"`
		Idle  time.Duration `yaml:"idle"`
		Token secret.String `yaml:"token"`
		Cap   ByteSize      `yaml:"cap"`
	} `yaml:"uplink"`
	Kinds []string `yaml:"kinds"`
	N     int      `yaml:"n"`
	On    bool     `yaml:"on"`
	X     float64  `yaml:"x"`
}

func (s *sample) Validate() error {
	if s.N < 0 {
		return errors.New("n: must not be negative")
	}
	return nil
}

func TestParse(t *testing.T) {
	s := sample{X: 0.5}
	err := Parse([]byte("name: a\nuplink:\n  url: http://x\n  idle: 30s\n  cap: 4MiB\nkinds: [a, b]\nn: 3\non: true\n"),
		[]string{"CC_UPLINK_TOKEN=abc", "OTHER=1", "CC_N=5"}, "CC", &s)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "a" || s.Uplink.Idle != 30*time.Second || s.Uplink.Cap != 4<<20 || s.N != 5 || !s.On || s.X != 0.5 ||
		s.Uplink.Token.Reveal() != "abc" || !slices.Equal(s.Kinds, []string{"a", "b"}) {
		t.Errorf("%+v", s)
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	var s sample
	err := Parse([]byte("nickname: a\nuplink:\n  idle: soon\n  cap: big\n  nope: 1\nn: 1.5\n"), []string{"CC_UPLINK_URI=x", "CC_ON=perhaps"}, "CC", &s)
	if !errors.Is(err, ErrInvalid) {
		t.Fatal(err)
	}
	for _, want := range []string{"line 1: nickname: unknown key", "line 3: uplink.idle", "line 4: uplink.cap", "line 5: uplink.nope", "line 6: n:",
		"CC_UPLINK_URI: unknown, nearest known: CC_UPLINK_URL", "CC_ON"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if err := Parse([]byte("n: -1"), nil, "CC", &s); err == nil || !strings.Contains(err.Error(), "n: must not be negative") {
		t.Errorf("Validate was not called: %v", err)
	}
}

func TestKeys(t *testing.T) {
	want := []string{"name", "uplink.url", "uplink.idle", "uplink.token", "uplink.cap", "kinds", "n", "on", "x"}
	if got := Keys(&sample{}); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]ByteSize{"0": 0, "17": 17, "4MiB": 4 << 20, "1.5 GB": 1_500_000_000, "2KiB": 2048, "3B": 3} {
		var b ByteSize
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: %d %v", text, b, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "1e30", "NaN", "4 mib"} {
		var b ByteSize
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted as %d", text, b)
		}
	}
	if s := ByteSize(3 << 20).String(); s != "3MiB" {
		t.Error(s)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("name: a\nuplink: {url: b, cap: 4MiB}\nkinds: [a]")
	f.Add("uplink: [")
	f.Fuzz(func(t *testing.T, text string) {
		var s sample
		if err := Parse([]byte(text), nil, "CC", &s); err != nil && !errors.Is(err, ErrInvalid) {
			t.Fatal(err)
		}
	})
}

func TestShort(t *testing.T) {
	for n, want := range map[ByteSize]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 256 << 20: "256 MiB", 9_000_000: "8.6 MiB", 3 << 40: "3.0 TiB", -1: "-1 B"} {
		if got := n.Short(); got != want {
			t.Errorf("%d: %q, want %q", int64(n), got, want)
		}
	}
}
