package web

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// A reader of one site reads the whole queue of that site, also where it is longer than the list, and that no worker counts.
func TestOverviewOfOneSite(t *testing.T) {
	s := open(t, nil)
	const waiting = 130
	for n := range waiting {
		s.record(fmt.Sprintf("w%03d", n), fmt.Sprint("content ", n))
	}
	must.Do(t, s.ledger.DB().Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE job SET updated = updated - 600000000`) // ten minutes ago
		return err
	}))
	reader := s.tokens[ledger.RoleReader]
	other := must.Get(s.ledger.Devices.Add(t.Context(), "south1", "south", ledger.RoleReader))(t).Reveal()
	var q wire.Queue
	if s.do("GET", "/api/v1/queue", reader).decode(t, &q); q.Waiting != waiting || len(q.Jobs) >= waiting || q.Oldest == nil {
		t.Errorf("%d wait, want %d; %d listed, oldest %v", q.Waiting, waiting, len(q.Jobs), q.Oldest)
	}
	var v wire.Overview
	if s.do("GET", "/api/v1/overview", reader).decode(t, &v); len(v.Attention) != 1 || v.Attention[0].Kind != wire.AttentionNoWorker {
		t.Errorf("attention %+v", v.Attention)
	}
	q, v = wire.Queue{}, wire.Overview{}
	s.do("GET", "/api/v1/queue", other).decode(t, &q)
	s.do("GET", "/api/v1/overview", other).decode(t, &v)
	if q.Waiting != 0 || len(q.Jobs) != 0 || len(v.Attention) != 0 || len(v.Sites) != 0 {
		t.Errorf("a reader of another site reads %+v %+v", q, v)
	}
}
