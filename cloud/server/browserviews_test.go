package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"cattlecounter/cloud/store"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
)

// seedSites records two sites with counts, a failed job, one that waits, and a flight of two parts.
func seedSites(t *testing.T, s *running) {
	t.Helper()
	l := must.Get(store.OpenLedger(t.Context(), s.cfg))(t)
	defer l.Close()
	ctx := t.Context()
	day := time.Now().UTC().Truncate(time.Hour).Add(-5 * 24 * time.Hour)
	for i, c := range []struct {
		site, device string
		unique       int
	}{{"north", "dock-1", 90}, {"north", "dock-1", 93}, {"north", "dock-1", 71}, {"south", "dock-2", 240}, {"south", "dock-2", 238}} {
		id := footage.ID(fmt.Sprintf("seed-%d", i))
		rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: id, Site: c.site, Device: c.device,
			Name: fmt.Sprintf("DJI_%04d.MP4", 10*i+7), Size: 1 << 30, SHA256: footage.Sum([]byte(id)), BlobKey: string(id),
			Captured: day.Add(time.Duration(i) * 24 * time.Hour)}))(t)
		begun, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "gpu-1")
		must.Do(t, err)
		must.Get(l.Attempts.Finish(ctx, rec.Job.ID, begun.Fence, ledger.Count{Footage: id, Job: rec.Job.ID, Unique: c.unique,
			Low: c.unique - 6, High: c.unique + 8, ByClass: map[string]int{"cow": c.unique}, Model: "default"}, string(id)+".json"))(t)
	}
	bad := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: "bad", Site: "south", Device: "dock-2", Name: "DJI_0099.MP4", Size: 5 << 20,
		SHA256: footage.Sum([]byte("bad")), BlobKey: "bad", Captured: day}))(t)
	begun, _, err := l.Attempts.Begin(ctx, bad.Job.ID, "gpu-1")
	must.Do(t, err)
	must.Get(l.Attempts.Fail(ctx, bad.Job.ID, begun.Fence, "The video is cut off after 4.2 s. Copy it from the card again."))(t)
	must.Get(l.Footage.Record(ctx, ledger.Footage{ID: "waits", Site: "north", Device: "dock-1", Name: "DJI_0100.MP4", Size: 7 << 20,
		SHA256: footage.Sum([]byte("waits")), BlobKey: "waits"}))(t)
}

// axe is the source of axe-core, which finds faults of accessibility.
func axe(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("dashboard/node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("CATTLE_BROWSER") == "required" {
			t.Fatal(err)
		}
		t.Skip("axe-core is missing; run deploy/setup/setup.sh page")
	}
	return string(b)
}

