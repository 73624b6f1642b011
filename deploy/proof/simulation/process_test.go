package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// rates are the probabilities of faults, for each call out of a worker. Status writes are the most frequent calls and
// have a tenth of these rates.
type rates struct {
	crash float64 // the process crashes, before the call or before its answer
	pause float64 // the process pauses for one to three leases
	fail  float64 // the call fails and has no effect
	lost  float64 // the call has its effect, and its answer is lost
	// Faults of the queue, for each message.
	vanish    float64 // the message is lost when it is sent; the same rate applies when it is delivered
	duplicate float64 // the job is delivered a second time while it is in work
}

var usualRates = rates{crash: 0.01, pause: 0.005, fail: 0.01, lost: 0.01, vanish: 0.01, duplicate: 0.02}

func (r rates) times(x float64) rates {
	return rates{x * r.crash, x * r.pause, x * r.fail, x * r.lost, x * r.vanish, x * r.duplicate}
}

var (
	errCrashed = errors.New("the process has crashed")
	errFault   = errors.New("simulated fault: the call had no effect")
	errLost    = errors.New("simulated fault: the call had its effect, but its answer is lost")
)

// process is a worker's process from start to crash. None of its calls has an effect after the crash or during a pause.
type process struct {
	w    *world
	kill context.CancelFunc

	mu     sync.Mutex
	random *rand.Rand
	dead   bool
	paused time.Time // end of the pause
}

// weight is the share of the rates that applies to a call.
type weight float64

const (
	statusWrite weight = 0.1
	fullWeight  weight = 1
)

// call runs op as a call of the process, which may fail, lose its answer, or crash or pause the process.
func (p *process) call(x weight, op func() error) error {
	if err := p.gate(x); err != nil {
		return err
	}
	switch {
	case p.happens(x, p.w.rates.fail):
		p.w.faults.add("call failed")
		return errFault
	case p.happens(x, p.w.rates.lost):
		if err := op(); err != nil {
			return err
		}
		p.w.faults.add("answer lost")
		return errors.Join(errLost, p.gate(x))
	}
	err := op()
	return errors.Join(err, p.gate(x))
}

// gate blocks while the process is paused, and returns an error once it has crashed. It may crash or pause the process.
func (p *process) gate(x weight) error {
	if err := p.awaitRunning(); err != nil {
		return err
	}
	if p.happens(x, p.w.rates.crash/2) { // half, because a call has two gates
		p.w.faults.add("worker crashed")
		p.crash()
		return errCrashed
	}
	if p.happens(x, p.w.rates.pause/2) {
		p.w.faults.add("worker paused")
		p.mu.Lock()
		p.paused = time.Now().Add(time.Duration((1 + 2*p.random.Float64()) * float64(p.w.lease)))
		p.mu.Unlock()
	}
	return p.awaitRunning()
}

// awaitRunning blocks while the process is paused, and returns errCrashed once it has crashed.
func (p *process) awaitRunning() error {
	for {
		p.mu.Lock()
		dead, left := p.dead, time.Until(p.paused)
		p.mu.Unlock()
		switch {
		case dead:
			return errCrashed
		case left <= 0:
			return nil
		}
		wait(context.Background(), left)
	}
}

func (p *process) crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	p.kill()
}

// happens draws whether a fault of the rate happens.
func (p *process) happens(x weight, rate float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Float64() < float64(x)*rate
}

// wait waits for d of simulated time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// faultCounts counts faults by name.
type faultCounts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *faultCounts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[name]++
}
