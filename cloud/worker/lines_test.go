package worker

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/boundary"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

func lineSet(name string) boundary.Set {
	return boundary.Set{Lines: []boundary.Line{{Name: name, To: boundary.Point{1, 1}}}}
}

// judges is a Counter that finds as many crossings of each line as its name has letters.
func judges(_ context.Context, s count.Source, _ func(job.Progress)) (count.Outcome, error) {
	out := outcome(4)
	for _, l := range s.Lines.Lines {
		n := len(l.Name)
		out.Result.Lines = append(out.Result.Lines, report.Line{LineTotal: boundary.LineTotal{Name: l.Name, In: n, Net: n}})
	}
	return out, nil
}

// Footage is judged by its own lines, else those of its device, else those of the configuration.
func TestLinesOfAJob(t *testing.T) {
	s := newStage(t)
	w := s.worker("w", counterFunc(judges))
	w.o.Lines, w.o.DefaultLines = s.l.Lines, lineSet("configured")
	if _, err := s.l.Devices.Add(t.Context(), "dock", "ranch", ledger.RoleDevice); err != nil {
		t.Fatal(err)
	}
	set := func(o ledger.LineOwner, set boundary.Set) {
		t.Helper()
		if _, err := s.l.Lines.Put(t.Context(), o, set); err != nil {
			t.Fatal(err)
		}
	}
	counted := func(id footage.ID, want string) {
		t.Helper()
		s.deliver(t.Context(), w)
		c, err := s.l.Counts.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(c.Boundaries.Lines) > 0 {
			got = c.Boundaries.Lines[0].Name
		}
		if got != want || want != "" && c.Boundaries.Lines[0].In != len(want) {
			t.Errorf("%s: %+v, want %q", id, c.Boundaries, want)
		}
		key := strings.TrimSuffix(s.job(c.Job).ResultKey, "json") + wire.CrossingsExt
		_, err = s.b.Stat(t.Context(), key)
		if (err == nil) != (want != "") || err != nil && !errors.Is(err, blob.ErrNotFound) {
			t.Errorf("%s: crossings: %v", id, err)
		}
	}
	s.put("f1")
	counted("f1", "configured")
	set(ledger.LineOwner{Kind: ledger.DeviceLines, ID: "dock"}, lineSet("device"))
	s.put("f2")
	counted("f2", "device")
	s.put("f3")
	set(ledger.LineOwner{Kind: ledger.FootageLines, ID: "f3"}, lineSet("footage"))
	counted("f3", "footage")
	s.put("f4")
	set(ledger.LineOwner{Kind: ledger.FootageLines, ID: "f4"}, boundary.Set{})
	counted("f4", "")

	// A new count follows a change of the lines, also to none.
	again := func() {
		t.Helper()
		j, err := s.l.Jobs.Recount(t.Context(), "f3")
		if err == nil {
			err = errors.Join(s.q.Enqueue(t.Context(), j.ID), s.l.Jobs.MarkQueued(t.Context(), j.ID))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	again()
	set(ledger.LineOwner{Kind: ledger.FootageLines, ID: "f3"}, lineSet("another"))
	counted("f3", "another")
	again()
	set(ledger.LineOwner{Kind: ledger.FootageLines, ID: "f3"}, boundary.Set{})
	counted("f3", "")
}

type brokenLines struct{}

func (brokenLines) ForFlight(context.Context, string, ...string) (ledger.LineSet, error) {
	return ledger.LineSet{}, ledger.ErrUnreachable
}

func (brokenLines) For(context.Context, footage.ID) (ledger.LineSet, error) {
	return ledger.LineSet{}, ledger.ErrUnreachable
}

// A ledger that cannot be read returns the job to the queue: a count without its lines would be wrong.
func TestLinesThatCannotBeRead(t *testing.T) {
	s := newStage(t)
	w := s.worker("w", counterFunc(judges))
	w.o.Lines = brokenLines{}
	j := s.put("f1")
	s.deliver(t.Context(), w)
	if got := s.job(j.ID); got.State != job.Queued || got.Reason == "" {
		t.Errorf("%+v", got)
	}
}
