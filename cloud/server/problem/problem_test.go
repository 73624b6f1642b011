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
		failed     bool // the text goes into the log, not to the client
	}{
		{ledger.ErrNotFound, wire.SlugNotFound, 404, 0, false},
		{ledger.ErrBusy, wire.SlugBusy, 503, 5, true},
		{ledger.ErrUnreachable, wire.SlugUnreachable, 503, 5, true},
		{blob.ErrUnreachable, wire.SlugUnreachable, 503, 5, true},
		{blob.ErrNoSpace, wire.SlugNoSpace, 507, 60, true},
		{blob.ErrOffset, wire.SlugOffsetConflict, 409, 0, false},
		{fmt.Errorf("%w: %w", blob.ErrTaken, blob.ErrNotFound), wire.SlugOffsetConflict, 409, 0, false},
		{context.Canceled, wire.SlugStopping, 503, 5, true},
		{errors.New("secret"), wire.SlugInternal, 500, 0, true},
		{New(wire.SlugConflict, "Wait.").WithStatus(423), wire.SlugConflict, 423, 5, false},
	} {
		wrapped := fmt.Errorf("at host db.example: %w", c.err)
		e := Of(wrapped)
		if e.Slug() != c.slug || e.Status != c.status || !e.Slug().Allows(e.Status) || e.RetryAfter != c.retryAfter ||
			e.Failed() != c.failed {
			t.Errorf("%v: %+v", c.err, e)
		}
		if c.failed && (strings.Contains(e.Detail, "db.example") || !strings.Contains(e.Error(), "db.example")) {
			t.Errorf("%v: detail %q, log %q", c.err, e.Detail, e.Error())
		}
	}
}
