package footage

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"DJI_0001.MP4":            "DJI_0001.MP4",
		"Kühe auf der Weide.mp4":  "Kühe auf der Weide.mp4",
		"牛群 (2).mov":              "牛群 (2).mov",
		"k\xfche.mp4":             `k\xfche.mp4`,
		"k\xe4he.mp4":             `k\xe4he.mp4`,
		"cows\u202e4pm.exe":       `cows\u202e4pm.exe`,
		"a\u2066b\u2069c\u200f":   `a\u2066b\u2069c\u200f`,
		"\u061ca.mp4":             `\u061ca.mp4`,
		"zero\u200bwidth\ufeff":   `zero\u200bwidth\ufeff`,
		"line\nbreak\x00\x1b[2J":  `line\x0abreak\x00\x1b[2J`,
		"\u0085next\u2028line":    `\u0085next\u2028line`,
		" a b ":                   `\x20a b\x20`,
		"":                        "unnamed",
		" ":                       `\x20`,
		".":                       `\x2e`,
		"..":                      `\x2e\x2e`,
		"../a":                    `..\x2fa`,
		"\u3164.mp4":              `\u3164.mp4`,
		"heart\u2764\ufe0f.mp4":   "heart\u2764" + `\ufe0f.mp4`,
		"\U000e0041tag\U0010fffd": `\U000e0041tag\U0010fffd`,
		`k\xfche.mp4`:             `k\xfche.mp4`, // a safe name stays
		"\ufffd":                  "\ufffd",
	} {
		if got := SafeName(name); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", name, got, want)
		}
	}
	if got, want := SafePath("/card/k\xfche/\u202ea.mp4"), `/card/k\xfche/\u202ea.mp4`; got != want {
		t.Errorf("SafePath: got %q, want %q", got, want)
	}
	if got, want := SafeText(" open /card/k\xfche\u202e:\n\tnot found\x1b "), " open /card/k\\xfche\\u202e:\n\tnot found\\x1b "; got != want {
		t.Errorf("SafeText: got %q, want %q", got, want)
	}
	if got := SafeBase("/card/DCIM/k\xfche.mp4"); got != `k\xfche.mp4` {
		t.Errorf("SafeBase: got %q", got)
	}
}

// A long name keeps its number and its extension, and stays apart from names that differ in the middle only.
func TestSafeNameOfALongName(t *testing.T) {
	long := strings.Repeat("\xe4", 120) + "%" + strings.Repeat("\xe4", 120) + "_0007.MP4"
	got := SafeName(long)
	if len(got) > MaxName || !strings.HasSuffix(got, "_0007.MP4") || !strings.HasPrefix(got, `\xe4\xe4`) {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
	if other := SafeName(strings.Replace(long, "%", "&", 1)); other == got {
		t.Errorf("two long names have one safe name: %q", got)
	}
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", "a.mp4", "k\xfche.mp4", "\u202e\u200b", strings.Repeat("ä", 200), strings.Repeat("\xff", 300),
		"牛" + strings.Repeat("\U0001f404", 90)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := SafeName(s)
		if got == "" || len(got) > MaxName || !utf8.ValidString(got) || got == "." || got == ".." {
			t.Fatalf("SafeName(%q) = %q", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) || r == '/' || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("SafeName(%q) = %q contains %U", s, got, r)
			}
		}
		if again := SafeName(got); again != got {
			t.Fatalf("SafeName(%q) = %q, and of that %q", s, got, again)
		}
		if !strings.Contains(s, `\`) && len(got) < MaxName/2 && s != "" && unescape(got) != s && got != unnamed {
			t.Fatalf("SafeName(%q) = %q does not give the name back: %q", s, got, unescape(got))
		}
	})
}

// unescape reverses the escapes of a name that had none of its own.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}
		if s[i] != '\\' || i+1 == len(s) || digits[s[i+1]] == 0 {
			b.WriteByte(s[i])
			i++
			continue
		}
		kind, n := s[i+1], digits[s[i+1]]
		v := rune(0)
		for _, c := range s[i+2 : i+2+n] {
			v = v*16 + rune(strings.IndexRune("0123456789abcdef", c))
		}
		if kind == 'x' {
			b.WriteByte(byte(v))
		} else {
			b.WriteRune(v)
		}
		i += 2 + n
	}
	return b.String()
}

func TestHasVideoExtension(t *testing.T) {
	for _, name := range []string{"a.mp4", "A.MP4", "dir/a.M2TS", "a.mts", "a.webm", "a.m4v", "a.b.mov"} {
		if !HasVideoExtension(name) {
			t.Errorf("%s: want footage", name)
		}
	}
	for _, name := range []string{"", "mp4", ".mp4", "a.mp4.part", "a.lrf", "a.", "a.mpeg"} {
		if HasVideoExtension(name) {
			t.Errorf("%s: want no footage", name)
		}
	}
	for _, ext := range VideoExtensions() {
		if ext != strings.ToLower(ext) || !HasVideoExtension("x"+ext) {
			t.Errorf("extension %q is not in lower case or not found", ext)
		}
	}
}
