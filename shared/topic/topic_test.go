package topic

import (
	"errors"
	"strings"
	"testing"

	"cattlecounter/shared/footage"
)

func TestTopicsAndBack(t *testing.T) {
	d := Device{Site: "north", Name: "dock-1"}
	for name, want := range map[string]Address{
		d.Status():                       {Kind: KindStatus, Device: d},
		d.Vitals():                       {Kind: KindVitals, Device: d},
		d.Footage("f1"):                  {Kind: KindFootage, Device: d, ID: "f1"},
		d.Command():                      {Kind: KindCommand, Device: d},
		d.CommandReply("c1"):             {Kind: KindReply, Device: d, ID: "c1"},
		d.Job("j1"):                      {Kind: KindJob, Device: d, ID: "j1"},
		Counts("north", "f1"):            {Kind: KindCount, Device: Device{Site: "north"}, ID: "f1"},
		FlightCount("north", "f1"):       {Kind: KindFlight, Device: Device{Site: "north"}, ID: "f1"},
		NewestOf("north", "dock-1"):      {Kind: KindNewest, Device: d},
		PaddockOf("north", "Hill_2"):     {Kind: KindPaddock, Device: Device{Site: "north"}, ID: "Hill_2"},
		PaddockOf("north", "Süd/Ost +#"): {Kind: KindPaddock, Device: Device{Site: "north"}, ID: "s-d-ost-23a4967b"},
	} {
		got, err := Parse(name)
		if err != nil || got != want {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		if want.Kind != KindCount && want.Kind != KindFlight && want.Kind != KindNewest && want.Kind != KindPaddock && !strings.HasPrefix(name, d.Prefix()) {
			t.Errorf("%s is not below %s", name, d.Prefix())
		}
	}
	if d.Jobs() != "cattle/v1/north/dock-1/jobs/+" {
		t.Error(d.Jobs())
	}
}

func TestForeignTopics(t *testing.T) {
	for _, name := range []string{"", "cattle/v1", "cattle/v2/a/b/status", "cattle/v1/a/b", "cattle/v1/a/b/c/d/e",
		"cattle/v1/a/b/dance", "cattle/v1/a/b/status/x",
		"cattle/v1/+/b/status", "cattle/v1/a/b/jobs/#", "cattle/v1//b/status", "cattle/v1/a/counts", "cattle/v1/a/counts/x/y", "cattle/v1/a/b/footage/"} {
		if a, err := Parse(name); !errors.Is(err, ErrTopic) {
			t.Errorf("%q: %+v %v", name, a, err)
		}
	}
}

func TestParseDevice(t *testing.T) {
	if d, err := ParseDevice("north", "dock-1"); err != nil || d != (Device{"north", "dock-1"}) {
		t.Error(d, err)
	}
	for _, bad := range [][2]string{{"", "d"}, {"s", ""}, {"a/b", "d"}, {"s", "+"}, {"s", "#"}, {"s", "counts"}} {
		if _, err := ParseDevice(bad[0], bad[1]); !errors.Is(err, ErrTopic) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The first message of a session has a higher seq than the last one of an earlier session.
func TestSessionsAreOrdered(t *testing.T) {
	if SessionSeq(2)-SessionSeq(1) < 1<<32 || SessionSeq(1) <= SessionSeq(0) {
		t.Error(SessionSeq(1), SessionSeq(2))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("cattle/v1/north/dock-1/jobs/j1")
	f.Add("cattle/v1/north/counts/f1")
	f.Add("cattle/v1/north/counts/stations/dock-1")
	f.Add("cattle/v1/north/counts/paddocks/hill")
	f.Fuzz(func(t *testing.T, name string) {
		a, err := Parse(name)
		if err != nil {
			if !errors.Is(err, ErrTopic) {
				t.Fatal(err)
			}
			return
		}
		back := map[Kind]string{KindStatus: a.Device.Status(), KindVitals: a.Device.Vitals(),
			KindFootage: a.Device.Footage(footage.ID(a.ID)),
			KindCommand: a.Device.Command(), KindReply: a.Device.CommandReply(a.ID), KindJob: a.Device.Job(a.ID), KindCount: Counts(a.Device.Site, footage.ID(a.ID)),
			KindFlight: FlightCount(a.Device.Site, a.ID), KindNewest: NewestOf(a.Device.Site, a.Device.Name),
			KindPaddock: PaddockOf(a.Device.Site, a.ID)}
		if back[a.Kind] != name {
			t.Fatalf("%q is %+v is %q", name, a, back[a.Kind])
		}
	})
}