// TestPageViews opens every view of a server with two sites, on a desktop and on a small phone, light and dark, in both
// languages. No view may be too wide, break the content policy, have a fault that axe finds, or show figures without
// their age.
func TestPageViews(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, nil)
	s.addDevice("dock-1", ledger.RoleDevice)
	s.addDevice("dock-2", ledger.RoleDevice)
	seedSites(t, s)
	views := []struct {
		path, ready string
		aged        bool // it shows figures
	}{
		{"/", "having('#sites', '238').some(shown) && having('#attention', 'cut off').some(shown)", true},
		{"/flights", "rows('DJI_0099').some(shown) && rows('DJI_0007').some(shown)", true},
		{"/flights?site=south&state=done", "rows('DJI_0047').some(shown) && rows('').length === 2", true},
		{"/flights?sort=most", "rows('DJI_0037').some(shown) && rows('')[0].innerText.includes('240')", true},
		{"/flights?sort=oldest&name=dji_00", "rows('')[0].innerText.includes('DJI_0007') && rows('').length === 6", true},
		{"/flights/compare?a=seed-0&b=seed-2", "having('#compare', '-19').some(shown) && having('#compare', 'do not overlap').some(shown)", true},
		{"/footage/seed-0", "having('#detail .result', '90').some(shown)", true},
		{"/footage/bad", "having('#detail .problem', 'cut off').some(shown) && having('#detail .problem', 'Upload the whole file').some(shown) && " +
			"!document.querySelector('[data-retry]')", true},
		{"/history", "all('#history canvas').length === 2", true},
		{"/stations", "having('#stations li', 'dock-1').some(shown)", true},
		{"/stations/dock-1", "having('#station', 'dock-1').some(shown)", true},
		{"/queue", "having('#jobs', 'DJI_0100').some(shown)", true},
		{"/map", "having('#map-view', 'no ground positions').some(shown)", false},
		{"/paddocks?site=north", "having('#paddocks', 'no paddocks').some(shown)", false},
		{"/surveys?site=north", "having('#surveys', 'No surveys yet').some(shown)", true},
		{"/settings", "having('#appearance', 'Language').some(shown)", false},
		{"/programs", "having('#programs', '/api/v1/footage/{id}').some(shown)", false},
		{"/nothing/here", "", false},
	}
	for _, screen := range []screen{{width: 1280, height: 900}, {width: 320, height: 640, phone: true, dark: true}} {
		page := c.open(screen)
		for _, v := range views {
			if v.ready == "" {
				continue
			}
			name := fmt.Sprintf("view-%s-%d", strings.Trim(strings.NewReplacer("/", "_", "?", "_", "&", "_", "=", "_").Replace(v.path), "_"), screen.width)
			page.navigate(s.at.HTTP + v.path)
			page.until(v.ready)
			page.until("!document.querySelector('[aria-busy]')")
			page.shot(name)
			if over := value[float64](page, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				t.Errorf("%s is %v px too wide", name, over)
			}
			if wide := value[string](page, "all('.card').filter((c) => c.scrollWidth > c.clientWidth).map((c) => c.id).join(' ')"); wide != "" {
				t.Errorf("%s: more than fits is in the card %s", name, wide)
			}
			if v.aged && !value[bool](page, "all('.age').some(shown)") {
				t.Errorf("%s shows figures without their age", name)
			}
			for _, fault := range page.axe(source) {
				t.Errorf("%s: %s", name, fault)
			}
		}
		page.navigate(s.at.HTTP + "/settings")
		page.until("document.querySelector('#appearance select')")
		value[bool](page, `((e) => { e.value = 'es'; return e.dispatchEvent(new Event('change', { bubbles: true })); })(document.querySelector('#appearance select'))`)
		page.until("having('.nav', 'Estaciones').some(shown) && document.documentElement.lang === 'es'")
		page.navigate(s.at.HTTP + "/")
		page.until("having('#attention', 'Requiere atención').some(shown) && having('#sites', '238').some(shown)")
		if !value[bool](page, "all('#attention .att-text').length > 0 && all('#attention .att-text').every((e) => !e.firstElementChild?.matches('[lang=en]:not(.meta)'))") {
			t.Error("something that needs attention has no Spanish words")
		}
		page.shot(fmt.Sprintf("view-es-%d", screen.width))
		page.close()
	}
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}

