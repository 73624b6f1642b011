package worker

import (
	"context"
	"sync"
	"time"
)

// jobContext returns the context of jobs. Without a current job it ends with ctx. Otherwise it ends after the drain, or
// when StopNow is closed. The caller must call end.
func (w *Worker) jobContext(ctx context.Context) (jobs context.Context, end func()) {
	jobs, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	b := startTask(jobs, func(ended context.Context) {
		defer stop(ErrShutdown)
		select {
		case <-ctx.Done():
			w.drain(ended)
		case <-ended.Done():
		}
	})
	return jobs, b.end
}

// drain waits while the current job may continue. ended is done when Run returns.
func (w *Worker) drain(ended context.Context) {
	if w.o.Drain <= 0 || !w.busy.Load() {
		return
	}
	w.o.Log.Info("stop requested; finishing the current job; a second signal returns it to the queue",
		"until", time.Now().Add(w.o.Drain).Format(time.RFC3339), "drain", w.o.Drain)
	t := time.NewTimer(w.o.Drain)
	defer t.Stop()
	select {
	case <-ended.Done():
		w.o.Log.Info("current job ended; stopping")
	case <-w.o.StopNow:
		w.o.Log.Info("second stop signal; returning the current job to the queue")
	case <-t.C:
		w.o.Log.Warn("current job not finished within worker.drain; returning it to the queue; raise worker.drain to finish such jobs",
			"drain", w.o.Drain)
	}
}

// task is a goroutine with an owner, who calls end.
type task struct {
	cancel  context.CancelFunc
	running *sync.WaitGroup
}

// startTask runs f in a goroutine, with a context that ends with ctx and with end.
func startTask(ctx context.Context, f func(context.Context)) task {
	ctx, cancel := context.WithCancel(ctx)
	t := task{cancel: cancel, running: new(sync.WaitGroup)}
	t.running.Go(func() { f(ctx) })
	return t
}

// end ends the context of the goroutine and waits for it. Calling it twice is safe.
func (t task) end() {
	t.cancel()
	t.running.Wait()
}
