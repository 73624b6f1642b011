package server

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
)

// screenshots are the pictures of deploy/docs/page.md.
var screenshots = []struct{ name, path, ready string }{
	{"today", "/", "having('#sites', 'north').some(shown) && having('#attention', 'given up').some(shown)"},
	{"flights", "/flights", "all('#footage .row').length >= 40"},
	{"footage", "/footage/herd", "pictured('.sheet') && " + evidenceLoaded + " && (scrollTo(0, 0), true)"},
	{"history", "/history?days=365&site=north", "all('#history canvas').length === 1"},
	{"station", "/stations/dock-1", "all('#vitals-day canvas').length > 2 && pictured('#station-queue img', 320) && (scrollTo(0, 0), true)"},
	{"queue", "/queue", "having('#jobs li', 'DJI_').some(shown) && having('#models', 'herd-2026').some(shown)"},
	{"models", "/queue", "having('#models', 'herd-2026').some(shown) && (document.querySelector('#models').scrollIntoView(), true)"},
}

// mostScreenshots bounds the pictures of the documents together, in bytes.
const mostScreenshots = 1 << 20

// TestPageScreenshots makes the pictures of the documents into the folder SCREENSHOTS, of a phone and of a desktop: make
// screenshots. Without the folder it makes them into a temporary one, so that it finds what they can no longer show.
func TestPageScreenshots(t *testing.T) {
	c := startChrome(t)
	r := seedRanch(t)
	r.storeCount("herd", 48)
	r.withLedger(func(l *ledger.Ledger) error {
		seedModels(t, t.Context(), l)
		return nil
	})
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	total := 0
	for _, s := range []struct {
		suffix string
		screen screen
	}{{"desktop", screen{width: 1200, height: 800}}, {"phone", screen{width: 360, height: 720, phone: true}}} {
		tab := c.open(s.screen)
		for _, v := range screenshots {
			tab.navigate(r.at.HTTP + v.path)
			tab.until(v.ready)
			tab.until("!document.querySelector('[aria-busy]')")
			quality := int64(70)
			got, err := chromedp.Call(tab.ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp, Quality: &quality})
			tab.must(err)
			if len(got.Data) < 4<<10 {
				t.Errorf("%s-%s has %d bytes", v.name, s.suffix, len(got.Data))
			}
			total += len(got.Data)
			must.Do(t, os.WriteFile(filepath.Join(dir, v.name+"-"+s.suffix+".webp"), got.Data, 0o644))
		}
		tab.close()
	}
	if total > mostScreenshots {
		t.Errorf("the pictures have %d bytes, more than %d", total, mostScreenshots)
	}
}
