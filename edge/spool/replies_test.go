package spool

import (
	"errors"
	"fmt"
	"testing"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
)

func TestReplies(t *testing.T) {
	s := opened(t)
	for i := range maxReplies + 5 {
		must.Do(t, s.Replies.Put(Reply{ID: fmt.Sprintf("o%d", i), State: topic.Finished}))
	}
	if n := len(must.Get(s.Replies.All())(t)); n != maxReplies {
		t.Errorf("%d replies are stored, want %d", n, maxReplies)
	}
	if _, err := s.Replies.Get("o0"); !errors.Is(err, ErrNotFound) {
		t.Errorf("oldest reply: got error %v, want ErrNotFound", err)
	}
	if r, err := s.Replies.Get(fmt.Sprintf("o%d", maxReplies)); err != nil || r.State != topic.Finished {
		t.Errorf("newer reply: got %+v, error %v, want it finished", r, err)
	}
}
