package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// The key is made once and survives a restart, and others cannot read its file.
func TestPushKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := must.Get(Open(t.Context(), path, Options{}))(t)
	first := must.Get(l.PushKeys.Current(t.Context()))(t)
	if again := must.Get(l.PushKeys.Current(t.Context()))(t); again != first || len(first.Public) != 87 {
		t.Errorf("key %s, then %s", first.Public, again.Public)
	}
	must.Do(t, l.Close())
	if mode := must.Get(os.Stat(path))(t).Mode().Perm(); mode&0o077 != 0 {
		t.Errorf("the ledger has the mode %o", mode)
	}
	l = must.Get(Open(t.Context(), path, Options{}))(t)
	if after := must.Get(l.PushKeys.Current(t.Context()))(t); after != first {
		t.Error("a restart makes another key")
	}
	must.Do(t, l.Close())
}
