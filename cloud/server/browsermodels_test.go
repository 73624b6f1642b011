package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

// modelOf is a model of a test.
func modelOf(name string) wire.ModelRef {
	return wire.ModelRef{Name: name, SHA256: footage.Sum([]byte(name))}
}

// seedModels reports a worker with two models, of which a comparison speaks against one, and counts three flights: two with
// both models.
func seedModels(t *testing.T, ctx context.Context, l *ledger.Ledger) {
	t.Helper()
	since := time.Now().Add(-48 * time.Hour)
	herd, dunes := modelOf("herd-2026"), modelOf("dunes-2026")
	must.Do(t, l.Workers.Report(ctx, ledger.Worker{Name: "gpu-1", Started: since, Until: time.Now().Add(time.Hour), Models: []wire.InstalledModel{
		{ModelRef: herd, Size: 4_491_174, Threshold: 0.4, Since: since, Loaded: true, Own: true},
		{ModelRef: dunes, Size: 4_491_174, Threshold: 0.35, Since: since.Add(24 * time.Hour),
			Caution: "dunes-2026 is worse than herd-2026 on the flights of 2026-03-01 (F1 is lower by 0.012): the model is not chosen",
			Comparison: &wire.ModelComparison{Verdict: "worse", Reasons: []string{"F1 is lower by 0.012"}, Compared: since,
				Old: wire.ModelFigures{ModelRef: herd, Pictures: 240, Animals: 3120, Precision: 0.972, Recall: 0.981, F1: 0.976, CountError: 0.011, False: 0.36},
				New: wire.ModelFigures{ModelRef: dunes, Pictures: 240, Animals: 3120, Precision: 0.951, Recall: 0.977, F1: 0.964, CountError: 0.024, False: 0.61}}},
	}}))
	for i, id := range []footage.ID{"m-1", "m-2", "m-3"} {
		rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: id, Site: []string{"north", "south"}[i%2], Device: "dock-1", Name: fmt.Sprintf("DJI_070%d.MP4", i),
			Size: 1 << 30, SHA256: footage.Sum([]byte(id)), BlobKey: string(id), Captured: since}))(t)
		for k, m := range []wire.ModelRef{herd, dunes} {
			if k == 1 && id == "m-3" {
				continue
			}
			if k == 1 {
				must.Get(l.Jobs.RecountWith(ctx, id, m))(t)
			}
			begun, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "gpu-1")
			must.Do(t, err)
			must.Get(l.Attempts.Finish(ctx, rec.Job.ID, begun.Fence, ledger.Count{Unique: 205 + i + 2*k, Low: 199, High: 214, Model: m.Name, ModelDigest: m.SHA256}, "k"))(t)
		}
	}
}

// TestPageModels chooses a model in spite of its caution, compares it, rolls back, and counts footage again with it. When its
// worker is gone, the queue says why the job waits. No view has a fault for axe, on a telephone and on a desktop.
func TestPageModels(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	codes := map[ledger.Role]secret.String{}
	s.withLedger(func(l *ledger.Ledger) (err error) {
		seedModels(t, t.Context(), l)
		for role, sites := range map[ledger.Role]ledger.SiteSet{ledger.RoleAdmin: {ledger.AllSites}, ledger.RoleOperator: {"north"}} {
			name := "ana-" + string(role)
			if err = l.People.Add(t.Context(), ledger.Person{Name: name, Role: role, Sites: sites}, "correct horse battery"); err != nil {
				return err
			}
			if codes[role], err = l.People.NewCode(t.Context(), ledger.CodeLogin, name); err != nil {
				return err
			}
		}
		return nil
	})
	w := &factorWalk{tab: c.open(screen{width: 320, height: 800, phone: true}), source: source}
	w.navigate(s.at.HTTP + "/queue#code=" + codes[ledger.RoleAdmin].Reveal())
	w.until("having('#models', 'herd-2026').some(shown) && having('#models-chosen', 'the model of each worker').some(shown)")
	w.until("shown(document.querySelector('[data-model=dunes-2026] [data-use=ask]'))")
	w.click("document.querySelector('[data-model=dunes-2026] [data-use=ask]')")
	w.click("document.querySelector('[data-model=dunes-2026] [data-use=yes]')")
	w.until("/dunes-2026/.test(document.querySelector('[data-chosen=\"\"]')?.innerText) && /ana-admin/.test(document.querySelector('[data-chosen=\"\"]').innerText)")
	w.click("document.querySelector('#models-compare summary')")
	w.until("document.querySelectorAll('#models-compare [data-counts] tbody tr').length === 3")
	w.until("/0.976/.test(document.querySelector('[data-pictures]')?.innerText) && /0.964/.test(document.querySelector('[data-pictures]').innerText)")
	w.check("models")
	w.click("document.querySelector('[data-back=\"\"]')")
	w.until("/the model of each worker/.test(document.querySelector('[data-chosen=\"\"]')?.innerText)")
	w.click("document.querySelector('[data-back-ask=\"\"]')") // the model of before has a caution
	w.until("/worse than herd-2026/.test(document.querySelector('[data-chosen=\"\"] .reason')?.innerText)")
	w.check("models-back")
	w.click("document.querySelector('[data-back=\"\"]')")
	w.until("/dunes-2026/.test(document.querySelector('[data-chosen=\"\"] strong')?.innerText)")
	w.click("document.querySelector('[data-back=\"\"]')")
	w.until("/the model of each worker/.test(document.querySelector('[data-chosen=\"\"] strong')?.innerText)")

	q := &factorWalk{tab: c.open(screen{width: 1280, height: 900}), source: source}
	q.navigate(s.at.HTTP + "/footage/m-3#code=" + codes[ledger.RoleOperator].Reveal())
	q.until("shown(document.querySelector('select[data-model]'))")
	value[bool](q.tab, `((e) => { e.value = [...e.options].find((o) => /dunes-2026/.test(o.textContent)).value; return e.dispatchEvent(new Event('change', { bubbles: true })); })(document.querySelector('select[data-model]'))`)
	q.click("document.querySelector('[data-again]')")
	q.until("document.querySelector('#detail [data-state=queued], #detail [data-state=uploaded]')")
	s.withLedger(func(l *ledger.Ledger) error { return l.Workers.Remove(t.Context(), "gpu-1") })
	q.navigate(s.at.HTTP + "/queue")
	q.until("having('#jobs li', 'no worker that runs now has the model dunes-2026').some(shown)")
	if value[bool](q.tab, "!!document.querySelector('[data-use]') || !!document.querySelector('[data-back]')") {
		t.Error("an operator is offered to choose the model")
	}
	q.check("model-missing")
	s.withLedger(func(l *ledger.Ledger) error {
		told, err := l.Audit.Find(t.Context(), ledger.AuditQuery{Action: ledger.ActionChooseModel, Limit: 9})
		if len(told) != 4 || told[0].Who != "ana-admin" {
			t.Errorf("audit: %+v", told)
		}
		return err
	})
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
