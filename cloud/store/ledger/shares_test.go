package ledger

import (
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
)

// A link opens its survey until it expires or is revoked, and the audit log has who made and revoked it.
func TestShares(t *testing.T) {
	ctx := By(t.Context(), "boss")
	l, c := fresh(t)
	survey := must.Get(l.Surveys.Add(ctx, Survey{Site: "north"}))(t)
	of := Shared{ShareSurvey, survey.ID}
	short, key, err := l.Shares.Add(ctx, of, false, time.Hour)
	must.Do(t, err)
	c.Advance(time.Second)
	long, second, err := l.Shares.Add(ctx, of, false, 48*time.Hour)
	must.Do(t, err)
	if got := must.Get(l.Shares.Open(ctx, key.Reveal()))(t); got.ID != short.ID || got.Shared != of || got.Video ||
		got.Who != "boss" {
		t.Errorf("opened %+v", got)
	}
	_, err = l.Shares.Open(ctx, "cc_guess")
	must.FailWith(t, err, ErrUnauthorised)
	c.Advance(time.Hour - time.Second)
	_, err = l.Shares.Open(ctx, key.Reveal())
	must.FailWith(t, err, ErrUnauthorised)
	must.Get(l.Shares.Open(ctx, second.Reveal()))(t)
	must.FailWith(t, l.Shares.Revoke(ctx, Shared{ShareSurvey, "another"}, long.ID), ErrNotFound)
	must.Do(t, l.Shares.Revoke(ctx, of, long.ID))
	must.FailWith(t, l.Shares.Revoke(ctx, of, long.ID), ErrNotFound)
	_, err = l.Shares.Open(ctx, second.Reveal())
	must.FailWith(t, err, ErrUnauthorised)
	if all := must.Get(l.Shares.List(ctx, of, 9))(t); len(all) != 2 || all[0].ID != long.ID ||
		all[0].Revoked == nil {
		t.Errorf("links %+v", all)
	}
	_, _, err = l.Shares.Add(ctx, Shared{ShareSurvey, "unknown"}, false, time.Hour)
	must.FailWith(t, err, ErrNotFound)
	for range MaxShares {
		_, _, err = l.Shares.Add(ctx, of, false, time.Hour)
		must.Do(t, err)
	}
	_, _, err = l.Shares.Add(ctx, of, false, time.Hour)
	must.FailWith(t, err, ErrInvalid)
	_, _, err = l.Shares.Add(ctx, Shared{"site", "north"}, false, time.Hour)
	must.FailWith(t, err, ErrInvalid)
	_, _, err = l.Shares.Add(ctx, Shared{ShareFootage, survey.ID}, true, time.Hour)
	must.FailWith(t, err, ErrNotFound)
	made := must.Get(l.Audit.Find(ctx, AuditQuery{Action: ActionRevokeShare, Limit: 9}))(t)
	if len(made) != 1 || made[0].Who != "boss" || made[0].Subject != survey.ID {
		t.Errorf("audit log %+v", made)
	}
}
