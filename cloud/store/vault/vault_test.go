package vault

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

func newKeys(t *testing.T) *Keys {
	t.Helper()
	return must.Get(Create(filepath.Join(t.TempDir(), "secrets.key")))(t)
}

func TestSealedTextsOpenAtTheirPlaceOnly(t *testing.T) {
	k := newKeys(t)
	const seed = "JBSWY3DPEHPK3PXP"
	sealed := must.Get(k.Seal("factor", "anna", seed))(t)
	if again := must.Get(k.Seal("factor", "anna", seed))(t); again == sealed || strings.Contains(sealed, seed) {
		t.Errorf("%s and %s: want different texts that do not show the secret", sealed, again)
	}
	if got := must.Get(k.Open("factor", "anna", sealed))(t); got != seed {
		t.Errorf("opened %q", got)
	}
	flip := []byte(sealed)
	flip[len(flip)-3] ^= 1
	for name, c := range map[string]struct {
		keys                   *Keys
		purpose, owner, sealed string
		want                   error
	}{
		"another person":  {k, "factor", "ben", sealed, ErrCorrupt},
		"another purpose": {k, "webhook", "anna", sealed, ErrCorrupt},
		"a changed text":  {k, "factor", "anna", string(flip), ErrCorrupt},
		"a cut text":      {k, "factor", "anna", sealed[:len(sealed)-8], ErrCorrupt},
		"an empty text":   {k, "factor", "anna", sealed[:strings.LastIndex(sealed, ":")+1], ErrCorrupt},
		"another file":    {newKeys(t), "factor", "anna", sealed, ErrNoKey},
		"no file":         {nil, "factor", "anna", sealed, ErrNoKey},
	} {
		got, err := c.keys.Open(c.purpose, c.owner, c.sealed)
		if !errors.Is(err, c.want) || got != "" {
			t.Errorf("%s: %q, error %v, want %v", name, got, err, c.want)
		}
	}
}

// Keys of a text do what those of the same file do, and are not changed here.
func TestFixed(t *testing.T) {
	k := newKeys(t)
	text := string(must.Get(os.ReadFile(k.Path()))(t))
	fixed := must.Get(Fixed(text))(t)
	if got := must.Get(fixed.Open("factor", "anna", must.Get(k.Seal("factor", "anna", "x"))(t)))(t); got != "x" {
		t.Errorf("opened %q", got)
	}
	if got := must.Get(k.Open("factor", "anna", must.Get(fixed.Seal("factor", "anna", "y"))(t)))(t); got != "y" {
		t.Errorf("opened %q", got)
	}
	must.FailWith(t, fixed.Add(), ErrFixed)
	if _, err := Fixed("aGVsbG8"); !errors.Is(err, ErrFile) || strings.Contains(err.Error(), "aGVsbG8") {
		t.Error(err)
	}
}

func TestPlainTexts(t *testing.T) {
	var none *Keys
	for _, k := range []*Keys{none, newKeys(t)} {
		for _, text := range []string{"", "JBSWY3DPEHPK3PXP", "whsec_v1:x"} {
			if got := must.Get(k.Open("factor", "anna", text))(t); got != text {
				t.Errorf("%q was opened as %q", text, got)
			}
		}
	}
	if got := must.Get(none.Seal("factor", "anna", "x"))(t); got != "x" {
		t.Errorf("sealed without a key: %q", got)
	}
}

// A running program sees a key that another one added; the older keys still open.
func TestRotation(t *testing.T) {
	k := newKeys(t)
	running := must.Get(Open(k.Path()))(t)
	var sealed []string
	for range 4 {
		sealed = append(sealed, must.Get(running.Seal("p", "o", "secret"))(t))
		must.Do(t, k.Add())
	}
	for i, s := range sealed {
		if got := must.Get(running.Open("p", "o", s))(t); got != "secret" {
			t.Errorf("text %d is %q", i, got)
		}
	}
	first, _ := KeyOf(sealed[0])
	if n := must.Get(k.Keep(map[string]bool{first: true}))(t); n != 2 {
		t.Errorf("%d keys removed of 5, want 2", n)
	}
	for i, want := range []error{nil, ErrNoKey, ErrNoKey, nil} {
		if _, err := running.Open("p", "o", sealed[i]); !errors.Is(err, want) {
			t.Errorf("text %d: error %v, want %v", i, err, want)
		}
	}
}

func TestFiles(t *testing.T) {
	k := newKeys(t)
	if info := must.Get(os.Stat(k.Path()))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := Create(k.Path()); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file: %v", err)
	}
	if left := must.Get(os.ReadDir(filepath.Dir(k.Path())))(t); len(left) != 1 {
		t.Errorf("%d files, want the keys alone", len(left))
	}
	if _, err := Open(k.Path() + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	const text = "bm90IGEga2V5" // a key that is too short
	must.Do(t, os.WriteFile(k.Path(), []byte(heading+text), 0o600))
	if _, err := k.Seal("p", "o", "x"); !errors.Is(err, ErrFile) || strings.Contains(err.Error(), text) {
		t.Errorf("a damaged file: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	k, err := Create(filepath.Join(f.TempDir(), "secrets.key"))
	if err != nil {
		f.Fatal(err)
	}
	id, _ := k.Current()
	f.Add("v1:" + id + ":AAAA")
	f.Add("v1:" + id)
	f.Add("v1::")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := k.Open("p", "o", text)
		if _, sealed := KeyOf(text); sealed != (err != nil) || err == nil && got != text {
			t.Fatalf("%q was opened as %q, error %v", text, got, err)
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(heading))
	f.Add([]byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := parseFile(text)
		if (err == nil) != (len(all) > 0) || err != nil && !errors.Is(err, ErrFile) {
			t.Fatalf("%d keys, error %v", len(all), err)
		}
	})
}
