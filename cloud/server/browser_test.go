package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/port"
)

// TestPageInBrowser drives the page in a headless Chromium against a whole cloud-api and a pretended worker.
// It needs chromium and the built page; with CATTLE_BROWSER=required their absence is a failure.
// SHOTS=folder stores pictures.
func TestPageInBrowser(t *testing.T) {
	c := startChrome(t)
	at := port.Free(t) // the server comes back there
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.Listen = at })
	token := s.addDevice("boss", ledger.RoleOperator)
	w := &walk{t: t, chrome: c, server: s, worker: startPretender(t, s.cfg), token: token, dir: t.TempDir()}
	w.page = c.open(screen{width: 1280, height: 900})
	for _, step := range []struct {
		name string
		run  func()
	}{
		{"an empty list says what to do, and the page is live", w.emptyList},
		{"a thumbnail shows what waits at its station", w.thumbnailWaits},
		{"the token is taken from the address and removed from it", w.tokenFromAddress},
		{"an upload appears and its progress moves without a reload", w.progressMoves},
		{"a file that is no video is refused with a reason", w.refusal},
		{"the count and its interval appear", w.countAppears},
		{"the detail shows the evidence and offers the results", w.detail},
		{"an animal that is selected is outlined in the video, and chosen in the list by a click into the video", w.selects},
		{"a count is reviewed by keys, an animal is added in the video, and the audited count is shown", w.reviews},
		{"the same file again is shown as a duplicate", w.duplicate},
		{"one file of a flight is counted, the other one on request", w.siblings},
		{"a job that was given up shows its reason and is retried from the keyboard", w.retryByKeyboard},
		{"the page fits a phone, light and dark", w.fitsPhone},
		{"a missing or wrong token is asked for", w.asksForToken},
		{"an upload continues after a reload where it stopped", w.uploadContinues},
		{"a lost server is reported, and the page continues when it is back", w.serverReturns},
		{"no script failed and no content policy was broken", w.noFaults},
		{"a breach of the content policy is noticed", w.faultsAreNoticed},
	} {
		step.run()
		t.Log("ok:", step.name)
	}
}

// TestPageWithToken opens the page of a server that is not open for reading.
func TestPageWithToken(t *testing.T) {
	c := startChrome(t)
	s := serve(t, func(cfg *config.Config) { cfg.HTTP.OpenReading = false })
	w := &walk{t: t, chrome: c, server: s, token: s.addDevice("boss", ledger.RoleOperator), dir: t.TempDir()}
	const width = 320
	w.sendThumbnail(picture(width, 180))
	w.page = c.open(screen{width: 1280, height: 900})
	w.page.navigate(s.at.HTTP + "/flights")
	w.page.until("document.querySelector('#token').open")
	w.page.shot("token-1280")
	w.page.fill("document.querySelector('#token-value')", w.token)
	w.page.press(enter)
	w.page.until(fmt.Sprintf("pictured('#waiting-list img', %d)", width))
	w.page.until("having('#health', 'Live').some(shown)")
	w.page.reload()
	w.page.until(fmt.Sprintf("having('#waiting-list li', %q).some(shown)", videoName))
	w.page.until("having('#health', 'Live').some(shown)")
}

// walk is one visit of the page, step by step: each step builds on those before it.
type walk struct {
	t      *testing.T
	chrome *chrome
	server *running
	worker *pretender
	page   *tab
	token  string
	dir    string // holds the files that are chosen
}

const videoName, largeName = "DJI_0042.MP4", "DJI_0043.MP4"

// file writes a file that can be chosen. A video begins as an MP4 does.
func (w *walk) file(name string, content []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *walk) video(name, body string) string {
	w.t.Helper()
	return w.file(name, append([]byte("\x00\x00\x00\x20ftypisom"), body...))
}

// body makes videos of the size of a short clip.
func body() string { return strings.Repeat("meadow", 1<<20) }

func (w *walk) emptyList() {
	w.page.navigate(w.server.at.HTTP + "/flights")
	w.page.until("having('#empty', 'No footage yet').some(shown)")
	w.page.until("having('#health', 'Live').some(shown)")
	w.page.shot("empty-1280")
}

func (w *walk) thumbnailWaits() {
	if !value[bool](w.page, "!shown(document.querySelector('#waiting'))") {
		w.t.Error("the list of waiting footage is shown while it is empty")
	}
	const width = 320
	w.sendThumbnail(picture(width, 180))
	w.page.reload()
	w.page.until(fmt.Sprintf("having('#waiting-list li', %q).some(shown)", videoName))
	w.page.until(fmt.Sprintf("pictured('#waiting-list img', %d)", width))
	w.page.shot("waiting-1280")
}

