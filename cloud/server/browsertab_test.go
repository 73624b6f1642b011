package server

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	patience     = 3 * time.Minute // for what the page does at once, on a busy machine
	longPatience = 6 * time.Minute // for a whole upload and count
)

// helpers are in scope of every expression that a tab evaluates.
const helpers = `
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = (e) => !!e && e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().width > 0;
// A lazy picture is loaded only near the part of the page that is looked at, so pictured goes to the pictures.
const pictured = (selector, width = 1, n = 1) => all(selector).filter((e) => {
	if (!e.naturalWidth) e.scrollIntoView({ block: 'nearest', behavior: 'instant' });
	return e.naturalWidth >= width;
}).length >= n;
const having = (selector, text) => all(selector).filter((e) => e.textContent.toLowerCase().includes(text.toLowerCase()));
const rows = (text) => having('#footage .row', text);
const inRow = (text, selector) => rows(text).map((r) => r.querySelector(selector)).find((e) => e);
const exact = (selector, text) => all(selector).find((e) => e.textContent.trim() === text);
`

// chrome is one headless Chromium. Its tabs share nothing: each has cookies and storage of its own.
type chrome struct {
	t    *testing.T
	root context.Context

	mu     sync.Mutex
	faults []string // script errors and breaches of the Content Security Policy, of every tab
}

// startChrome starts Chromium. It ends with the test.
func startChrome(t *testing.T) *chrome {
	t.Helper()
	program := findChromium(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.UserDataDir(userFolder(t)), chromedp.WSURLReadTimeout(longPatience), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	root, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(root); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return &chrome{t: t, root: root}
}

// userFolder is a folder that is removed at the end of the test. Processes of Chromium may outlive the one that was waited
// for, and write into the folder meanwhile.
func userFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, "the folder of Chromium is removed", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

// findChromium skips the test without Chromium or the built page; with CATTLE_BROWSER=required it fails.
func findChromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("drives a browser: skipped with -short")
	}
	missing := func(what string) {
		if os.Getenv("CATTLE_BROWSER") == "required" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		missing("no chromium; run deploy/setup/setup.sh test")
	}
	for _, file := range []string{"index.html", "app.js"} {
		if _, err := os.Stat(filepath.Join("dashboard/dist", file)); err != nil {
			missing("the page is not built; run deploy/setup/setup.sh page")
		}
	}
	return program
}

func (c *chrome) addFault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// takeFaults returns the faults since the last call.
func (c *chrome) takeFaults() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	faults := c.faults
	c.faults = nil
	return faults
}

// screen is what a tab pretends to be.
type screen struct {
	width, height int64
	dark, phone   bool
}

// tab is one page. Its methods end the test when the page does not do what they wait for.
type tab struct {
	*chrome
	ctx   context.Context
	close func()

	patchMu sync.Mutex
	patches []int // Upload-Offset of every PATCH so far
}

// open makes an empty tab. It ends with the test, or when closed.
func (c *chrome) open(s screen) *tab {
	c.t.Helper()
	ctx, cancel := chromedp.NewContext(c.root, chromedp.WithNewBrowserContext())
	c.t.Cleanup(cancel)
	p := &tab{chrome: c, ctx: ctx, close: cancel}
	scheme := "light"
	if s.dark {
		scheme = "dark"
	}
	var options []chromedp.EmulateViewportOption
	if s.phone {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	p.must(chromedp.Listen(ctx, p.onEvent))
	p.must(chromedp.Do(ctx, chromedp.EmulateViewport(s.width, s.height, options...)))
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	p.must(err)
	return p
}

func (p *tab) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *tab) onEvent(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.addFault("script error: %s", text)
	case *runtime.EventConsoleAPICalled:
		for _, a := range e.Args {
			if strings.Contains(string(a.Value), "Content Security Policy") {
				p.addFault("%s", a.Value)
			}
		}
	case *log.EventEntryAdded:
		if strings.Contains(e.Entry.Text, "Content Security Policy") {
			p.addFault("%s", e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		if e.Request.Method == "PATCH" {
			p.addPatch(e.Request.Headers)
		}
	}
}

func (p *tab) addPatch(headers network.Headers) {
	for name, value := range headers {
		if !strings.EqualFold(name, "upload-offset") {
			continue
		}
		at, err := strconv.Atoi(fmt.Sprint(value))
		if err != nil {
			p.addFault("Upload-Offset %v is no number", value)
		}
		p.patchMu.Lock()
		p.patches = append(p.patches, at)
		p.patchMu.Unlock()
	}
}

func (p *tab) patchOffsets() []int {
	p.patchMu.Lock()
	defer p.patchMu.Unlock()
	return append([]int(nil), p.patches...)
}

func (p *tab) navigate(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.Navigate(address)))
}

func (p *tab) reload() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.Reload()))
}

// evaluate returns the value of a JavaScript expression, in which the helpers are in scope.
func evaluate[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T]("(() => {"+helpers+mouse+"return "+expression+";\n})()"))
}

func value[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := evaluate[T](p, expression)
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until the expression is true. While a page loads, an error counts as false.
func (p *tab) until(expression string) { p.t.Helper(); p.untilWithin(patience, expression) }

func (p *tab) untilWithin(limit time.Duration, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := evaluate[bool](p, "!!("+expression+")")
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			text, _ := evaluate[string](p, "document.body.innerText")
			p.shot("failed")
			p.t.Fatalf("not within %s: %s (last error %v)\nfaults: %q\nthe page reads:\n%s", limit, expression, err,
				p.takeFaults(), text)
		}
	}
}

// focus moves the keyboard to the element.
func (p *tab) focus(element string) {
	p.t.Helper()
	p.until("shown(" + element + ")")
	p.until("((e) => { e.focus(); return document.activeElement === e; })(" + element + ")")
}

// press sends keys as a keyboard does.
func (p *tab) press(keys string) {
	p.t.Helper()
	p.must(chromedp.Do(p.ctx, chromedp.KeyEvent(keys)))
}

// fill replaces the text of an input.
func (p *tab) fill(element, text string) {
	p.t.Helper()
	p.focus(element)
	p.until("((e) => { e.select(); return true; })(" + element + ")")
	p.press(text)
	p.until(fmt.Sprintf("%s.value === %q", element, text))
}

// choose picks files as a person does in the dialog of the browser.
func (p *tab) choose(files ...string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	p.must(chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS("#files"), files)))
}

// limitUpload throttles uploads to bytes a second; -1 is no limit.
func (p *tab) limitUpload(bytes float64) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: bytes}}})
	p.must(err)
}

// download clicks the element and returns the suggested name and the content of what the browser stores.
func (p *tab) download(element string) (name, content string) {
	p.t.Helper()
	dir, enabled := p.t.TempDir(), true
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	begins, progress := chromedp.Events(ctx, browser.DownloadWillBegin), chromedp.Events(ctx, browser.DownloadProgress)
	_, err := chromedp.Call(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir, EventsEnabled: &enabled,
		BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID})
	p.must(err)
	p.click(element)
	var id string
	for e, err := range begins {
		p.must(err)
		id, name = e.GUID, e.SuggestedFilename
		break
	}
	for e, err := range progress {
		p.must(err)
		if e.GUID == id && e.State == browser.DownloadProgressStateCompleted {
			break
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, id))
	p.must(err)
	return name, string(b)
}

// shot stores a picture of the whole page in the folder SHOTS, where that is set.
func (p *tab) shot(name string) {
	p.t.Helper()
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	b, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), b, 0o600)
	}
	if err != nil {
		p.t.Errorf("picture %s: %v", name, err)
	}
}
