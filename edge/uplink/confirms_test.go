package uplink

import (
	"errors"
	"net/http"
	"testing"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/edge/spool"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

func TestConfirms(t *testing.T) {
	st := newStation(t)
	v := st.add("a.mp4", 5000, false)
	l := st.addLog(v, 300)
	st.run()
	st.waitFor("log sent", l.ID, reclaimed)
	check := func(what string, r spool.Record, want bool, class error) {
		t.Helper()
		if got, err := st.up.Confirms(t.Context(), st.record(r.ID)); got != want || !errors.Is(err, class) {
			t.Errorf("%s: got %t, error %v, want %t, %v", what, got, err, want, class)
		}
	}
	change := func(f func(*wire.Footage)) {
		st.cloud.Lock()
		defer st.cloud.Unlock()
		f(st.cloud.Footage[v.ID])
	}
	check("video", v, true, nil)
	check("flight log", l, true, nil)
	change(func(f *wire.Footage) { f.Telemetry = false })
	check("video without its log", v, true, nil)
	check("log that the cloud lost", l, false, nil)
	change(func(f *wire.Footage) { f.Telemetry, f.SHA256 = true, footage.Sum([]byte("other")) })
	check("other content", v, false, nil)
	check("log of other content", l, false, nil)
	st.cloud.Lock()
	delete(st.cloud.Footage, v.ID)
	st.cloud.Unlock()
	check("lost", v, false, nil)
	st.cloud.Lock()
	st.cloud.Before = func(w http.ResponseWriter, _ *http.Request) bool {
		fakecloud.Problem(w, wire.SlugBusy, "later")
		return true
	}
	st.cloud.Unlock()
	check("busy cloud", v, false, ErrBusy)
	st.up.SetPaused(true)
	check("paused", v, false, ErrPaused)
}
