package server

import (
	"context"
	"errors"
	"sync"
)

// stage is a part of the process that runs until its context ends.
type stage func(ctx context.Context) error

// runStages runs all stages at the same time and stops them group by group: a group stops
// when the group before it has ended. The first stage that ends by itself, with or
// without an error, stops all.
func runStages(ctx context.Context, groups ...[]stage) error {
	first, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var mu sync.Mutex
	var faults []error
	stops := make([]context.CancelFunc, len(groups))
	waits := make([]sync.WaitGroup, len(groups))
	for i, group := range groups {
		gctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stops[i] = cancel
		for _, run := range group {
			waits[i].Go(func() {
				err := run(gctx)
				if err != nil {
					mu.Lock()
					faults = append(faults, err)
					mu.Unlock()
				}
				fail(err)
			})
		}
	}
	<-first.Done()
	for i := range groups {
		stops[i]()
		waits[i].Wait()
	}
	return errors.Join(faults...)
}
