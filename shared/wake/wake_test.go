package wake

import (
	"sync"
	"testing"
)

// pending takes the wake-up, if there is one.
func pending(s Signal) bool {
	select {
	case <-s.C():
		return true
	default:
		return false
	}
}

func TestSeveralSetsAreOneWakeUp(t *testing.T) {
	s := New()
	if pending(s) {
		t.Fatal("a new signal is set")
	}
	for range 3 {
		s.Set()
	}
	if !pending(s) {
		t.Fatal("the wake-up is lost")
	}
	if pending(s) {
		t.Fatal("three sets left more than one wake-up")
	}
}

func TestCopiesShareTheWakeUp(t *testing.T) {
	s := New()
	c := s
	c.Set()
	if !pending(s) {
		t.Fatal("a set of the copy did not reach the original")
	}
}

func TestZeroSignalDoesNotBlock(t *testing.T) {
	var s Signal
	s.Set()
	if pending(s) {
		t.Fatal("a zero signal was set")
	}
}

// Work that is announced with Set after it is there is always found.
func TestNoWorkWaitsUnseen(t *testing.T) {
	const items = 1000
	s := New()
	var mu sync.Mutex
	queued := 0
	go func() {
		for range items {
			mu.Lock()
			queued++
			mu.Unlock()
			s.Set()
		}
	}()
	for done := 0; done < items; {
		<-s.C()
		mu.Lock()
		done, queued = done+queued, 0
		mu.Unlock()
	}
}
