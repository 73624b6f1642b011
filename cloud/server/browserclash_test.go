package server

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
)

// clash is a page of one person, and the requests of another one.
type clash struct {
	*running
	t         *testing.T
	page      *tab
	own, anna string // tokens
}

func startClash(t *testing.T) (*clash, *chrome) {
	t.Helper()
	c := startChrome(t)
	s := serve(t, nil)
	return &clash{running: s, t: t, page: c.open(screen{width: 1280, height: 1000}), own: s.addDevice("boss", ledger.RoleOperator),
		anna: s.addDevice("anna", ledger.RoleOperator)}, c
}

// put stores a document as anna does, in place of whichever holds.
func (c *clash) put(path, body string) {
	c.t.Helper()
	if status := c.as(c.anna, http.MethodPut, path, body, nil); status != http.StatusOK {
		c.t.Fatalf("PUT %s: status %d", path, status)
	}
}

// squares are paddocks beside each other as GeoJSON.
func squares(names ...string) string {
	var list []string
	for i, name := range names {
		west := 24.30 + 0.01*float64(i)
		list = append(list, fmt.Sprintf(`{"type":"Feature","properties":{"name":%q},"geometry":{"type":"Polygon","coordinates":[[`+
			`[%.2f,-31.7],[%.2f,-31.7],[%.2f,-31.69],[%.2f,-31.69],[%.2f,-31.7]]]}}`, name, west, west+0.01, west+0.01, west, west))
	}
	return `{"type":"FeatureCollection","features":[` + strings.Join(list, ",") + `]}`
}

// stored are the names of the paddocks that hold, in order.
func (c *clash) stored(path string) []string {
	c.t.Helper()
	var doc struct {
		Features []struct {
			Properties struct {
				Name string `json:"name"`
			} `json:"properties"`
		} `json:"features"`
	}
	if status := c.as(c.own, http.MethodGet, path, "", &doc); status != http.StatusOK {
		c.t.Fatalf("GET %s: status %d", path, status)
	}
	var names []string
	for _, f := range doc.Features {
		names = append(names, f.Properties.Name)
	}
	slices.Sort(names)
	return names
}

// TestPageKeepsWhatWasDrawn draws a paddock while another person saves others. The page says what happened, keeps what was
// drawn, and stores it together with the newer ones when the person wants that.
func TestPageKeepsWhatWasDrawn(t *testing.T) {
	c, chrome := startClash(t)
	const path = "/api/v1/sites/farm/paddocks"
	c.put(path, squares("First", "Old"))
	page := c.page
	page.navigate(c.at.HTTP + "/paddocks?site=farm#token=" + c.own)
	page.until("having('#paddocks li', 'First').some(shown)")
	page.reconnects("/paddocks")
	page.drawPaddock("Mine")
	if !value[bool](page, "document.querySelector('.plane canvas').dataset.first === 'yes'") {
		t.Error("a lost connection replaces the map: a person who draws loses the place")
	}
	page.until("having('#paddocks li', 'Mine').some(shown)")
	c.put(path, squares("First", "Second")) // without Old
	page.click("document.querySelector('#paddocks [data-save]')")
	page.until("having('#paddocks [role=alert]', 'Nothing is saved').some(shown)")
	said := value[string](page, "document.querySelector('#paddocks [role=alert]').innerText")
	for _, part := range []string{"kept here", "changed meanwhile", "version 2 by anna"} {
		if !strings.Contains(said, part) {
			t.Errorf("the page says %q, without %q", said, part)
		}
	}
	const listed = "all('#paddocks li .name').map((e) => e.innerText).sort().join()"
	if got := value[string](page, listed); got != "First,Mine,Old" {
		t.Errorf("the page has kept %s", got)
	}
	if got := c.stored(path); !slices.Equal(got, []string{"First", "Second"}) {
		t.Errorf("stored are %v, want those of the other person", got)
	}
	page.until("having('#versions', 'Version 2').some(shown)")
	page.shot("clash-paddocks-1280")

	page.click("document.querySelector('#paddocks [data-merge]')")
	page.until(listed + " === 'First,Mine,Second'")
	page.click("document.querySelector('#paddocks [data-save]')")
	page.until("having('#versions', 'Version 3').some(shown) && !document.querySelector('#paddocks [data-save]')")
	if got := c.stored(path); !slices.Equal(got, []string{"First", "Mine", "Second"}) {
		t.Errorf("stored are %v, want those of both persons", got)
	}
	if faults := chrome.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}

// reconnects marks the map, opens the connection for events again, as after a loss, and waits until the page has read the path again.
func (p *tab) reconnects(path string) {
	p.t.Helper()
	p.until("document.querySelector('.plane')?.dataset.drawn && (document.querySelector('.plane canvas').dataset.first = 'yes')")
	value[bool](p, "(performance.clearResourceTimings(), dispatchEvent(new PageTransitionEvent('pagehide')), "+
		"dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })))")
	p.until(fmt.Sprintf("performance.getEntriesByType('resource').some((e) => e.name.endsWith(%q))", path))
}

// TestPageShowsNewerBook imports expected numbers over those that another person has stored meanwhile: nothing is stored, the
// newer ones are shown, and a second import replaces them.
func TestPageShowsNewerBook(t *testing.T) {
	c, chrome := startClash(t)
	const path = "/api/v1/sites/farm/book"
	c.put(path, "paddock,animals\n,477\n")
	page := c.page
	page.navigate(c.at.HTTP + "/surveys?site=farm#token=" + c.own)
	page.until("having('#book td', '477').some(shown)")
	c.put(path, "paddock,animals\n,478\n")
	book := filepath.Join(t.TempDir(), "book.csv")
	must.Do(t, os.WriteFile(book, []byte("paddock,animals\n,600\n"), 0o600))
	choose := func() {
		page.must(chromedp.Do(page.ctx, chromedp.SetUploadFiles(chromedp.CSS("#book-file"), []string{book})))
	}
	choose()
	page.until("having('#book [role=status]', 'Nothing is saved').some((e) => /changed meanwhile.*by anna/.test(e.innerText))")
	page.until("having('#book td', '478').some(shown)")
	page.shot("clash-book-1280")
	choose()
	page.until("having('#book', 'The book is saved').some(shown) && having('#book td', '600').some(shown)")
	if faults := chrome.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}
