package intake

import (
	"fmt"
	"testing"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// A station gives footage up after a conflict and tries again after a fault, so a
// refusal by the parts below must not look like a refusal by the intake.
func TestProblemOfTheStore(t *testing.T) {
	for _, c := range []struct {
		err    error
		slug   wire.Slug
		status int
	}{
		{ledger.ErrExists, wire.SlugInternal, 500},
		{ledger.ErrInvalid, wire.SlugInternal, 500},
		{footage.ErrInvalid, wire.SlugInternal, 500},
		{job.ErrTransition, wire.SlugInternal, 500},
		{ledger.ErrNotFound, wire.SlugUploadGone, 404},
		{blob.ErrTaken, wire.SlugOffsetConflict, 409},
		{ledger.ErrBusy, wire.SlugBusy, 503},
		{blob.ErrNoSpace, wire.SlugNoSpace, 507},
		{problem.New(wire.SlugConflict, "Another file has this id."), wire.SlugConflict, 409},
	} {
		if p := asProblem(fmt.Errorf("upload u: %w", c.err)); p.Slug() != c.slug || p.Status != c.status {
			t.Errorf("%v: answered with %s, %d, want %s, %d", c.err, p.Slug(), p.Status, c.slug, c.status)
		}
	}
}
