package blob

import (
	"errors"
	"path"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	for _, key := range []string{"a", "a/b", "footage/01jd/result/0f.json", "A_-.z", "-", "_", strings.Repeat("a", 128)} {
		if err := CheckKey(key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for _, key := range []string{"", "/", "a/", "/a", "a//b", ".", "..", "a/..", ".a", "a b", "ä", "a\\b",
		strings.Repeat("a", 129), strings.Repeat("a/", 300) + "a"} {
		if err := CheckKey(key); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func FuzzCheckKey(f *testing.F) {
	for _, s := range []string{"a/b.c", "../a", "a/./b", "\x00", "a\\..\\b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey(key) != nil {
			return
		}
		// An accepted key stays below the root that it is joined to.
		if path.Clean("/base/"+key) != "/base/"+key || strings.ContainsAny(key, "\\\x00:") {
			t.Fatalf("accepted %q", key)
		}
	})
}
