package settings

import (
	"errors"
	"os"
	"path/filepath"
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

func TestEnvironmentNamesFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, large := write("good", " s3cret \r\n"), write("large", strings.Repeat("x", maxValue+1))
	for name, c := range map[string]struct {
		environ     []string
		want, fault string
	}{
		"value":     {[]string{"CC_NAME_FILE=" + good}, " s3cret ", ""},
		"missing":   {[]string{"CC_NAME_FILE=" + dir + "/none"}, "", "environment CC_NAME_FILE: open"},
		"folder":    {[]string{"CC_NAME_FILE=" + dir}, "", "environment CC_NAME_FILE: read"},
		"too large": {[]string{"CC_NAME_FILE=" + large}, "", "more than"},
		"both":      {[]string{"CC_NAME=x", "CC_NAME_FILE=" + good}, "", "CC_NAME is set too"},
		"wrong":     {[]string{"CC_N_FILE=" + good}, "", "environment CC_N_FILE"},
		"unknown":   {[]string{"CC_NONE_FILE=" + good}, "", "CC_NONE_FILE: unknown"},
	} {
		var s sample
		err := Parse([]byte("uplink: {url: b}"), c.environ, "CC", &s)
		if c.fault == "" && (err != nil || s.Name != c.want) || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %q, error %v", name, s.Name, err)
		}
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
