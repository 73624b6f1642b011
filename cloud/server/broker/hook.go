package broker

import (
	"bytes"
	"context"
	"crypto/subtle"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/broker/mochi"
	"cattlecounter/cloud/server/origin"
	"cattlecounter/cloud/store/ledger"
)

// hook authenticates clients and decides what they may do.
type hook struct {
	mqtt.HookBase
	server     *mqtt.Server
	succession *mochi.Succession
	accounts   Accounts
	service    Credentials
	log        *slog.Logger
	// discovery is Options.Discovery.
	discovery string

	mu       sync.Mutex
	sessions map[string]session // by client id; a session outlives its connection
	touched  map[string]time.Time
	kept     map[string]*retained     // retained messages by user
	cleared  map[string]int           // how often those of revoked users were deleted
	paces    map[string]*paces        // limits by user
	refused  map[string]*rate.Limiter // refused log-ins by origin
	warnings map[string]*rate.Limiter // lines in the log by user, and of strangers by origin

	aside   map[*mqtt.Client]packets.Packet // see OnPacketRead
	taking  map[*mqtt.Client]*receipt       // messages that are being processed, see OnQosPublish
	audit   auditor                         // nil for none
	audited map[string]*rate.Limiter        // lines in the audit log by user

	stop                                chan struct{} // closed when the broker ends
	slowed, notRetained, overSubscribed atomic.Int64
}

type session struct {
	account
	live *mqtt.Client // nil while the client is disconnected
}

func newHook(server *mqtt.Server, o Options) *hook {
	return &hook{server: server, accounts: o.Accounts, service: o.Service, log: o.Log, discovery: o.Discovery,
		sessions: map[string]session{}, touched: map[string]time.Time{}, kept: map[string]*retained{}, cleared: map[string]int{},
		paces: map[string]*paces{}, stop: make(chan struct{}), refused: map[string]*rate.Limiter{},
		warnings: map[string]*rate.Limiter{}, aside: map[*mqtt.Client]packets.Packet{}, taking: map[*mqtt.Client]*receipt{}, audit: o.Audit,
		audited: map[string]*rate.Limiter{}}
}

// ID implements mqtt.Hook.
func (h *hook) ID() string { return "accounts" }

// Provides implements mqtt.Hook.
func (h *hook) Provides(b byte) bool {
	return bytes.Contains([]byte{mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnDisconnect, mqtt.OnClientExpired,
		mqtt.OnPublish, mqtt.OnSubscribe, mqtt.OnUnsubscribe, mqtt.OnRetainPublished,
		mqtt.OnWill, mqtt.OnPacketRead, mqtt.OnPacketProcessed, mqtt.OnQosPublish}, []byte{b})
}

// OnConnectAuthenticate implements mqtt.Hook. The name of the user becomes part of the
// client id, so that no client can take over the session of another user.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	user := string(pk.Connect.Username)
	a, ok := h.identify(user, string(pk.Connect.Password))
	if !ok {
		if from := origin.OfText(cl.Net.Remote); h.mayLog("from " + from) {
			h.log.Warn("mqtt client refused", "device", printable(user), "remote", cl.Net.Remote)
		}
		h.slowDown(origin.OfText(cl.Net.Remote))
		return false
	}
	if pk.Connect.WillFlag && (!a.mayLeave(pk.Connect.WillTopic) || len(pk.Connect.WillPayload) > maxRetained) {
		h.log.Warn("mqtt client refused: it may not publish its last will", "device", user, "topic",
			printable(pk.Connect.WillTopic))
		return false
	}
	cl.ID = user + "/" + cl.ID
	// A will that waits is in memory for as long as the client says, one for each client id.
	cl.Properties.Will.WillDelayInterval = 0
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.sessions[cl.ID]; !known && h.sessionsOf(user) >= maxSessionsPerUser {
		h.log.Warn("mqtt client refused: too many sessions", "device", user, "limit", maxSessionsPerUser)
		return false
	}
	h.sessions[cl.ID] = session{account: a, live: cl}
	return true
}

// slowDown delays the answer to a refused log-in when many from its address failed. It does not refuse others from there:
// stations behind one address must not lock each other out.
func (h *hook) slowDown(address string) {
	h.mu.Lock()
	if len(h.refused) >= refusedAddresses {
		clear(h.refused)
	}
	l := h.refused[address]
	if l == nil {
		l = rate.NewLimiter(1, refusedAtOnce)
		h.refused[address] = l
	}
	h.mu.Unlock()
	if l.Allow() {
		return
	}
	timer := time.NewTimer(refusedWait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.stop:
	}
}

