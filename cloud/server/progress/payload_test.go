package progress

import (
	"reflect"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
)

// A count is published again when its paddocks are known, and after a restart with its original times.
func TestCountWithPaddocks(t *testing.T) {
	l, b := openLedger(t), newFakeBroker()
	_, stop := publish(t, l, b)
	finish(t, l, begin(t, l, record(t, l, "edge1", "one", "a").Job.ID), 4)
	name := topic.Counts("farm", "one")
	first := await(t, b, name, func(c topic.Count) bool { return c.Unique == 4 })
	if first.Captured != nil || first.CountedAt.IsZero() || !first.At.Equal(first.CountedAt) || first.Paddocks != nil {
		t.Errorf("first message %+v", first)
	}
	four := 4
	flown := time.Date(2026, 5, 1, 6, 0, 0, 0, time.UTC)
	due := must.Get(l.Grounds.ListDue(t.Context(), "", 1))(t)[0]
	must.Do(t, l.Grounds.Put(t.Context(), due, ledger.Ground{Taken: flown, Spread: ledger.Spread{Way: "camera", Placed: 4, Borders: 1,
		Paddocks: []ledger.PaddockCount{{Name: "Hill", Animals: &four, Low: &four, High: &four, Seen: 1}, {Name: "Dam", Seen: 0.2}}}}))
	placed := await(t, b, name, func(c topic.Count) bool { return len(c.Paddocks) == 2 })
	if !placed.Captured.Equal(flown) || !placed.CountedAt.Equal(first.CountedAt) || placed.Seq <= first.Seq ||
		*placed.Paddocks[0].Animals != 4 || placed.Paddocks[1].Animals != nil {
		t.Errorf("with paddocks %+v", placed)
	}
	stop()
	b.restart()
	publish(t, l, b)
	if again := await(t, b, name, func(topic.Count) bool { return true }); !reflect.DeepEqual(again, placed) {
		t.Errorf("after a restart %+v, want %+v", again, placed)
	}
}

func TestManyPaddocksOfACount(t *testing.T) {
	var s ledger.Spread
	for i := range maxPaddocks + 20 {
		s.Paddocks = append(s.Paddocks, ledger.PaddockCount{Animals: &i})
	}
	s.Paddocks[5].Animals = nil
	if list := paddocksOf(s); len(list) != maxPaddocks || *list[0].Animals != maxPaddocks+19 || *list[maxPaddocks-1].Animals != 20 {
		t.Errorf("%d paddocks, the first with %d", len(list), *list[0].Animals)
	}
}
