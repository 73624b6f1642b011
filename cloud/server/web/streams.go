package web

import (
	"sync"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/shared/wire"
)

// Event streams of one address and of one account, of the 100 that the server has.
const (
	streamsPerAddress = 80
	streamsPerAccount = 40
)

// streams counts event streams, so that one client leaves some for the others. The zero value is
// ready for use.
type streams struct {
	mu sync.Mutex
	of map[string]int
}

// enter counts a stream of an address and an account, "" for none, until leave is called once.
func (s *streams) enter(address, account string) (leave func(), err error) {
	keys := map[string]int{"address " + address: streamsPerAddress}
	if account != "" {
		keys["account "+account] = streamsPerAccount
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, most := range keys {
		if s.of[key] >= most {
			return nil, problem.New(wire.SlugTooManyListeners, "This client listens to %d event streams already. Close some.", most)
		}
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	for key := range keys {
		s.of[key]++
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for key := range keys {
			if s.of[key]--; s.of[key] == 0 {
				delete(s.of, key)
			}
		}
	}), nil
}