// sendThumbnail uploads a picture as a station does.
func (w *walk) sendThumbnail(b []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.at.HTTP+"/files/", bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, value := range map[string]string{
		"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Length": fmt.Sprint(len(b)),
		"Authorization": "Bearer " + w.token,
		"Upload-Metadata": "footage " + encode("seen-first") + ",kind " + encode("thumbnail") +
			",filename " + encode(videoName),
	} {
		req.Header.Set(name, value)
	}
	resp, err := w.server.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		w.t.Fatalf("upload of a thumbnail: %s", resp.Status)
	}
}

func (w *walk) tokenFromAddress() {
	w.page.navigate(w.server.at.HTTP + "/flights#token=" + w.token)
	w.page.until("!location.hash && localStorage.getItem('cattle-token')")
}

func (w *walk) progressMoves() {
	w.page.choose(w.video(videoName, body()), w.file("notes.mp4", []byte("these are my notes")))
	w.page.until(fmt.Sprintf("inRow(%q, '[data-state=processing]')", videoName))
	moves := func(from, to float64) {
		w.page.until(fmt.Sprintf("((e) => e && !e.hidden && e.value > %v && e.value < %v)(inRow(%q, 'progress'))", from, to, videoName))
	}
	moves(33, 50)
	close(w.worker.third)
	moves(66, 100)
	w.page.shot("progress-1280")
	close(w.worker.twoThirds)
}

func (w *walk) refusal() {
	w.page.until("/video/i.test(all('#uploads .up.failed').filter(shown).map((e) => e.innerText).join())")
}

func (w *walk) countAppears() {
	w.page.untilWithin(longPatience, fmt.Sprintf("inRow(%q, '[data-state=done]')", videoName))
	w.page.until(fmt.Sprintf(`/12[\s\S]*11 to 14/.test(rows(%q)[0].innerText)`, videoName))
}

// evidenceLoaded is true when the video of a count, or its still, is shown.
const evidenceLoaded = "(document.querySelector('#detail video')?.readyState > 0 || pictured('#detail .still'))"

func (w *walk) detail() {
	w.page.click(fmt.Sprintf("inRow(%q, '.row-link')", videoName))
	w.page.until(evidenceLoaded)
	w.evidence() // what loads late would move the buttons
	name, content := w.page.download("exact('#detail a, #detail button', 'CSV')")
	if !strings.HasSuffix(name, ".csv") || !strings.HasPrefix(content, "second,visible\n") {
		w.t.Errorf("the download is %s with %q", name, content)
	}
	w.page.shot("detail-1280")
	w.closeDetail()
}

// evidence plays and seeks the annotated video, and looks at the sheets.
func (w *walk) evidence() {
	w.page.until("pictured('#detail .sheet, #detail .contact-sheet', 500, 2)")
	if len(annotatedVideo()) < 1000 {
		w.t.Log("ffmpeg is missing: the annotated video is not played")
		return
	}
	const film = "document.querySelector('#detail video')"
	w.page.until(film + "?.duration > 2.5 && " + film + ".videoWidth === 640")
	value[bool](w.page, "(("+film+".currentTime = 2.2) > 2)")
	w.page.until(film + ".seeking === false && " + film + ".currentTime > 2")
	value[bool](w.page, film+".muted = true")
	value[bool](w.page, "void "+film+".play() === undefined")
	w.page.until(film + ".ended")
}

// selects chooses an animal in the list and another one in the video.
func (w *walk) selects() {
	if len(annotatedVideo()) < 1000 {
		w.t.Log("ffmpeg is missing: nothing is selected in the video")
		return
	}
	w.page.click(fmt.Sprintf("inRow(%q, '.row-link')", videoName))
	w.page.until(evidenceLoaded)
	w.page.click("document.querySelector('[data-animal=\"3\"] button')")
	w.page.until("shown(document.querySelector('.outline'))")
	w.page.shot("selected-1280")
	box := value[[]float64](w.page, "((b, o) => [b.left, b.top, b.width, b.height, o.left])(document.querySelector('.film-box').getBoundingClientRect(), "+
		"document.querySelector('.outline').getBoundingClientRect())")
	if left, want := (box[4]-box[0])/box[2], 336.0/640; left < want-0.02 || left > want+0.02 {
		w.t.Errorf("the outline begins at %.3f of the width of the video, want %.3f", left, want)
	}
	w.page.clickAt("document.querySelector('.film-box')", 60.0/640, 45.0/360)
	w.page.until("document.querySelector('tr.picked')?.dataset.animal === '1'")
	w.closeDetail()
}

