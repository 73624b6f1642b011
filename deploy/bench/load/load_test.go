package load

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"cattlecounter/cloud/config"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/topic"
)

// setting reads a number from the environment.
func setting(tb testing.TB, name string, otherwise int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		tb.Fatalf("%s=%q is not a number above 0", name, text)
	}
	return n
}

// BenchmarkLoad connects the stations, sends the uploads all at once, waits for the counts over MQTT, and reads the page's
// data meanwhile.
func BenchmarkLoad(b *testing.B) {
	devices := names(setting(b, "LOAD_STATIONS", 2000))
	uploads := min(setting(b, "LOAD_UPLOADS", 200), len(devices))
	size := setting(b, "LOAD_SIZE", 2_000_000)
	for b.Loop() {
		s := newStage(b, options{clouds: setting(b, "LOAD_CLOUDS", 4), workers: setting(b, "LOAD_WORKERS", 8), devices: devices})
		published := listen(b, s.mqtt)
		began := time.Now()
		all := startStations(b, s.mqtt, devices)
		all.wait(b, 5*time.Minute)
		b.ReportMetric(time.Since(began).Seconds(), "connect-s")
		s.stationsOnline(len(devices), 2*time.Minute)
		b.ReportMetric(time.Since(began).Seconds(), "all-online-s")

		idle := usage(b)
		began = time.Now()
		clips, pages := s.rush(uploads, size, all)
		s.settle(10*time.Minute, clips)
		b.ReportMetric(time.Since(began).Seconds(), "all-counted-s")
		eventually(b, "every count arrives over MQTT", time.Minute, func() bool {
			for _, c := range clips {
				if _, _, ok := published.get(c.id); !ok {
					return false
				}
			}
			return true
		})
		reportTimes(b, clips, published, pages)
		s.reportUsage(b, idle, float64(uploads)*float64(clips[0].size())/1e9, time.Since(began))
		s.account(clips, published)
		s.stationsOnline(len(devices), time.Minute)
		all.stop()
		published.stop()
	}
	b.ReportMetric(0, "ns/op")
}

// rush sends all clips at once, and reads the first page and the newest footage from any cloud until the clips are there.
func (s *stage) rush(uploads, size int, all *stations) (clips []*clip, pages []time.Duration) {
	s.tb.Helper()
	urls := make([]string, len(s.ports))
	for i := range s.ports {
		urls[i] = s.url(i)
	}
	send, rest := newSender(s, urls), newBytes(size)
	for i := range uploads {
		clips = append(clips, newClip(i, rest))
	}
	sent, end := context.WithCancel(s.tb.Context())
	var readers, senders sync.WaitGroup
	readers.Go(func() { pages = readPages(sent, urls) })
	for _, c := range clips {
		senders.Go(func() {
			all.footage(c.device, c.id, topic.Uploading, c.size(), 0)
			if err := send.send(s.tb.Context(), c); err != nil {
				s.tb.Error(err)
			}
			all.footage(c.device, c.id, topic.Uploaded, c.size(), c.size())
		})
	}
	senders.Wait()
	end()
	readers.Wait()
	return clips, pages
}

// readPages returns how long each answer took.
func readPages(ctx context.Context, urls []string) (took []time.Duration) {
	client := &http.Client{Timeout: time.Minute}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return took
		case <-tick.C:
		}
		for _, path := range []string{"/api/v1/overview", "/api/v1/footage?limit=50"} {
			began := time.Now()
			var into any
			if get(ctx, client, urls[rand.IntN(len(urls))]+path, &into) == nil {
				took = append(took, time.Since(began))
			}
		}
	}
}

func reportTimes(b *testing.B, clips []*clip, published *counts, pages []time.Duration) {
	var uploads, results []time.Duration
	retries := 0
	for _, c := range clips {
		uploads = append(uploads, c.sent.Sub(c.began))
		retries += c.retries
		if _, at, ok := published.get(c.id); ok {
			results = append(results, at.Sub(c.sent))
		}
	}
	reportQuantiles(b, uploads, "upload")
	reportQuantiles(b, results, "count-after-upload")
	reportQuantiles(b, pages, "page")
	b.ReportMetric(float64(retries), "retries")
}

// reportUsage reports the processor time of each program in the rush, and how much its memory and the database have.
func (s *stage) reportUsage(b *testing.B, idle map[string]used, gigabytes float64, took time.Duration) {
	now := usage(b)
	short := map[string]string{"cloud-api": "api", "load.test": "worker", "postgres": "postgres", "node": "azurite", "mosquitto": "mosquitto"}
	for name, u := range now {
		as, ok := short[name]
		if !ok {
			continue
		}
		b.ReportMetric(u.cpu-idle[name].cpu, as+"-cpu-s")
		b.ReportMetric(u.peak, as+"-peak-MiB")
		if name == "cloud-api" {
			b.ReportMetric((u.cpu-idle[name].cpu)/gigabytes, "api-cpu-s/GB")
		}
	}
	b.ReportMetric(gigabytes*1000/took.Seconds(), "MB/s-counted")
	conf, err := config.Load(s.config, os.Environ())
	must.Do(b, err)
	db, err := sql.Open("pgx", conf.Ledger.URL.Reveal())
	must.Do(b, err)
	defer db.Close()
	var size int64
	must.Do(b, db.QueryRowContext(b.Context(), "SELECT pg_database_size(current_database())").Scan(&size))
	b.ReportMetric(float64(size)/1e6, "ledger-MB")
}
