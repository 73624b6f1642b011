package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

// failsOnce is how the name of a clip begins whose first attempts fail.
const failsOnce = "fails-first"

// pretender is a worker that decodes nothing: it leases jobs, reports progress and stores fixed results.
type pretender struct {
	ledger *ledger.Ledger
	blobs  *disk.Store
	// The count of videoName stays at a third and at two thirds until these are closed, because somebody looks at it.
	third, twoThirds chan struct{}
}

// startPretender starts a pretender. It ends with the test.
func startPretender(t *testing.T, cfg config.Config) *pretender {
	t.Helper()
	l, err := OpenLedger(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	q, err := embedded.New(t.Context(), l.DB(), nil)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := disk.New(cfg.BlobDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &pretender{ledger: l, blobs: blobs, third: make(chan struct{}), twoThirds: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			lease, err := q.Receive(ctx, 10*time.Minute)
			if err == nil {
				err = errors.Join(p.count(ctx, lease.Job(), tick.C), lease.Delete(ctx))
			}
			// A job may be canceled before it begins and while it runs.
			canceled := errors.Is(err, job.ErrTransition) || errors.Is(err, ledger.ErrFenced)
			if err != nil && !errors.Is(err, queue.ErrEmpty) && !canceled && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// count takes one job from leased to done, one step of 30 frames every tick.
func (p *pretender) count(ctx context.Context, id string, tick <-chan time.Time) error {
	j, f, err := p.ledger.Attempts.Begin(ctx, id, "pretender")
	if err != nil {
		return err
	}
	const frames = 900
	for n := 0; n <= frames; n += 30 {
		eta := float64(frames-n) / 60
		_, err := p.ledger.Attempts.UpdateProgress(ctx, id, j.Fence,
			job.Progress{Stage: job.StageDetect, FramesDone: n, FramesTotal: frames,
				Percent: float64(n) * 100 / frames, FPS: 28.4, ETASeconds: &eta, Count: 12 * n / frames})
		if err != nil {
			return err
		}
		if strings.HasPrefix(f.Name, failsOnce) && j.Attempt == 1 && n > 90 {
			return p.ledger.Jobs.Poison(ctx, id, "The worker ended five times, the last time without memory after 4.2 s.")
		}
		if gate := map[int]chan struct{}{frames / 3: p.third, 2 * frames / 3: p.twoThirds}[n]; gate != nil && f.Name == videoName {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-gate:
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
	}
	key := "footage/" + string(f.ID) + "/result/0123"
	for ext, b := range map[string][]byte{".json": pretendedResult(),
		".csv": []byte("second,visible\n0,3\n"), ".jpg": picture(960, 540), "." + wire.SheetExt: picture(1200, 600),
		"." + wire.ContactExt(1): picture(600, 400), "." + wire.AnnotatedExt: annotatedVideo()} {
		if _, err := p.blobs.Put(ctx, key+ext, bytes.NewReader(b)); err != nil {
			return err
		}
	}
	_, err = p.ledger.Attempts.Finish(ctx, id, j.Fence, ledger.Count{Footage: f.ID, Job: id, Unique: 12, Low: 11, High: 14,
		ByClass: map[string]int{"cow": 12},
		Model:   "deimv2-femto-coco", ModelDigest: footage.Sum([]byte("model"))}, key+".json")
	return err
}

// pretendedResult is a document with twelve animals, each in the picture for the three seconds of annotatedVideo.
func pretendedResult() []byte {
	r := report.Result{Video: report.Video{Width: 640, Height: 360, FPS: 6, Frames: 18, Duration: 3},
		Count:      report.Count{Unique: 12, Low: 11, High: 14},
		NotCounted: []report.NotCounted{{ID: 40, Reason: "too-brief", Confidence: 0.4, Best: report.Best{Frame: 5}}},
		Warnings:   []report.Warning{{Code: report.CameraLost, Text: "The camera's way is not known for 1 s."}}}
	for i := range 3 {
		r.Visible = append(r.Visible, report.Visible{Second: i, Animals: 12 - i})
	}
	for i := range 12 {
		t := report.Track{ID: i + 1, Label: "cow", Detections: 18, Confidence: 0.9}
		for frame := 0; frame <= 18; frame += 6 {
			x, y := float64(30+i%4*150+frame), float64(30+i/4*110)
			t.Way = append(t.Way, report.Waypoint{Frame: frame, Seconds: float64(frame) / 6, Box: &[4]float64{x, y, x + 60, y + 40}})
		}
		r.Tracks = append(r.Tracks, t)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a struct of numbers and texts
	}
	return b
}

// annotatedVideo is an H.264 video of three seconds like that of a worker, or of no use where ffmpeg is missing.
var annotatedVideo = sync.OnceValue(func() []byte {
	b, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=640x360:rate=6:duration=3",
		"-c:v", "libx264", "-g", "12", "-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-").Output()
	if err != nil {
		return []byte("no video")
	}
	return b
})

// picture is a JPEG of a meadow with twelve brown blocks.
func picture(width, height int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(m, m.Bounds(), image.NewUniform(color.RGBA{96, 128, 72, 255}), image.Point{}, draw.Src)
	for i := range 12 {
		at := image.Pt((8+i%4*23)*width/100, (15+i/4*30)*height/100)
		draw.Draw(m, image.Rect(at.X, at.Y, at.X+width/16, at.Y+height/16), image.NewUniform(color.RGBA{70, 48, 36, 255}),
			image.Point{}, draw.Src)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err) // a buffer in memory accepts everything
	}
	return b.Bytes()
}