// reviews rejects animal 2, merges 4 with 3, adds one in the video, and signs the rest.
func (w *walk) reviews() {
	w.page.click(fmt.Sprintf("inRow(%q, '.row-link')", videoName))
	w.page.until(evidenceLoaded)
	w.page.click("exact('#review button', 'Review this count')")
	w.page.click("document.querySelector('[data-track=\"1\"] .link')")
	for _, key := range []string{"j", "x", "j", "m", "u", "m"} {
		w.page.press(key)
	}
	w.page.until("document.querySelector('[data-track=\"2\"].rejected') && /= 3/.test(document.querySelector('[data-track=\"4\"]').innerText)")
	if len(annotatedVideo()) >= 1000 {
		w.page.click("exact('#review button', 'Add an animal: draw a box in the video')")
		w.page.drag("document.querySelector('.film-box .draw')", 0.5, 0.85, 0.6, 0.95)
		w.page.until("/Added: 0:0/.test(document.querySelector('#review').innerText)")
	}
	w.page.click("document.querySelector('#review input[type=checkbox]')")
	w.page.click("document.querySelector('#review [data-save]')")
	want := "12 of 12 judged"
	w.page.until(fmt.Sprintf("having('#review .audits', %q).some(shown)", want))
	w.page.shot("review-1280")
	audited := "11"
	if len(annotatedVideo()) < 1000 {
		audited = "10"
	}
	if got := value[string](w.page, "document.querySelectorAll('#review .audits b')[1].textContent"); got != audited {
		w.t.Errorf("the audited count is %s, want %s", got, audited)
	}
	w.closeDetail()
}

const enter = "\r"

func (w *walk) closeDetail() {
	w.t.Helper()
	value[bool](w.page, "history.back() === undefined")
	w.page.until("shown(document.querySelector('#footage')) && location.pathname === '/flights'")
}

func (w *walk) duplicate() {
	w.page.choose(filepath.Join(w.dir, videoName))
	w.page.until("rows('Duplicate').some(shown)")
}

func (w *walk) siblings() {
	const wide, thermal = "DJI_0050_W.MP4", "DJI_0050_T.MP4"
	w.page.choose(w.video(wide, strings.Repeat("wide", 5000)), w.video(thermal, strings.Repeat("warm", 5000)))
	w.page.until(fmt.Sprintf("/Same flight/.test(rows(%q)[0]?.innerText)", thermal))
	w.page.untilWithin(longPatience, fmt.Sprintf("inRow(%q, '[data-state=done]')", wide))
	w.page.until(fmt.Sprintf(`/Same flight[\s\S]*12[\s\S]*11 to 14/.test(rows(%q)[0].innerText)`, thermal))
	w.page.click(fmt.Sprintf("inRow(%q, '.row-link')", thermal))
	w.page.shot("sibling-1280")
	w.page.click("exact('#detail button', 'Count this file too')")
	w.page.until("document.querySelector('#detail [data-state]')")
	w.closeDetail()
	w.page.until(fmt.Sprintf("rows(%q)[0] && !/Same flight/.test(rows(%q)[0].innerText)", thermal, thermal))
	w.page.untilWithin(longPatience, fmt.Sprintf("inRow(%q, '[data-state=done]')", thermal))
}

func (w *walk) retryByKeyboard() {
	const name = failsOnce + ".mp4"
	row := func(selector string) string { return fmt.Sprintf("inRow(%q, %q)", name, selector) }
	w.page.choose(w.video(name, strings.Repeat("\a", 5000)))
	w.page.until(row("[data-state=poisoned]"))
	w.page.until(fmt.Sprintf("/without memory/.test(rows(%q)[0].innerText)", name))
	w.page.shot("list-1280")
	w.page.focus(row(".row-link"))
	w.page.press(enter)
	const retry = "document.querySelector('[data-retry]')"
	w.page.until("shown(" + retry + ")")
	w.page.shot("failed-1280")
	w.page.focus(retry)
	w.page.press(enter)
	w.page.untilWithin(longPatience, "shown(document.querySelector('#detail .result'))")
	w.closeDetail()
}

