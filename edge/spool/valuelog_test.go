package spool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

func FuzzScanEntries(f *testing.F) {
	s := open(f, f.TempDir())
	r := fill(f, s, "/card/a.mp4", 1, 300)
	names := must.Get(logFiles(s.store.path(), ".vlog"))(f)
	b := must.Get(os.ReadFile(filepath.Join(s.store.path(), names[len(names)-1])))(f)
	closeSpool(f, s)
	f.Add(b[:4000])
	f.Add([]byte(r.ID))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := int64(logHeader)
		damage, err := scanEntries(&window{r: strings.NewReader(string(b)), at: logHeader}, func(e entry) error {
			if e.Offset < at || len(e.Key) == 0 || e.Length <= len(e.Key)+len(e.Value) {
				t.Fatalf("entry before the last one, or inconsistent: %+v", e)
			}
			at = e.Offset + int64(e.Length)
			return nil
		})
		if err != nil || at > int64(max(len(b), logHeader)) {
			t.Fatalf("last entry ends at %d of %d bytes, error %v", at, len(b), err)
		}
		for _, d := range damage {
			if d.From >= d.To || d.To > int64(len(b)) {
				t.Fatalf("damage outside the file: %+v", damage)
			}
		}
	})
}
