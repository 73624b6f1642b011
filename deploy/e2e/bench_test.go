package e2e

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"cattlecounter/deploy/process"
	"cattlecounter/deploy/testkit/azurite"
	"cattlecounter/deploy/testkit/faultproxy"
	"cattlecounter/shared/job"
)

// BenchmarkUpload takes a file from the card through the agent's spool and the intake to the cloud's disk, with the real
// programs. It compares the time with a plain copy of the same file with fsync, on the same disk in the same run.
// Run it with: go test -bench Upload -benchtime 1x ./deploy/e2e
func BenchmarkUpload(b *testing.B) {
	for _, megabytes := range []int64{200, 2000} {
		b.Run(fmt.Sprintf("%dMB", megabytes), func(b *testing.B) {
			for b.Loop() {
				measureUpload(b, megabytes*1_000_000)
			}
		})
	}
}

func measureUpload(b *testing.B, size int64) {
	s := newStage(b)
	b.Cleanup(s.stop)
	source := s.path("source.mp4")
	if err := fill(source, size); err != nil {
		b.Fatal(err)
	}
	copied := copyTime(b, source, s.path("copy.mp4"))
	s.startBroker()
	s.startAPI()
	s.startEdge()
	if err := os.Link(source, s.path("card", "DCIM", "100MEDIA", "BIG.MP4")); err != nil {
		b.Fatal(err)
	}
	// What an operator waits for: from the first byte in the intake, and from the first byte read from the card.
	spooling := waitPhase(s, "spooling")
	uploading := waitPhase(s, "uploading")
	s.eventually("the footage is in the cloud", 20*time.Minute, func() bool { return len(s.footage()) == 1 })
	end := time.Now()
	plain := float64(size) / copied.Seconds()
	up := float64(size) / end.Sub(uploading).Seconds()
	whole := float64(size) / end.Sub(spooling).Seconds()
	b.ReportMetric(plain/1e6, "copy-MB/s")
	b.ReportMetric(up/1e6, "upload-MB/s")
	b.ReportMetric(up/plain, "upload/copy")
	b.ReportMetric(whole/plain, "card-to-cloud/copy")
	b.ReportMetric(cpuPerGB(b, s.api, size), "api-cpu-s/GB")
	b.ReportMetric(cpuPerGB(b, s.edge, size), "edge-cpu-s/GB")
	b.ReportMetric(peakMiB(b, s.api), "api-peak-MiB")
	b.ReportMetric(peakMiB(b, s.edge), "edge-peak-MiB")
	s.stop()
}

// BenchmarkCountWhileDownloading counts one clip from Azure Storage over a link of a set rate: as an MP4 with its index
// behind the pictures, as drones write it, and as a Matroska file of the same pictures, which is counted only after the
// whole download. There is a key frame each second, as cameras write them.
// Run it with: go test -bench CountWhileDownloading -benchtime 1x ./deploy/e2e
func BenchmarkCountWhileDownloading(b *testing.B) {
	path, _ := clip(b)
	for b.Loop() {
		waits := measureJob(b, path, "waits.mkv")
		streamed := measureJob(b, path, "streamed.mp4", "-movflags", "-faststart")
		b.ReportMetric(waits.Seconds(), "waits-s")
		b.ReportMetric(streamed.Seconds(), "streamed-s")
		b.ReportMetric(waits.Seconds()/streamed.Seconds(), "whole/streamed")
	}
}

// measureJob returns how long a worker took for the job of a clip.
func measureJob(b *testing.B, clip, name string, flags ...string) time.Duration {
	const downloadTime = 10 * time.Second
	server := azurite.Get(b)
	s := newStage(b, fmt.Sprintf("store: azure\nazure: {connection_string: %q, container: bench, queue: bench-jobs}\n", server.ConnectionString().Reveal()))
	defer s.stop()
	film := s.path(name)
	args := append([]string{"-v", "error", "-i", clip, "-c:v", "libx264", "-g", "30"}, append(flags, film)...)
	if out, err := exec.CommandContext(b.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		b.Fatalf("ffmpeg: %v: %s", err, out)
	}
	info, err := os.Stat(film)
	if err != nil {
		b.Fatal(err)
	}
	link, err := faultproxy.New(faultproxy.Options{To: server.Blob, Plan: func(faultproxy.Stats) faultproxy.Faults {
		return faultproxy.Faults{Rate: info.Size() * 8 / int64(downloadTime/time.Second)}
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer link.Close()
	s.workerEnv = []string{"CATTLE_CLOUD_AZURE_CONNECTION_STRING=" + server.ConnectionStringVia(link.Addr(), server.Queue).Reveal()}
	s.startAll()
	s.copyToCard(film, name)
	begun := func(f footageView) bool {
		return f.Job != nil && (f.Job.State == job.Leased || f.Job.State == job.Processing)
	}
	s.awaitFootage(name, time.Minute, "has a worker", begun)
	since := time.Now()
	s.awaitFootage(name, 5*time.Minute, "is counted", isCounted)
	return time.Since(since)
}

func waitPhase(s *stage, phase string) (since time.Time) {
	order := []string{"captured", "spooling", "spooled", "uploading", "waiting", "counting", "done", "failed"}
	rank := func(p string) int {
		for i, o := range order {
			if o == p {
				return i
			}
		}
		return -1
	}
	s.eventually("phase "+phase, 10*time.Minute, func() bool {
		for _, f := range s.status().Footage {
			if rank(f.Phase) >= rank(phase) {
				since = time.Now()
				return true
			}
		}
		return false
	})
	return since
}

// fill writes a file that begins like a video and does not compress.
func fill(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"); err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	if _, err := rand.Read(block); err != nil {
		return err
	}
	for n := int64(0); n < size; n += int64(len(block)) {
		copy(block, fmt.Sprintf("%020d", n)) // all blocks differ
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

func copyTime(b *testing.B, from, to string) time.Duration {
	src, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	began := time.Now()
	dst, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	defer os.Remove(to)
	defer dst.Close()
	if _, err := io.Copy(dst, src); err != nil {
		b.Fatal(err)
	}
	if err := dst.Sync(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// cpuPerGB is the processor time of the program, with that of its start, in seconds per GB of the file.
func cpuPerGB(b *testing.B, c *process.Child, size int64) float64 {
	used, err := c.CPU()
	if err != nil {
		b.Fatal(err)
	}
	return used.Seconds() / float64(size) * 1e9
}

// peakMiB is the largest resident size of the program (VmHWM).
func peakMiB(b *testing.B, c *process.Child) float64 {
	peak, err := c.Memory("VmHWM")
	if err != nil {
		b.Fatal(err)
	}
	return float64(peak) / (1 << 20)
}
