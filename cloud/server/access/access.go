// Package access is the one place that says who may do what where: for REST, server-sent events, uploads and MQTT. A
// Holder is the person, token or device of a request or a session; a rule names the action of each route.
package access

import (
	"slices"

	"cattlecounter/cloud/store/ledger"
)

// Action is a kind of thing that a holder does.
type Action string

// Actions.
const (
	Public     Action = "public"     // everybody, without a login: health, the page's files, logging in
	Read       Action = "read"       // footage, jobs, counts, flights, devices, events
	Review     Action = "review"     // say what is right about a count
	Change     Action = "change"     // retry, cancel and recount jobs, join flights, set lines
	Upload     Action = "upload"     // send footage
	Command    Action = "command"    // give orders to stations, decide what is counted first
	Notify     Action = "notify"     // say who hears of what, and see the messages
	Inspect    Action = "inspect"    // metrics and the details of readiness: they show every site
	Manage     Action = "manage"     // people and tokens of programs at the sites of the holder
	Administer Action = "administer" // the audit log, codes for stations, the model in use
)

// Actions returns all actions but Public.
func Actions() []Action {
	return []Action{Read, Review, Change, Upload, Command, Notify, Inspect, Manage, Administer}
}

// grants is what each role may do at its sites. A device may do it with what is its own.
var grants = map[ledger.Role][]Action{
	ledger.RoleDevice:   {Read, Change, Upload},
	ledger.RoleReader:   {Read, Inspect},
	ledger.RoleViewer:   {Read, Inspect},
	ledger.RoleReviewer: {Read, Inspect, Review},
	ledger.RoleOperator: {Read, Inspect, Review, Change, Upload, Command, Notify},
	ledger.RoleAdmin:    {Read, Inspect, Review, Change, Upload, Command, Notify, Manage, Administer},
}

// everywhere are actions that show or change every site, so a holder of some sites may not do them.
var everywhere = []Action{Inspect, Administer}

// Holder is the person, token or device of a request or a session. The zero value may do nothing.
type Holder struct {
	Name       string // of the person, the token or the device; "" for a client without a login
	Role       ledger.Role
	Sites      ledger.SiteSet
	Device     string // the only device whose things it may use, "" for every device of its sites
	Generation int64  // of what was granted; see ledger.People.Generations
	Home       string // the site of its uploads, "" when another rule decides
	Person     bool   // logged in with a password
	Factor     bool   // a log-in of the person needs a second factor
}

// OfDevice is the holder of a token.
func OfDevice(d ledger.Device) Holder {
	h := Holder{Name: d.Name, Role: d.Role, Sites: d.Sites, Home: d.Site, Generation: d.Generation}
	if d.Role == ledger.RoleDevice {
		h.Device, h.Sites = d.Name, ledger.SiteSet{d.Site}
	}
	return h
}

// OfPerson is somebody who has logged in.
func OfPerson(p ledger.Person) Holder {
	return Holder{Name: p.Name, Role: p.Role, Sites: p.Sites, Generation: p.Generation, Person: true, Factor: p.SecondFactor}
}

// Open is a client without a login where reading is open.
func Open() Holder {
	return Holder{Role: ledger.RoleViewer, Sites: ledger.SiteSet{ledger.AllSites}}
}

// May reports whether the role of the holder allows an action at all.
func (h Holder) May(a Action) bool {
	return slices.Contains(grants[h.Role], a) && (!slices.Contains(everywhere, a) || h.Sites.All())
}

// MayAt reports whether the holder may do something with what a device of a site has.
func (h Holder) MayAt(a Action, site, device string) bool {
	if !h.May(a) {
		return false
	}
	if h.Device != "" {
		return h.Device == device
	}
	return h.Sites.Has(site)
}

// Rule returns the action of a route, such as "GET /api/v1/jobs/:id". A route without a rule is refused.
func Rule(method, path string) (Action, bool) {
	if method == "HEAD" {
		method = "GET"
	}
	a, ok := rules[method+" "+path]
	return a, ok
}
