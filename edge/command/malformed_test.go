package command

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"cattlecounter/shared/topic"
)

// Bytes that are no order are answered with the reason when they show an id. Their answers are limited, and the answer does
// not stand in the way of the right order with the same id.
func TestMalformedOrdersAreAnswered(t *testing.T) {
	st := memory{}
	o := New(map[string]Action{}, st, synced, slog.New(slog.DiscardHandler))
	for payload, why := range map[string]string{
		`{"id":"1","name":"pau`:                         "unexpected end",
		`{"id":"1","name":"limit","arguments":{}}`:      `unknown field "arguments"`,
		`{"v":7,"id":"1","name":"pause"}`:               "version 7",
		`{"id":"1","name":"` + string(make([]byte, 9)):  "invalid character",
		`{"id":"1","name":"` + strings.Repeat("x", 1e5): "bytes, at most",
	} {
		r, err := o.Handle(t.Context(), []byte(payload))
		if err != nil || r.State != topic.Refused || !strings.Contains(r.Why, why) {
			t.Errorf("%.40s: %+v %v, want %q", payload, r, err, why)
		}
	}
	if _, err := o.Handle(t.Context(), []byte(`{"name":"pause"}`)); !errors.Is(err, topic.ErrOrder) {
		t.Errorf("no id: %v", err)
	}
	if len(st) != 0 {
		t.Errorf("stored: %v", st)
	}
	answered := 0
	for i := range 10 * refusalsAtOnce {
		if _, err := o.Handle(t.Context(), fmt.Appendf(nil, `{"id":"x%d",`, i)); err == nil {
			answered++
		}
	}
	if answered >= 3*refusalsAtOnce {
		t.Errorf("%d of %d are answered", answered, 10*refusalsAtOnce)
	}
}
