package intake

import (
	"context"
	"net/http"
	"testing"

	"cattlecounter/deploy/testkit/must"
)

// TestBusyUpload checks the answer to a request that waits too long for another one of its upload. The status cannot come
// from the text of tusd, which HEAD does not have.
func TestBusyUpload(t *testing.T) {
	locks := newLocks(nil)
	locks.held["up"] = &hold{stop: make(chan struct{}), released: make(chan struct{})}
	x := &exchange{method: http.MethodHead}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), exchangeKey{}, x), 0)
	defer cancel()
	l, err := locks.NewLock("up")
	must.Do(t, err)
	if err := l.Lock(ctx, nil); err == nil || x.problem == nil || x.problem.Status != http.StatusLocked {
		t.Errorf("%v, problem %+v, want status 423", err, x.problem)
	}
}
