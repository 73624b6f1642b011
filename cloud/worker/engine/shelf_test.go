package engine

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/model"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// A shelf sees models that come and go, loads one at a time, and refuses changed files.
func TestShelf(t *testing.T) {
	store := model.Store{Dir: filepath.Join(t.TempDir(), "My Herds")}
	first := filepath.Join("..", "..", "model", "default")
	s := openShelf(t, first, store)
	own := s.Installed()[0]
	if len(s.Installed()) != 1 || !own.Own || !own.Loaded || own.Fault != "" || own.Size < 1e6 || own.Threshold != 0.4 || own.Since.IsZero() {
		t.Fatalf("at the start: %+v", s.Installed())
	}
	must.Do(t, os.CopyFS(filepath.Join(store.Dir, "herd"), os.DirFS(first)))
	herd := wire.ModelRef{Name: "herd", SHA256: own.SHA256}
	if s.Has(herd) {
		t.Error("it is seen before a look")
	}
	must.Do(t, model.WriteComparison(filepath.Join(store.Dir, "herd"), model.Comparison{Verdict: "better",
		Old: model.ComparedModel{Name: "default", SHA256: footage.Sum(nil)}, New: model.ComparedModel{Name: "herd", SHA256: own.SHA256, F1: 0.9}}))
	s.Rescan(t.Context())
	if got := s.Installed(); len(got) != 2 || got[1].ModelRef != herd || got[1].Loaded || got[1].Comparison.New.F1 != 0.9 || !s.Has(herd) {
		t.Fatalf("after a look: %+v", got)
	}
	old := must.Get(s.Counter(wire.ModelRef{}))(t)
	if must.Get(s.Counter(own.ModelRef))(t) != old {
		t.Error("the loaded model is loaded again")
	}
	if must.Get(s.Counter(herd))(t) == old || !s.Installed()[1].Loaded || s.Installed()[0].Loaded || s.Engine().Model.Name != "herd" {
		t.Errorf("after the change: %+v", s.Installed())
	}
	must.Get(s.Counter(wire.ModelRef{}))(t)
	if !s.Installed()[0].Loaded {
		t.Error("the own model is not back")
	}

	card := filepath.Join(store.Dir, "herd", "cattlecounter.yaml")
	must.Do(t, os.WriteFile(card, append(must.Get(os.ReadFile(card))(t), "\n# changed\n"...), 0o600))
	must.FailWith(t, errOf(s.Counter(herd)), model.ErrDigest)
	if s.Engine() != nil || s.Installed()[0].Loaded {
		t.Error("a model is loaded after a failed change")
	}
	if got := s.Installed()[1]; got.Fault == "" || strings.Contains(got.Fault, "/") || strings.Contains(got.Fault, "Herds") || s.Has(herd) {
		t.Errorf("a model that could not be loaded: %+v", got)
	}
	s.Rescan(t.Context())
	if got := s.Installed()[1]; got.Fault == "" || strings.Contains(got.Fault, "/") || strings.Contains(got.Fault, "Herds") || s.Has(herd) {
		t.Errorf("with changed files: %+v", got)
	}
	must.Do(t, os.RemoveAll(filepath.Join(store.Dir, "herd")))
	s.Rescan(t.Context())
	if len(s.Installed()) != 1 {
		t.Errorf("after its removal: %+v", s.Installed())
	}
	must.FailWith(t, errOf(s.Counter(herd)), model.ErrNoModel)
	must.Get(s.Counter(own.ModelRef))(t)
}

// openShelf opens a shelf that ends with the test.
func openShelf(t *testing.T, own string, store model.Store) *Shelf {
	t.Helper()
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("ONNXRUNTIME_LIB is not set")
		}
		t.Skip("ONNXRUNTIME_LIB is not set")
	}
	s := must.Get(OpenShelf(t.Context(), Settings{Model: own, Store: store, Library: lib, Threads: 1}, slog.New(slog.DiscardHandler)))(t)
	t.Cleanup(func() { must.Do(t, s.Close()) })
	return s
}

// A model with a fault is usable again soon after its files are right, also when no file that the shelf looks at each
// time has changed.
func TestFaultEnds(t *testing.T) {
	store := model.Store{Dir: t.TempDir()}
	first := filepath.Join("..", "..", "model", "default")
	dir := filepath.Join(store.Dir, "herd")
	must.Do(t, os.CopyFS(dir, os.DirFS(first)))
	foreign := filepath.Join(dir, "model.onnx.data") // not in SHA256SUMS
	must.Do(t, os.WriteFile(foreign, []byte("x"), 0o600))
	s := openShelf(t, first, store)
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return now }
	herd := wire.ModelRef{Name: "herd", SHA256: s.Installed()[0].SHA256}
	if got := s.Installed()[1]; got.Fault == "" || s.Has(herd) {
		t.Fatalf("with a file too many: %+v", got)
	}
	must.Do(t, os.Remove(foreign))
	s.Rescan(t.Context())
	if got := s.Installed()[1]; got.Fault != "" || !s.Has(herd) {
		t.Fatalf("without it: %+v", got)
	}

	must.Do(t, os.WriteFile(foreign, []byte("x"), 0o600))
	must.FailWith(t, errOf(s.Counter(herd)), model.ErrDigest)
	must.Do(t, os.Remove(foreign))
	s.Rescan(t.Context())
	if s.Has(herd) {
		t.Error("a model that could not be loaded is tried again at once")
	}
	now = now.Add(spareFor)
	s.Rescan(t.Context())
	if !s.Has(herd) {
		t.Error("a model that could not be loaded is never tried again")
	}
	must.Get(s.Counter(herd))(t)
}

// Other files in the place of the own model are reported, and are a fault until the worker starts again.
func TestOwnModelIsReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "own")
	must.Do(t, os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "model", "default"))))
	s := openShelf(t, dir, model.Store{Dir: t.TempDir()})
	before := s.Installed()[0]
	loaded := must.Get(s.Counter(wire.ModelRef{}))(t)
	network := filepath.Join(dir, model.Network)
	first := must.Get(os.ReadFile(network))(t)
	other := append(slices.Clone(first), 0x32, 1, 'x') // a doc_string of ModelProto
	must.Do(t, os.WriteFile(network, other, 0o600))
	s.Rescan(t.Context())
	got := s.Installed()
	if len(got) != 1 || !got[0].Own || got[0].Loaded || got[0].SHA256 != footage.Sum(other) || !strings.Contains(got[0].Fault, "restart the worker") {
		t.Fatalf("with another network: %+v", got)
	}
	if s.Has(got[0].ModelRef) {
		t.Error("a model is offered that is not loaded before a restart")
	}
	if must.Get(s.Counter(wire.ModelRef{}))(t) != loaded {
		t.Error("the own model has changed without a restart")
	}
	must.Do(t, os.WriteFile(network, first, 0o600))
	s.Rescan(t.Context())
	if got := s.Installed()[0]; got.ModelRef != before.ModelRef || got.Fault != "" || !got.Loaded || !s.Has(before.ModelRef) {
		t.Errorf("with the first network again: %+v", got)
	}
}

func errOf(_ any, err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
