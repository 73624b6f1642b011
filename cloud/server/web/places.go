package web

import (
	"context"
	"sync/atomic"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

const (
	// mostPlacing is how many requests compute positions at once; the others wait. Each holds a stored count in memory.
	mostPlacing = 2
	// mostWaiting is how many requests wait for that; more are refused.
	mostWaiting = 32
	// Visitors who have a link and no log-in use at most this many of the places, and of the places to wait.
	mostLinkPlacing = 1
	mostLinkWaiting = 8
)

// places bounds how many requests do something large at once, and how many wait for it.
type places struct {
	taken   chan struct{} // one element for each request at work
	most    int64         // requests that may wait
	waiting atomic.Int64
}

func newPlaces(atWork, waiting int) *places {
	return &places{taken: make(chan struct{}, atWork), most: int64(waiting)}
}

// enter waits for a place. Call leave at the end.
func (p *places) enter(ctx context.Context) (leave func(), err error) {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.most {
		return nil, problem.New(wire.SlugBusy, "Too many requests compute positions. Try again in a few seconds.")
	}
	select {
	case p.taken <- struct{}{}:
		return func() { <-p.taken }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// linkKey marks the context of a request that was let in by the key of a link.
type linkKey struct{}

// enterPlacing waits until positions may be computed. Call leave at the end. The holders of links leave a place to people
// who have logged in.
func (s *Server) enterPlacing(ctx context.Context) (leave func(), err error) {
	if ctx.Value(linkKey{}) == nil {
		return s.placing.enter(ctx)
	}
	leaveLinks, err := s.linkPlacing.enter(ctx)
	if err != nil {
		return nil, err
	}
	leavePlacing, err := s.placing.enter(ctx)
	if err != nil {
		leaveLinks()
		return nil, err
	}
	return func() { leavePlacing(); leaveLinks() }, nil
}
