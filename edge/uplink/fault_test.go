package uplink

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cattlecounter/deploy/testkit/fakecloud"
	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/edge/spool"
)

// A slow link is not canceled while this kernel's buffer empties: the body is read at once,
// the bytes move for seconds.
func TestSlowLinkIsNotCanceled(t *testing.T) {
	const idle, size = 5 * time.Second, 500_000
	cloud := fakecloud.New(token)
	srv := httptest.NewServer(cloud)
	t.Cleanup(srv.Close)
	proxy, err := faultproxy.New(faultproxy.Options{To: srv.Listener.Addr().String(), Buffer: 8 << 10,
		Plan: func(faultproxy.Stats) faultproxy.Faults { return faultproxy.Faults{Rate: 400_000} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	st := build(t, cloud, CloudOptions{URL: "http://" + proxy.Addr(), IdleTimeout: idle}, nil)
	r := st.add("slow.mp4", size, false)
	began := time.Now()
	if err := st.up.transfer(t.Context(), st.record(r.ID)); err != nil {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	if took := time.Since(began); took < idle*3/2 {
		t.Errorf("too fast for this test: %s", took)
	}
	if n := st.received(); n != size {
		t.Errorf("%d bytes arrived for %d", n, size)
	}
}

// A link that stops after some acknowledged bytes is canceled.
func TestStallAfterAcknowledgedBytes(t *testing.T) {
	cloud := fakecloud.New(token)
	srv := httptest.NewServer(cloud)
	t.Cleanup(srv.Close)
	proxy := faultyLink(t, srv, func(s faultproxy.Stats) (f faultproxy.Faults) {
		if s.Count() == 0 {
			f.Stall = &faultproxy.Stall{After: 100_000}
		}
		return f
	})
	st := build(t, cloud, CloudOptions{URL: "http://" + proxy.Addr(), IdleTimeout: 2 * time.Second}, nil)
	r := st.add("stall.mp4", 200_000, false)
	err := st.up.transfer(t.Context(), st.record(r.ID))
	if err == nil || !strings.Contains(err.Error(), "no byte moved for 2s") {
		t.Fatal(err)
	}
	proxy.Sever() // the fake cloud waits for the end of the first connection
	if err := st.up.transfer(t.Context(), st.record(r.ID)); err != nil {
		t.Fatal(err)
	}
}

// While the server receives bytes, the waits stay short, even if the kernel had buffered the
// whole file before each cut.
func TestWaitsStayShortWhileBytesArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newBubble(t)
		st.cloud.CutAfter = 1 << 20
		const cuts = 12
		r := st.add("cut.mp4", cuts<<20, false)
		began := time.Now()
		var done time.Time
		st.spool.Records.OnChange(func(r spool.Record) {
			if r.State == spool.Reclaimed {
				done = time.Now()
			}
		})
		st.up.o.Cloud.http.Transport = greedy{st.up.o.Cloud.http.Transport}
		st.run()
		after(10 * time.Minute)
		if rec := st.record(r.ID); rec.State != spool.Reclaimed {
			t.Fatalf("got record %+v", rec)
		}
		if took := done.Sub(began); took > cuts*2*firstWait {
			t.Errorf("%d cuts took %s", cuts, took)
		}
	})
}

// greedy reads every body to its end before it sends it, like a kernel with large buffers.
type greedy struct{ http.RoundTripper }

func (g greedy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return g.RoundTripper.RoundTrip(r)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(b))
	return g.RoundTripper.RoundTrip(r)
}
