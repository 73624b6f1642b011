package disk

import (
	"testing"

	"go.uber.org/goleak"

	"cattlecounter/cloud/blob"
	"cattlecounter/cloud/blob/blobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fresh(t testing.TB, root string) *Store {
	t.Helper()
	s, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return fresh(t, t.TempDir()) })
}

func TestStager(t *testing.T) {
	blobtest.RunStager(t, func(t *testing.T) (blobtest.Staging, func() blobtest.Staging) {
		root := t.TempDir()
		return fresh(t, root), func() blobtest.Staging { return fresh(t, root) }
	})
}
