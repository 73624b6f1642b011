package engine

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"cattlecounter/cloud/model"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// A shelf sees models that come and go, loads one at a time, and refuses changed files.
func TestShelf(t *testing.T) {
	lib := os.Getenv("ONNXRUNTIME_LIB")
	if lib == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("ONNXRUNTIME_LIB is not set")
		}
		t.Skip("ONNXRUNTIME_LIB is not set")
	}
	store := model.Store{Dir: t.TempDir()}
	first := filepath.Join("..", "..", "model", "default")
	s := must.Get(OpenShelf(t.Context(), Settings{Model: first, Store: store, Library: lib, Threads: 1}, slog.New(slog.DiscardHandler)))(t)
	defer func() { must.Do(t, s.Close()) }()
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
	s.Rescan(t.Context())
	if got := s.Installed()[1]; got.Fault == "" || s.Has(herd) {
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

func errOf(_ any, err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
