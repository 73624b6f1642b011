package e2e

import (
	"syscall"
	"testing"
	"time"

	"cattlecounter/shared/job"
)

// A station without a broker polls the API. It shows the same progress as the API while the worker counts, and the count
// at the end.
func TestStationWithoutBrokerShowsProgress(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.noBroker = true
	s.workerEnv = []string{"CATTLE_CLOUD_WORKER_LEASE=10m"} // it is paused below, and must keep its lease
	s.startAPI()
	s.startWorker()
	s.startEdge()
	path, animals := clip(t)
	s.copyToCard(path, "DJI_0001.MP4")
	s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted in part", func(f footageView) bool {
		return f.Job != nil && f.Job.State == job.Processing && f.Job.Percent > 0 && f.Job.Percent < 100
	})
	// The station asks every 15 seconds, and the clip may be counted in less.
	s.pause(s.worker)
	t.Cleanup(func() { _ = s.worker.Signal(syscall.SIGCONT) }) // a paused process ignores SIGTERM
	f := s.awaitFootage("DJI_0001.MP4", time.Minute, "is still being counted", func(f footageView) bool {
		return f.Job != nil && f.Job.State == job.Processing
	})
	s.eventually("the station shows the progress of the API", time.Minute, func() bool {
		for _, mine := range s.status().Footage {
			if mine.Name == "DJI_0001.MP4" && mine.Phase == "counting" {
				return mine.Percent == f.Job.Percent && mine.Percent > 0 && mine.Percent < 100
			}
		}
		return false
	})
	signal(t, s.worker, syscall.SIGCONT)
	f = s.awaitFootage("DJI_0001.MP4", 2*time.Minute, "is counted", isCounted)
	if f.Job.Attempt != 1 || !isClose(f.Count.Unique, animals) {
		t.Errorf("attempt %d, count %+v, true %d", f.Job.Attempt, f.Count, animals)
	}
	s.eventually("the station shows the count", time.Minute, func() bool {
		for _, mine := range s.status().Footage {
			if mine.Name == "DJI_0001.MP4" && mine.Phase == "done" {
				return mine.Count != nil && mine.Count.Unique == f.Count.Unique
			}
		}
		return false
	})
}
