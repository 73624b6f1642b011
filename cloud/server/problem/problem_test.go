package problem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		err        error
		slug       wire.Slug
		status     int
		retryAfter int
		hidden     bool // the text goes into the log, not to the client
		failed     bool // an operator must look at it
	}{
		{ledger.ErrNotFound, wire.SlugNotFound, 404, 0, false, false},
		{ledger.ErrBusy, wire.SlugBusy, 503, 5, true, false},
		{ledger.ErrUnreachable, wire.SlugUnreachable, 503, 5, true, true},
		{blob.ErrUnreachable, wire.SlugUnreachable, 503, 5, true, true},
		{blob.ErrNoSpace, wire.SlugNoSpace, 507, 60, true, false},
		{blob.ErrOffset, wire.SlugOffsetConflict, 409, 0, false, false},
		{fmt.Errorf("%w: %w", blob.ErrTaken, blob.ErrNotFound), wire.SlugOffsetConflict, 409, 0, false, false},
		{context.Canceled, wire.SlugStopping, 503, 5, true, false},
		{errors.New("secret"), wire.SlugInternal, 500, 0, true, true},
		{New(wire.SlugConflict, "Wait.").WithStatus(423), wire.SlugConflict, 423, 5, false, false},
	} {
		wrapped := fmt.Errorf("at host db.example: %w", c.err)
		e := Of(wrapped)
		if e.Slug() != c.slug || e.Status != c.status || !e.Slug().Allows(e.Status) || e.RetryAfter != c.retryAfter ||
			e.Failed() != c.failed {
			t.Errorf("%v: %+v", c.err, e)
		}
		if c.hidden && (strings.Contains(e.Detail, "db.example") || !strings.Contains(e.Error(), "db.example")) {
			t.Errorf("%v: detail %q, log %q", c.err, e.Detail, e.Error())
		}
	}
}
