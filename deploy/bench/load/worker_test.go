package load

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store"
	"cattlecounter/cloud/worker"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
)

// workerConfig names, in the environment, the configuration of a worker: the test program then is that worker, so that
// it can be killed like one.
const workerConfig = "LOAD_TEST_WORKER_CONFIG"

// runWorker counts the jobs of the queue until SIGTERM, with the real worker and a counter that only reads.
func runWorker(path string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := work(ctx, path); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func work(ctx context.Context, path string) (err error) {
	conf, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := os.MkdirAll(conf.CacheDir(), 0o750); err != nil {
		return err
	}
	l, err := store.OpenLedger(ctx, conf)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	st, err := store.Open(ctx, conf, l, log)
	if err != nil {
		return err
	}
	return worker.New(worker.Options{
		Name: fmt.Sprintf("load-%d", os.Getpid()), Jobs: l.Jobs, Attempts: l.Attempts, Flights: l.Flights, Lines: l.Lines,
		Queue: st.Queue, Blobs: st.Blobs, Counter: reader{}, CacheDir: conf.CacheDir(), CacheLimit: int64(conf.Worker.Cache),
		Lease: conf.Worker.Lease, MaxDeliveries: conf.Worker.MaxDeliveries, Log: log,
	}).Run(ctx)
}

// reader counts as many animals as the digest of the content says, so that a count of other bytes is a wrong count.
type reader struct{}

var modelDigest = footage.Sum([]byte("a counter that reads"))

func (reader) Count(_ context.Context, s count.Source, progress func(job.Progress)) (count.Outcome, error) {
	h := sha256.New()
	if err := readAll(h, s); err != nil {
		return count.Outcome{}, err
	}
	if got := footage.Digest(h.Sum(nil)); got != s.SHA256 {
		return count.Outcome{}, fmt.Errorf("footage %s: the worker read bytes with the digest %s, not %s", s.Footage, got, s.SHA256)
	}
	n := animals(s.SHA256)
	progress(job.Progress{FramesDone: 1, FramesTotal: 1, Percent: 100, Count: n})
	return count.Outcome{Result: report.Result{
		Schema: report.Schema, Footage: s.Footage, Source: report.Source{Name: s.Name, Size: s.Size, SHA256: s.SHA256},
		Model: report.Model{Name: "reader", Digest: modelDigest},
		Count: report.Count{Unique: n, Low: n, High: n, ByClass: map[string]int{"cow": n}},
	}}, nil
}

func readAll(w io.Writer, s count.Source) error {
	if s.Content != nil {
		_, err := io.Copy(w, io.NewSectionReader(s.Content, 0, s.Size))
		return err
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// animals is the count of content with this SHA-256.
func animals(sum footage.Digest) int { return int(binary.BigEndian.Uint16(sum[:])) % 500 }
