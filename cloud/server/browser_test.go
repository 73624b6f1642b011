package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/blob/disk"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/queue"
	"cattlecounter/cloud/store/queue/embedded"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// TestPageInBrowser drives the page in a headless Chromium against a whole
// cloud-api with a worker that only pretends. It needs chromium, node and
// `npm ci && npm run build` in cloud/server/dashboard; with CATTLE_BROWSER=required
// their absence is a failure. SHOTS=folder keeps pictures.
func TestPageInBrowser(t *testing.T) {
	dashboard, err := filepath.Abs("dashboard")
	if err != nil {
		t.Fatal(err)
	}
	chromium := findBrowser(t, dashboard)
	s := serve(t, nil)
	token := s.addDevice("boss", ledger.RoleOperator)
	pretend(t, s.cfg)
	dir := t.TempDir()
	video, broken := filepath.Join(dir, "DJI_0042.MP4"), filepath.Join(dir, "notes.mp4")
	content := append([]byte("\x00\x00\x00\x20ftypisom"), bytes.Repeat([]byte("meadow"), 1<<20)...)
	large := filepath.Join(dir, "DJI_0043.MP4")
	for path, b := range map[string][]byte{video: content, broken: []byte("these are my notes"), large: append(content[:len(content):len(content)], "more"...)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "test/browser.mjs", s.at.HTTP, token, video, broken, large)
	cmd.Dir, cmd.Env = dashboard, append(os.Environ(), "CHROMIUM="+chromium)
	cmd.Stderr = &testWriter{t}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		switch lines.Text() {
		case "STOP":
			s.stop()
		case "START":
			serve(t, func(c *config.Config) {
				c.Data, c.HTTP.Listen = s.cfg.Data, strings.TrimPrefix(s.at.HTTP, "http://")
			})
		default:
			t.Log(lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// testWriter passes what a child complains about to the test's log.
type testWriter struct{ t *testing.T }

func (w *testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

func findBrowser(t *testing.T, dashboard string) string {
	t.Helper()
	missing := func(what string) {
		if os.Getenv("CATTLE_BROWSER") == "required" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		missing("no chromium")
	}
	if _, err := exec.LookPath("node"); err != nil {
		missing("no node")
	}
	for _, need := range []string{"node_modules/playwright-core", "dist/index.html"} {
		if _, err := os.Stat(filepath.Join(dashboard, need)); err != nil {
			missing("run npm ci && npm run build in cloud/server/dashboard first")
		}
	}
	return chromium
}

// pretend counts like a worker: it moves through the states and writes results.
func pretend(t *testing.T, cfg config.Config) {
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
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			lease, err := q.Receive(ctx, time.Minute)
			if err == nil {
				err = errors.Join(count(ctx, l, blobs, lease.Job(), tick.C), lease.Delete(ctx))
			}
			if err != nil && !errors.Is(err, queue.ErrEmpty) && ctx.Err() == nil {
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
}

func count(ctx context.Context, l *ledger.Ledger, blobs *disk.Store, id string, tick <-chan time.Time) error {
	j, f, err := l.Begin(ctx, id, "pretender")
	if err != nil {
		return err
	}
	const frames = 900
	for n := 0; n <= frames; n += 30 {
		eta := float64(frames-n) / 60
		err := l.UpdateProgress(ctx, id, j.Fence, ledger.Progress{Stage: topic.StageDetect, FramesDone: n, FramesTotal: frames,
			Percent: float64(n) * 100 / frames, FPS: 28.4, ETASeconds: &eta, Count: 12 * n / frames})
		if err != nil {
			return err
		}
		if strings.HasPrefix(f.Name, "fails-first") && j.Attempt == 1 && n > 90 {
			return l.Fail(ctx, id, j.Fence, "The video is cut off after 4.2 s: the file is not whole. Copy it from the card again.")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick:
		}
	}
	key := "footage/" + string(f.ID) + "/result/0123"
	for ext, b := range map[string][]byte{".json": []byte(`{"count":{"unique":12}}`), ".csv": []byte("second,visible\n0,3\n"), ".jpg": picture()} {
		if _, err := blobs.Put(ctx, key+ext, bytes.NewReader(b)); err != nil {
			return err
		}
	}
	return l.Finish(ctx, id, j.Fence, ledger.Count{Footage: f.ID, Job: id, Unique: 12, Low: 11, High: 14, ByClass: map[string]int{"cow": 12},
		Model: "deimv2-femto-coco", ModelDigest: footage.Sum([]byte("model"))}, key+".json")
}

func picture() []byte {
	m := image.NewRGBA(image.Rect(0, 0, 960, 540))
	draw.Draw(m, m.Bounds(), image.NewUniform(color.RGBA{96, 128, 72, 255}), image.Point{}, draw.Src)
	for i := range 12 {
		at := image.Pt(80+i%4*220, 80+i/4*160)
		draw.Draw(m, image.Rect(at.X, at.Y, at.X+60, at.Y+34), image.NewUniform(color.RGBA{70, 48, 36, 255}), image.Point{}, draw.Src)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err) // a buffer in memory takes everything
	}
	return b.Bytes()
}