func (w *walk) fitsPhone() {
	for _, s := range []screen{{width: 360, phone: true}, {width: 360, phone: true, dark: true},
		{width: 1280, dark: true}} {
		s.height = 780
		p := w.chrome.open(s)
		p.navigate(w.server.at.HTTP + "/flights")
		p.until(fmt.Sprintf("rows(%q).some(shown)", videoName))
		if over := value[float64](p, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
			w.t.Errorf("the page is %v px too wide at %d px", over, s.width)
		}
		if dark := value[bool](p, "matchMedia('(prefers-color-scheme: dark)').matches"); dark != s.dark {
			w.t.Errorf("dark is %t, want %t", dark, s.dark)
		}
		p.shot(fmt.Sprintf("list-%d-dark-%t", s.width, s.dark))
		p.click(fmt.Sprintf("rows(%q).at(-1).querySelector('.row-link')", videoName))
		p.until(evidenceLoaded)
		p.shot(fmt.Sprintf("detail-%d-dark-%t", s.width, s.dark))
		p.close()
	}
}

func (w *walk) asksForToken() {
	p := w.chrome.open(screen{width: 1280, height: 900})
	p.navigate(w.server.at.HTTP + "/flights")
	p.until(fmt.Sprintf("rows(%q).some(shown)", videoName))
	p.choose(w.video("asked.mp4", "asked"))
	p.until("shown(document.querySelector('#token[open]'))")
	const input = "document.querySelector('#token-value')"
	p.fill(input, "cc_wrong")
	p.press(enter)
	p.until("having('#token-why', 'does not know this token').some(shown)")
	p.shot("token-1280")
	p.fill(input, w.token)
	p.press(enter)
	p.untilWithin(longPatience, "inRow('asked.mp4', '[data-state=done]')")
}

func (w *walk) uploadContinues() {
	const slow = 60_000 // bytes a second: the upload does not end before the pause
	before := len(w.page.patchOffsets())
	w.page.limitUpload(slow)
	large := w.video(largeName, body()+"more")
	w.page.choose(large)
	upload := fmt.Sprintf("having('#uploads .up', %q)[0]", largeName)
	w.page.until(upload + "?.querySelector('progress').value > 0.05")
	w.page.click("[..." + upload + ".querySelectorAll('button')].find((b) => b.textContent === 'Pause')")
	w.page.until("/Paused/.test(" + upload + ".innerText)")
	w.page.shot("paused-1280")
	w.page.reload()
	w.page.until("/Not finished/.test(" + upload + "?.innerText)")
	w.page.limitUpload(-1)
	w.page.choose(large)
	w.page.untilWithin(longPatience, fmt.Sprintf("inRow(%q, '[data-state=done]')", largeName))
	starts := w.page.patchOffsets()[before:]
	if len(starts) < 2 || starts[0] != 0 || starts[len(starts)-1] < 100_000 {
		w.t.Errorf("the parts of the upload begin at %v", starts)
	}
}

func (w *walk) serverReturns() {
	w.server.stop()
	w.page.until("having('#banner', 'No connection to the server').some(shown)")
	w.page.shot("lost-1280")
	serve(w.t, func(c *config.Config) {
		c.Data, c.HTTP.Listen = w.server.cfg.Data, strings.TrimPrefix(w.server.at.HTTP, "http://")
	})
	w.page.untilWithin(longPatience, "!shown(document.querySelector('#banner'))")
	w.page.until("having('#health', 'Live').some(shown)")
	w.page.choose(w.video("after.mp4", "after"))
	w.page.untilWithin(longPatience, "inRow('after.mp4', '[data-state=done]')")
}

func (w *walk) noFaults() {
	if faults := w.chrome.takeFaults(); len(faults) > 0 {
		w.t.Errorf("%s", strings.Join(faults, "\n"))
	}
}

// faultsAreNoticed shows that noFaults would fail.
func (w *walk) faultsAreNoticed() {
	var faults []string
	value[bool](w.page, "document.head.append(Object.assign(document.createElement('script'), { textContent: 'var "+
		"broken' })) || true")
	value[bool](w.page, "setTimeout(() => { throw new Error('thrown by the test') }) > 0")
	eventually(w.t, "faults of both kinds", func() bool {
		faults = append(faults, w.chrome.takeFaults()...)
		all := strings.Join(faults, "\n")
		return strings.Contains(all, "Content Security Policy") && strings.Contains(all, "thrown by the test")
	})
}
