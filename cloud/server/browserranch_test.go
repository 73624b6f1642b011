package server

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/topic"
)

// ranch is a server with two sites, twelve paddocks, 400 flights and a live station.
type ranch struct {
	*running
	token   string // of an operator of both sites
	station *outpost
}

const (
	ranchFlights = 400
	inPaddock    = 40 // the flight of which some animals are in a paddock
)

// seedRanch starts the server of a ranch. Some of its jobs wait, one was given up and one is being counted.
func seedRanch(t *testing.T) *ranch {
	t.Helper()
	r := &ranch{running: serve(t, nil)}
	var station string
	r.withLedger(func(l *ledger.Ledger) error {
		r.token = must.Get(l.Devices.AddWith(t.Context(), ledger.Device{Name: "boss", Site: "north", Role: ledger.RoleOperator,
			Sites: ledger.SiteSet{"north", "south"}}))(t).Reveal()
		station = must.Get(l.Devices.Add(t.Context(), "dock-1", "north", ledger.RoleDevice))(t).Reveal()
		must.Get(l.Devices.Add(t.Context(), "dock-2", "south", ledger.RoleDevice))(t)
		must.Do(t, l.Book.Put(t.Context(), "north", time.Now().AddDate(-2, 0, 0), []ledger.Expected{{Paddock: "north 1", Animals: new(210)}}))
		for i := range ranchFlights {
			seedFlight(t, l, i)
		}
		return nil
	})
	for i, site := range []string{"north", "south"} {
		var squares []string
		for n := range 6 {
			west, south := 24.30+float64(n)*0.01, -31.70+float64(i)
			squares = append(squares, fmt.Sprintf(`{"type":"Feature","properties":{"name":"%s %d"},"geometry":{"type":"Polygon",`+
				`"coordinates":[[[%.2f,%.2f],[%.2f,%.2f],[%.2f,%.2f],[%.2f,%.2f],[%.2f,%.2f]]]}}`, site, n+1, west, south,
				west+0.01, south, west+0.01, south+0.01, west, south+0.01, west, south))
		}
		if status := r.as(r.token, "PUT", "/api/v1/sites/"+site+"/paddocks",
			`{"type":"FeatureCollection","features":[`+strings.Join(squares, ",")+`]}`, nil); status != http.StatusOK {
			t.Fatalf("paddocks of %s: status %d", site, status)
		}
	}
	r.connectStation(station)
	return r
}

// seedFlight records flight i of the ranch, one a day at each site; the newest are not counted yet.
func seedFlight(t *testing.T, l *ledger.Ledger, i int) {
	t.Helper()
	ctx, site := t.Context(), []string{"north", "south"}[i%2]
	id := footage.ID(fmt.Sprintf("flight-%03d", i))
	rec := must.Get(l.Footage.Record(ctx, ledger.Footage{ID: id, Site: site, Device: fmt.Sprint("dock-", i%2+1),
		Name: fmt.Sprintf("DJI_%04d.MP4", i), Size: 1 << 30, SHA256: footage.Sum([]byte(id)), BlobKey: string(id),
		Captured: time.Now().UTC().Add(time.Duration(i-ranchFlights) * 12 * time.Hour)}))(t)
	if i >= ranchFlights-4 {
		return
	}
	begun, _, err := l.Attempts.Begin(ctx, rec.Job.ID, "gpu-1")
	must.Do(t, err)
	switch i {
	case ranchFlights - 5:
		return // gpu-1 counts it
	case ranchFlights - 6:
		must.Do(t, l.Jobs.Poison(ctx, rec.Job.ID, "given up after 5 deliveries; the worker died each time, see its log"))
		return
	}
	n := 200 + i%17
	must.Get(l.Attempts.Finish(ctx, rec.Job.ID, begun.Fence, ledger.Count{Footage: id, Job: rec.Job.ID, Unique: n, Low: n - 6,
		High: n + 8, ByClass: map[string]int{"cow": n}, Model: "default"}, string(id)+".json"))(t)
	if i == inPaddock {
		must.Do(t, l.Grounds.Put(ctx, ledger.DueGround{Footage: id, Mark: 1000}, ledger.Ground{Spread: ledger.Spread{Way: "camera",
			Paddocks: []ledger.PaddockCount{{Name: "north 1", Animals: &n, Low: new(n - 6), High: new(n + 8), Seen: 0.9}}}}))
	}
}

