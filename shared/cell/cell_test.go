package cell

import "testing"

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Hill": "Hill", "Hill - north": "Hill - north", "O'Neill": "O'Neill", "'quoted'": "'quoted'", "12": "12",
		`=HYPERLINK("http://evil")`: `'=HYPERLINK("http://evil")`, "+1": "'+1", "-1+cmd|' /C calc'!A0": "'-1+cmd|' /C calc'!A0",
		"@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", " =1": "' =1", "＝1": "'＝1", "'=1": "''=1", "-": "'-",
	} {
		got := Text(in)
		if got != want {
			t.Errorf("Text(%q) is %q, want %q", in, got, want)
		}
		if back := Original(got); back != in {
			t.Errorf("Original(%q) is %q, want %q", got, back, in)
		}
	}
}

// No text begins like a formula as a cell, and none is lost.
func FuzzText(f *testing.F) {
	for _, s := range []string{"Hill", "=1", "'=1", " '+", "''", "\ufeff@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if formula(got) {
			t.Errorf("Text(%q) is %q", s, got)
		}
		if back := Original(got); back != s {
			t.Errorf("Original(Text(%q)) is %q", s, back)
		}
	})
}