func (h *hook) identify(user, password string) (account, bool) {
	if user == h.service.User {
		same := subtle.ConstantTimeCompare([]byte(password), []byte(h.service.Password.Reveal())) == 1
		return account{user: user, service: true, discovery: h.discovery}, same
	}
	ctx, cancel := context.WithTimeout(context.Background(), authWithin)
	defer cancel()
	d, err := h.accounts.Authenticate(ctx, password)
	if err != nil || d.Name != user {
		return account{}, false
	}
	h.touch(ctx, d.Name)
	a := accountOf(d)
	a.discovery = h.discovery
	return a, true
}

// touch records when the device was seen, at most once a minute.
func (h *hook) touch(ctx context.Context, name string) {
	now := time.Now()
	h.mu.Lock()
	due := now.Sub(h.touched[name]) >= touchEvery
	if due {
		h.touched[name] = now
	}
	h.mu.Unlock()
	if !due {
		return
	}
	if err := h.accounts.Touch(ctx, name, now.UTC()); err != nil {
		h.log.Warn("cannot record when the device was seen", "device", name, "err", err)
	}
}

// OnACLCheck implements mqtt.Hook. The server calls it for a publication, a filter and
// every delivery.
func (h *hook) OnACLCheck(cl *mqtt.Client, name string, write bool) bool {
	h.mu.Lock()
	s, ok := h.sessions[cl.ID]
	h.mu.Unlock()
	switch {
	case !ok:
		return false
	case write:
		ok = s.mayPublish(name)
	default:
		ok = s.maySubscribe(name)
	}
	if !ok && write && !s.service {
		h.slowSender(cl, s.user, 1, 0)
		h.recordRefused(s.account, name, errNoOrderTopic)
	}
	// Others also get here with each message of a foreign site.
	if !ok && (write || s.role == ledger.RoleDevice) && h.mayLog(s.user) {
		h.log.Warn("mqtt access refused", "device", s.user, "topic", printable(name), "write", write)
	}
	return ok
}

// OnDisconnect implements mqtt.Hook.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, expire bool) {
	h.putBack(cl)
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.sessions[cl.ID]
	if !ok || s.live != cl {
		return // taken over by a newer connection
	}
	if expire {
		delete(h.sessions, cl.ID)
		return
	}
	s.live = nil
	h.sessions[cl.ID] = s
}

// OnClientExpired implements mqtt.Hook. The server forgets the client, but keeps its
// subscriptions and waiting messages; they are deleted here.
func (h *hook) OnClientExpired(cl *mqtt.Client) {
	cl.ClearInflights()
	h.server.UnsubscribeClient(cl)
	h.forget(cl.ID)
}

func (h *hook) forget(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, id)
}

func (h *hook) sessionsOf(user string) int {
	n := 0
	for _, s := range h.sessions {
		if s.user == user {
			n++
		}
	}
	return n
}

// sessionsOutside lists the sessions whose account is revoked, expired or was granted something
// else since: its token was renewed, or it has another role or other sites.
func (h *hook) sessionsOutside(valid map[string]access.Holder) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.paces, func(name string, _ *paces) bool { _, ok := valid[name]; return !ok })
	maps.DeleteFunc(h.warnings, func(name string, _ *rate.Limiter) bool { _, ok := valid[name]; return !ok })
	maps.DeleteFunc(h.audited, func(name string, _ *rate.Limiter) bool { _, ok := valid[name]; return !ok })
	maps.DeleteFunc(h.touched, func(name string, _ time.Time) bool { _, ok := valid[name]; return !ok })
	var ids []string
	for id, s := range h.sessions {
		if now, ok := valid[s.user]; !s.service && (!ok || now.Role != s.role || now.Generation != s.holder.Generation) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (h *hook) connected() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, s := range h.sessions {
		if s.live != nil {
			n++
		}
	}
	return n
}

// printable shortens text from outside for the log.
func printable(s string) string { return clip(s, 128) }

// clip returns at most longest characters of a text from outside, with "…" when there are more, and U+FFFD in place of
// what cannot be printed.
func clip(s string, longest int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == longest {
			return b.String() + "…"
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