// connectStation connects dock-1 with readings, three pieces of footage and the picture of one.
func (r *ranch) connectStation(token string) {
	t := r.t.(*testing.T)
	t.Helper()
	eventually(t, "the cloud hears the stations", func() bool { return r.metric("cattle_mqtt_stations_up 1") })
	r.station = startOutpostAt(t, r.at.Broker, topic.Device{Site: "north", Name: "dock-1"}, token,
		func(c topic.Command) (topic.ReplyState, string) {
			args, err := json.Marshal(c.Args)
			if err != nil {
				t.Error(err)
			}
			return topic.Finished, "done " + c.Name + " " + string(args)
		})
	o, hot := r.station, 41.5
	for i := range 3 {
		o.send(o.at.Vitals(), false, topic.Vitals{Header: o.header(), Session: 1, DiskTotal: 64e9, DiskFree: 40e9 - int64(i)*1e9,
			SpoolPercent: 12 + float64(i), SpoolBytes: 3e9, TemperatureC: &hot, LinkUp: true})
	}
	for i, state := range []topic.FootageState{topic.Uploading, topic.Spooled, topic.Captured} {
		id := footage.ID(fmt.Sprintf("there-%d", i))
		o.send(o.at.Footage(id), true, topic.Footage{Header: o.header(), Footage: id, State: state, Size: 2 << 30,
			Offset: int64(2-i) << 28, Name: fmt.Sprintf("DJI_05%02d.MP4", i)})
	}
	eventually(t, "the footage of the station is known", func() bool {
		var v struct{ Waiting int }
		return r.as(r.token, "GET", "/api/v1/stations/dock-1", "", &v) == http.StatusOK && v.Waiting == 3
	})
	r.sendPicture(token, "there-1", picture(320, 180))
}

// sendPicture uploads the thumbnail of footage as a station does.
func (r *ranch) sendPicture(token, id string, b []byte) {
	r.t.Helper()
	req := must.Get(http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.at.HTTP+"/files/", bytes.NewReader(b)))(r.t)
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, value := range map[string]string{"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream",
		"Upload-Length": fmt.Sprint(len(b)), "Authorization": "Bearer " + token,
		"Upload-Metadata": "footage " + encode(id) + ",kind " + encode("thumbnail") + ",filename " + encode("DJI_0501.MP4")} {
		req.Header.Set(name, value)
	}
	resp := must.Get(r.client.Do(req))(r.t)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		r.t.Fatalf("upload of a thumbnail: %s", resp.Status)
	}
}

// ranchViews are the views of the page with what shows that they are ready.
var ranchViews = []struct {
	path, ready string
	aged        bool // it shows figures
}{
	{"/", "having('#sites', 'north').some(shown) && having('#sites', 'south').some(shown) && " +
		"having('.paddocks-now li', 'north 1').some((e) => shown(e) && /206.*200 to 214.*90 % seen.*book: 210.*agrees/s.test(e.textContent)) && " +
		"having('.paddocks-now li', 'north 2').some((e) => e.textContent.includes('no recent count'))", true},
	{"/flights", "all('#footage .row').length >= 40", true},
	{"/flights?site=south&state=done", "rows('DJI_0391').some(shown)", true},
	{"/flights?site=north&paddock=north%201", "rows('').length === 1 && rows('DJI_0040').some(shown) && all('.filters select').some((e) => e.value === 'north 1' && e.length === 7)", true},
	{"/flights/compare?a=flight-000&b=flight-002", "having('#compare', '+2').some(shown)", true},
	{"/history?days=365", "all('#history canvas').length === 2", true},
	{"/stations", "having('#stations li', 'dock-1').some(shown)", true},
	{"/stations/dock-1", "all('#vitals-day canvas').length > 2 && all('#station-queue li').length === 3", true},
	{"/queue", "all('#jobs li').length === 6", true},
	{"/map", "having('#map-view', 'no ground positions').some(shown)", false},
	{"/paddocks?site=north", "all('#paddocks li').length >= 6", false},
	{"/surveys?site=north", "having('#surveys', 'No surveys yet').some(shown)", false},
	{"/settings", "having('#appearance', 'Language').some(shown)", false},
	{"/programs", "having('#programs', '/api/v1/footage/{id}').some(shown)", false},
}

