package ledger

import (
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// One key signs until it is renewed, also for another process.
func TestOrderKey(t *testing.T) {
	place := newPlace(t)
	l := must.Get(openAt(t.Context(), place, Options{}))(t)
	defer l.Close()
	other := must.Get(openAt(t.Context(), place, Options{}))(t)
	defer other.Close()
	ctx := t.Context()
	first := must.Get(l.OrderKey.Current(ctx))(t).Public().String()
	if again := must.Get(other.OrderKey.Current(ctx))(t).Public().String(); again != first {
		t.Error("two processes have two keys")
	}
	renewed := must.Get(l.OrderKey.Renew(By(ctx, "root")))(t).Public()
	if renewed.String() == first {
		t.Error("the key was not renewed")
	}
	if now := must.Get(other.OrderKey.Current(ctx))(t).Public().String(); now != renewed.String() {
		t.Error("the renewed key is not the current one")
	}
	es := must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionRenewOrderKey, Limit: 9}))(t)
	if len(es) != 1 || es[0].Who != "root" || es[0].Subject != renewed.ID() {
		t.Errorf("audit %+v", es)
	}
}