// TestPageDrawsPaddocks draws a paddock on the map, saves it, imports a file in its place and refuses one with swapped axes.
func TestPageDrawsPaddocks(t *testing.T) {
	c := startChrome(t)
	s := serve(t, nil)
	s.addDevice("dock-1", ledger.RoleDevice)
	token := s.addDevice("boss", ledger.RoleOperator)
	page := c.open(screen{width: 1280, height: 1000})
	page.navigate(s.at.HTTP + "/paddocks#token=" + token)
	page.drawPaddock("Bull's 1")
	page.click("document.querySelector('#paddocks [data-save]')")
	page.until("having('#versions', 'Version 1').some(shown) && having('#paddocks li', \"Bull's 1\").some(shown)")
	page.shot("paddocks-1280")

	file := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		must.Do(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	const square = `{"type":"Feature","properties":{"name":%q},"geometry":{"type":"Polygon","coordinates":[[%s]]}}`
	choose := func(path string) {
		page.must(chromedp.Do(page.ctx, chromedp.SetUploadFiles(chromedp.CSS("#paddock-file"), []string{path})))
	}
	choose(file("good.geojson", fmt.Sprintf(square, "River", "[24.30,-31.70],[24.31,-31.70],[24.31,-31.71],[24.30,-31.71],[24.30,-31.70]")))
	page.until("having('#versions', 'Version 2').some(shown) && having('#paddocks li', 'River').some(shown)")
	choose(file("bad.geojson", fmt.Sprintf(square, "Swapped", "[-31.70,124.30],[-31.71,124.30],[-31.71,124.31],[-31.70,124.30]")))
	page.until("/latitude|axes/i.test(document.querySelector('#import [role=status]')?.textContent)")
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}

// drawPaddock draws a paddock of four corners in the middle of the map.
func (p *tab) drawPaddock(name string) {
	p.t.Helper()
	p.click("exact('#paddocks button', 'Draw a paddock')")
	p.fill("document.querySelector('#paddocks .field input')", name)
	p.until("document.querySelector('.plane')?.dataset.drawn")
	for i, corner := range [][2]float64{{0.4, 0.4}, {0.6, 0.4}, {0.6, 0.6}, {0.45, 0.65}, {0.4, 0.4}} {
		p.clickAt("document.querySelector('.plane canvas')", corner[0], corner[1])
		if i < 4 {
			// MapLibre takes two clicks at once for a zoom.
			p.until(fmt.Sprintf("document.querySelector('.plane').dataset.corners === '%d'", i+1))
		}
	}
}

// TestPageMakesSurvey imports a book, counts a site over a week and compares.
func TestPageMakesSurvey(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	s := serve(t, nil)
	seedSites(t, s)
	l := must.Get(store.OpenLedger(t.Context(), s.cfg))(t)
	token := must.Get(l.Devices.Add(t.Context(), "boss", "south", ledger.RoleOperator))(t)
	must.Do(t, l.Close())
	page := c.open(screen{width: 1280, height: 1000})
	page.navigate(s.at.HTTP + "/surveys?site=south#token=" + token.Reveal())
	page.until("having('#book', 'Book counts').some(shown)")
	book := filepath.Join(t.TempDir(), "book.csv")
	must.Do(t, os.WriteFile(book, []byte("paddock,animals\n,477\n"), 0o600))
	page.must(chromedp.Do(page.ctx, chromedp.SetUploadFiles(chromedp.CSS("#book-file"), []string{book})))
	page.until("having('#book', 'The book is saved').some(shown) && having('#book td', '477').some(shown)")
	page.click("document.querySelector('#new-survey [data-make]')")
	page.until("location.pathname.startsWith('/surveys/') && having('#survey .result', '478').some(shown)")
	page.until("having('#survey-table tr', 'Whole site').some((r) => /477[\\s\\S]*\\+1[\\s\\S]*agrees/.test(r.innerText))")
	page.until("having('#proof', 'SHA-256').some(shown) && all('.sample').length > 0")
	page.shot("survey-1280")
	for _, fault := range page.axe(source) {
		t.Error(fault)
	}
}

// axe returns what axe-core finds on the page, a line for each kind of fault.
func (p *tab) axe(source string) []string {
	p.t.Helper()
	value[bool](p, "(() => { "+source+"; return true; })()")
	value[bool](p, `void axe.run(document, { resultTypes: ['violations'] }).then((r) => {
		window.axed = r.violations.map((v) => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map((n) => n.target.join(' ') + ' ' + n.failureSummary.slice(0, 160)).join('; '));
	}) === undefined`)
	p.untilWithin(longPatience, "window.axed") // a long list takes a busy machine more than a minute
	faults := value[[]string](p, "window.axed")
	value[bool](p, "(delete window.axed)")
	return faults
}

// TestPictures takes the pictures of the documents from a running server: PAGES has NAME=ADDRESS, separated by blanks, and
// SHOTS the folder. An animal of a counted piece of footage is selected.
func TestPictures(t *testing.T) {
	if os.Getenv("PAGES") == "" {
		t.Skip("PAGES is not set")
	}
	c := startChrome(t)
	for _, x := range strings.Fields(os.Getenv("PAGES")) {
		name, address, _ := strings.Cut(x, "=")
		p := c.open(screen{width: 1280, height: 1000})
		p.navigate(address)
		p.until("having('#health', 'Live').some(shown) && !document.querySelector('[aria-busy]')")
		if strings.Contains(address, "/footage/") {
			p.until("document.querySelector('#detail video')?.readyState > 1 && document.querySelector('[data-animal]')")
			value[bool](p, "(all('[data-animal] button')[7].click(), document.activeElement.blur(), scrollTo(0, 0), true)")
			p.until("shown(document.querySelector('.outline')) && document.querySelector('#detail video').readyState > 1")
		}
		b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		p.must(err)
		must.Do(t, os.WriteFile(filepath.Join(os.Getenv("SHOTS"), name+".png"), b, 0o600))
		p.close()
	}
}
