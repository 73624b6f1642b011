package doctor

import (
	"context"
	"fmt"
	"time"
)

// lateCalls are the calls that within gave up on. Its owner waits for them.
type lateCalls struct{ ended []<-chan struct{} }

// within makes a call that may block for good, as reading a dead card does, and
// gives up on it after limit or when ctx ends. The call's context ends then too.
// A call that goes on is added to late.
func within[T any](ctx context.Context, late *lateCalls, limit time.Duration, call func(context.Context) (T, error)) (T,
	error) {
	type result struct {
		v   T
		err error
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	done, ended := make(chan result, 1), make(chan struct{})
	go func() {
		defer close(ended)
		v, err := call(ctx)
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		late.ended = append(late.ended, ended)
		var none T
		return none, context.Cause(ctx)
	}
}

// wait blocks until every late call has ended, at most for limit, and returns how
// many have not.
func (l *lateCalls) wait(limit time.Duration) int {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for i, ended := range l.ended {
		select {
		case <-ended:
		case <-timer.C:
			return len(l.ended) - i
		}
	}
	return 0
}
