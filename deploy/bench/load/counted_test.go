package load

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/wire"
)

// A cloud that does not answer, and counts of what was sent before, are no new counts.
func TestCountedWaitsForNewFootage(t *testing.T) {
	answers := []*wire.Stats{nil, {Footage: 12, Counts: 10}, nil, {Footage: 17, Counts: 16}, {Footage: 18, Counts: 17}}
	asked := 0 // by one client, one question after the other
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := answers[min(asked, len(answers)-1)]
		asked++
		if answer == nil {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	at := must.Get(url.Parse(cloud.URL))(t)
	f := &farm{tb: t, web: must.Get(strconv.Atoi(at.Port()))(t)}
	f.counted(5, time.Now().Add(5*time.Minute))
	cloud.Close()
	if asked != len(answers) {
		t.Errorf("counted returned after %d answers, want %d", asked, len(answers))
	}
}