// bareFigures are the texts of figures in a part of the page that does not say how old they are.
const bareFigures = `all('main dd, main td, main b, main .result').filter((e) => shown(e) && /\d/.test(e.textContent))
	.filter((e) => !shown(e.closest('.card')?.querySelector('.age'))).map((e) => e.textContent.trim().slice(0, 40))`

// TestPageOfARanch opens every view of a large ranch on a phone and on a desktop, looks for faults of accessibility and for
// figures without their age, and then operates the queue and a station.
func TestPageOfARanch(t *testing.T) {
	c := startChrome(t)
	source := axe(t)
	r := seedRanch(t)
	for _, s := range []screen{{width: 1280, height: 900, dark: true}, {width: 320, height: 640, phone: true}} {
		page := c.open(s)
		for _, v := range ranchViews {
			name := fmt.Sprintf("ranch-%s-%d", strings.Trim(strings.NewReplacer("/", "_", "?", "_", "&", "_", "=", "_").Replace(v.path), "_"), s.width)
			page.navigate(r.at.HTTP + v.path)
			page.until(v.ready)
			page.until("!document.querySelector('[aria-busy]')")
			page.shot(name)
			if over := value[float64](page, "document.documentElement.scrollWidth - innerWidth"); over > 0 {
				t.Errorf("%s is %v px too wide", name, over)
			}
			if !value[bool](page, `((e) => !e || ((r) => r.left >= 0 && r.right <= innerWidth)(e.getBoundingClientRect()))(document.querySelector('.nav [aria-current]'))`) {
				t.Errorf("%s does not show which view it is", name)
			}
			if bare := value[[]string](page, bareFigures); v.aged && len(bare) > 0 {
				t.Errorf("%s shows figures without their age: %q", name, bare)
			}
			if v.aged && !value[bool](page, "all('.age').some(shown)") {
				t.Errorf("%s has no age", name)
			}
			for _, fault := range page.axe(source) {
				t.Errorf("%s: %s", name, fault)
			}
		}
		page.close()
	}
	page := c.open(screen{width: 320, height: 640, phone: true})
	page.navigate(r.at.HTTP + "/queue#token=" + r.token)
	operateQueue(page)
	operateStation(r, page)
	if faults := c.takeFaults(); len(faults) > 0 {
		t.Errorf("%s", strings.Join(faults, "\n"))
	}
}

// operateQueue moves the last waiting job to the front, cancels another one and retries the one that was given up.
func operateQueue(page *tab) {
	page.t.Helper()
	last := fmt.Sprintf("DJI_%04d.MP4", ranchFlights-1)
	page.until("having('#jobs li', '" + last + "').some(shown)")
	page.until("having('#workers li', 'gpu-1').some((e) => shown(e) && e.textContent.includes('DJI_'))")
	value[bool](page, `((e) => { e.value = '9'; return e.dispatchEvent(new Event('change', { bubbles: true })); })(having('#jobs li', '`+last+`')[0].querySelector('select'))`)
	page.until("((all) => all.findIndex((e) => e.textContent.includes('" + last + "')) === 1)(all('#jobs li'))") // behind the one that is counted
	page.click("having('#jobs li', 'given up')[0].querySelector('button')")
	page.until("!having('#jobs li', 'given up').length")
	page.shot("ranch-operated-queue-320")
}

// operateStation sends every order of the page and reads the answers.
func operateStation(r *ranch, page *tab) {
	page.t.Helper()
	page.navigate(r.at.HTTP + "/stations/dock-1")
	page.until("pictured('#station-queue img', 320)")
	for command, answer := range map[string]string{"pause": "done pause", "retry": `done retry {"footage":"all"}`,
		"limit": `done limit {"rate":"configured"}`, "log": `done log {"level":"debug"}`} {
		page.click("document.querySelector('#orders [data-command=" + command + "]')")
		page.until(fmt.Sprintf("document.querySelector('#reply').textContent.includes(%q)", answer))
	}
	page.click("document.querySelector('[data-first=there-1]')")
	page.until("having('#say', 'prioritise').length")
	page.until("document.querySelector('.answers')?.textContent.includes('prioritise')")
	if value[bool](page, "!!document.querySelector('#revoke')") {
		page.t.Error("an operator is offered to revoke a station")
	}
	page.shot("ranch-operated-station-320")
}
