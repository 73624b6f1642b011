package load

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// addDevices adds the devices to the ledger of a configuration, as `cloud-api device add` does, and returns their tokens.
func addDevices(tb testing.TB, path string, devices []string) map[string]string {
	tb.Helper()
	conf, err := config.Load(path, os.Environ())
	must.Do(tb, err)
	l, err := store.OpenLedger(tb.Context(), conf)
	must.Do(tb, err)
	defer func() { must.Do(tb, l.Close()) }()
	tokens := map[string]string{}
	for _, d := range devices {
		token, err := l.Devices.Add(tb.Context(), d, site, ledger.RoleDevice)
		must.Do(tb, err)
		tokens[d] = token.Reveal()
	}
	return tokens
}

// settle waits until every sent clip is counted.
func (s *stage) settle(limit time.Duration, clips []*clip) {
	s.tb.Helper()
	eventually(s.tb, fmt.Sprintf("%d clips are counted", len(clips)), limit, func() bool {
		var stats wire.Stats
		return get(s.tb.Context(), http.DefaultClient, s.url(0)+"/api/v1/stats", &stats) == nil && stats.Counts >= len(clips)
	})
}

// account compares what was sent with what there is. Every difference fails the test.
func (s *stage) account(clips []*clip, published *counts) {
	s.tb.Helper()
	there := listFootage(s.tb, s.url(0))
	if len(there) != len(clips) {
		s.tb.Errorf("the ledger has %d pieces of footage, %d were sent", len(there), len(clips))
	}
	for _, c := range clips {
		f, ok := there[c.id]
		want := animals(c.sum)
		switch {
		case !ok:
			s.tb.Errorf("footage %s was confirmed and is lost", c.id)
		case f.SHA256 != c.sum || f.Size != c.size() || f.DuplicateOf != "":
			s.tb.Errorf("footage %s: digest %s, %d bytes, duplicate of %q", c.id, f.SHA256, f.Size, f.DuplicateOf)
		case f.Job == nil || f.Job.State != job.Done || f.Count == nil || f.Count.Unique != want:
			s.tb.Errorf("footage %s: job %+v, count %+v, want %d", c.id, f.Job, f.Count, want)
		}
		if m, _, ok := published.get(c.id); ok && m.Unique != want {
			s.tb.Errorf("footage %s: %d over MQTT, want %d", c.id, m.Unique, want)
		}
	}
	published.mu.Lock()
	defer published.mu.Unlock()
	for _, b := range published.bad {
		s.tb.Error(b)
	}
	compareBlobs(s.tb, s.config, append(os.Environ(), "CATTLE_CLOUD_DATA="+s.tb.TempDir()), clips)
}

// listFootage reads every page of a cloud's list.
func listFootage(tb testing.TB, cloud string) map[footage.ID]wire.Footage {
	tb.Helper()
	all := map[footage.ID]wire.Footage{}
	for after := ""; ; {
		var page wire.Page[wire.Footage]
		query := url.Values{"limit": {"100"}}
		if after != "" {
			query.Set("after", after)
		}
		must.Do(tb, get(tb.Context(), http.DefaultClient, cloud+"/api/v1/footage?"+query.Encode(), &page))
		for _, f := range page.Items {
			if _, twice := all[f.ID]; twice {
				tb.Errorf("footage %s is listed twice", f.ID)
			}
			all[f.ID] = f
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// compareBlobs reads the stored videos of a configuration.
func compareBlobs(tb testing.TB, path string, env []string, clips []*clip) {
	tb.Helper()
	conf, err := config.Load(path, env)
	must.Do(tb, err)
	l, err := store.OpenLedger(tb.Context(), conf)
	must.Do(tb, err)
	defer func() { must.Do(tb, l.Close()) }()
	st, err := store.Open(tb.Context(), conf, l, nil)
	must.Do(tb, err)
	for _, c := range clips {
		f, err := l.Footage.Get(tb.Context(), c.id)
		if err != nil {
			tb.Error(err)
			continue
		}
		r, err := st.Blobs.Open(tb.Context(), f.BlobKey, 0, -1)
		if err != nil {
			tb.Errorf("footage %s: %v", c.id, err)
			continue
		}
		h := sha256.New()
		_, err = io.Copy(h, r)
		if err = errors.Join(err, r.Close()); err != nil || !slices.Equal(h.Sum(nil), c.sum[:]) {
			tb.Errorf("footage %s: the blob %s differs from what was sent: %v", c.id, f.BlobKey, err)
		}
	}
}

// stationsOnline waits until a cloud lists the number of stations as online.
func (s *stage) stationsOnline(n int, limit time.Duration) {
	s.tb.Helper()
	states := map[wire.StationState]int{}
	for end := time.Now().Add(limit); states[wire.StationOnline] < n; {
		if time.Now().After(end) {
			s.tb.Fatalf("not within %s: %d stations are online; states %v", limit, n, states)
		}
		<-time.After(200 * time.Millisecond) // another process has no event to wait for
		var page wire.Page[wire.Station]
		if err := get(s.tb.Context(), http.DefaultClient, s.url(len(s.ports)-1)+"/api/v1/stations", &page); err != nil {
			s.tb.Log(err)
		}
		clear(states)
		for _, st := range page.Items {
			if st.State == wire.StationOnline && st.Vitals == nil {
				st.State = "online without vitals"
			}
			states[st.State]++
		}
	}
}

// quantile returns the q-quantile of some times, in milliseconds.
func quantile(all []time.Duration, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return float64(all[min(int(q*float64(len(all))), len(all)-1)]) / float64(time.Millisecond)
}

func reportQuantiles(b *testing.B, all []time.Duration, what string) {
	b.ReportMetric(quantile(all, 0.5), what+"-p50-ms")
	b.ReportMetric(quantile(all, 0.99), what+"-p99-ms")
}
