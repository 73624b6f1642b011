package ledger

import (
	"testing"

	"cattlecounter/deploy/testkit/clock"
	"cattlecounter/deploy/testkit/must"
)

// A flight log that arrives after its video is recorded once, as a change that subscribers see.
func TestSetTelemetry(t *testing.T) {
	l := open(t, newPlace(t), clock.New())
	must.FailWith(t, l.Footage.SetTelemetry(t.Context(), "a", "k"), ErrNotFound)
	created := record(t, l, "a", "cows").Footage.Seq
	var seqs []int64
	for range 2 {
		must.Do(t, l.Footage.SetTelemetry(t.Context(), "a", "k"))
		f := must.Get(l.Footage.Get(t.Context(), "a"))(t)
		if f.TelemetryKey != "k" {
			t.Fatalf("got key %q, want k", f.TelemetryKey)
		}
		seqs = append(seqs, f.Seq)
	}
	if seqs[0] <= created || seqs[1] != seqs[0] {
		t.Errorf("got numbers %v after %d, want one new number", seqs, created)
	}
}
