package web

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

const (
	// Failed log-ins and tokens of one address at once, and the time until the next.
	guesses    = 50
	guessEvery = time.Second
	// Failed log-ins with one name.
	userGuesses   = 10
	userGuessWait = 10 * time.Second
	// Failed codes of the second factor of one person, from all addresses: only who has the password gets so far.
	factorGuesses   = 10
	factorGuessWait = time.Minute
	guessers        = 4096 // addresses and names that are remembered
	familiars       = 4096 // people and the addresses from which they logged in
)

// attemptLimits bounds how often addresses and names may fail. An attempt counts from its begin, so that many at the same
// time are no way around the bound. The zero value is ready for use.
type attemptLimits struct {
	mu       sync.Mutex
	of       map[string]*allowance
	familiar map[string]bool // name and address of earlier log-ins
}

// allowance is how many failures somebody has left.
type allowance struct {
	left  float64
	at    time.Time // when left was right
	burst int
	pause time.Duration
}

// share is the part of the allowance that is left, from 0 to 1.
func (a *allowance) share() float64 { return a.left / float64(a.burst) }

// refill adds what the time since the last look has earned.
func (a *allowance) refill(now time.Time) {
	if d := now.Sub(a.at); d > 0 {
		a.left = min(float64(a.burst), a.left+d.Seconds()/a.pause.Seconds())
		a.at = now
	}
}

// begin takes one of burst failures, of which one comes back in each pause, and refuses those who have none left. Call
// succeeded when the attempt was none.
func (l *attemptLimits) begin(now time.Time, who string, burst int, pause time.Duration) (succeeded func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of[who]
	if a == nil {
		l.makeRoom(now)
		a = &allowance{left: float64(burst), at: now, burst: burst, pause: pause}
		l.of[who] = a
	}
	a.refill(now)
	if a.left < 1 {
		e := problem.New(wire.SlugTooManyGuesses, "Too many log-ins or tokens failed. Wait, then try again with the right one.")
		e.RetryAfter = max(1, int(math.Ceil((1-a.left)*pause.Seconds())))
		return nil, e
	}
	a.left--
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.left = min(float64(a.burst), a.left+1)
	}, nil
}

// makeRoom forgets those who may fail as often as at first, and when that is not enough the half that has failed least.
// Somebody with many addresses can fill the list, but cannot make it forget whose limit is used up. The lock is held.
func (l *attemptLimits) makeRoom(now time.Time) {
	if l.of == nil {
		l.of = map[string]*allowance{}
	}
	if len(l.of) < guessers {
		return
	}
	for who, a := range l.of {
		if a.refill(now); a.left >= float64(a.burst) {
			delete(l.of, who)
		}
	}
	if len(l.of) < guessers {
		return
	}
	failedLeast := slices.SortedFunc(maps.Keys(l.of), func(a, b string) int {
		return cmp.Compare(l.of[b].share(), l.of[a].share())
	})
	for _, who := range failedLeast[:len(failedLeast)/2] {
		delete(l.of, who)
	}
}

// user is whose allowance a log-in uses. A person at an address of an earlier log-in has one of their own: strangers who
// guess the password elsewhere cannot lock the person out.
func (l *attemptLimits) user(name, address string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := "user " + name + " at " + address; l.familiar[at] {
		return at
	}
	return "user " + name
}

// loggedIn remembers the address of a log-in.
func (l *attemptLimits) loggedIn(name, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.familiar == nil || len(l.familiar) >= familiars {
		l.familiar = map[string]bool{}
	}
	l.familiar["user "+name+" at "+address] = true
}
