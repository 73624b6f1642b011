package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// rates are probabilities per deed, that is for each call out of a worker. Status
// writes, which are most, have a tenth of them.
type rates struct {
	crash float64 // the process dies, before the deed or before its answer
	pause float64 // it stands still for one to three leases
	fail  float64 // the deed is not done
	lost  float64 // it is done, and its answer is lost
	// Of messages:
	vanish float64 // when it is sent, and as often when it is delivered
	twice  float64 // the job is delivered once more while it is worked on
}

var usual = rates{crash: 0.01, pause: 0.005, fail: 0.01, lost: 0.01, vanish: 0.01, twice: 0.02}

func (r rates) times(x float64) rates {
	return rates{x * r.crash, x * r.pause, x * r.fail, x * r.lost, x * r.vanish, x * r.twice}
}

var (
	errDead  = errors.New("the process is dead")
	errFault = errors.New("not done, says the simulation")
	errLost  = errors.New("done, and the answer is lost, says the simulation")
)

// process is a worker's from start to death. Nothing that it does gets through after
// its death, and nothing while it is paused.
type process struct {
	w    *world
	kill context.CancelFunc

	mu     sync.Mutex
	random *rand.Rand
	dead   bool
	paused time.Time // until when
}

// often says how much of the rates applies to a deed.
type often float64

const (
	seldom  often = 0.1 // status writes
	usually often = 1
)

// do does a deed as the process does it: perhaps not, perhaps without an answer.
func (p *process) do(o often, deed func() error) error {
	if err := p.gate(o); err != nil {
		return err
	}
	switch {
	case p.hit(o, p.w.rates.fail):
		p.w.faults.add("write or message fails")
		return errFault
	case p.hit(o, p.w.rates.lost):
		if err := deed(); err != nil {
			return err
		}
		p.w.faults.add("answer is lost")
		return errors.Join(errLost, p.gate(o))
	}
	err := deed()
	return errors.Join(err, p.gate(o))
}

// gate lets a live process through that is not paused, and may end that.
func (p *process) gate(o often) error {
	if err := p.stand(); err != nil {
		return err
	}
	if p.hit(o, p.w.rates.crash/2) { // a deed has two gates
		p.w.faults.add("worker dies")
		p.die()
		return errDead
	}
	if p.hit(o, p.w.rates.pause/2) {
		p.w.faults.add("worker is paused")
		p.mu.Lock()
		p.paused = time.Now().Add(time.Duration((1 + 2*p.random.Float64()) * float64(p.w.lease)))
		p.mu.Unlock()
	}
	return p.stand()
}

// stand waits while the process is paused, and says whether it lives.
func (p *process) stand() error {
	for {
		p.mu.Lock()
		dead, left := p.dead, time.Until(p.paused)
		p.mu.Unlock()
		switch {
		case dead:
			return errDead
		case left <= 0:
			return nil
		}
		wait(context.Background(), left)
	}
}

func (p *process) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	p.kill()
}

func (p *process) hit(o often, rate float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.random.Float64() < float64(o)*rate
}

// wait takes simulated time.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// tally counts by name.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[name]++
}
