package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/server/notify"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
	"cattlecounter/shared/wire"
)

const (
	maxRuleBody  = 8 << 10
	webhookBytes = 32 // of a secret
	// Test messages: one in testEvery, and testBurst at once.
	testEvery = 10 * time.Second
	testBurst = 6
)

type (
	notificationRules interface {
		AddRule(ctx context.Context, r ledger.NotificationRule) (ledger.NotificationRule, error)
		SetRule(ctx context.Context, r ledger.NotificationRule) error
		RemoveRule(ctx context.Context, id string) error
		Rules(ctx context.Context) ([]ledger.NotificationRule, error)
		Rule(ctx context.Context, id string) (ledger.NotificationRule, error)
	}
	notifications interface {
		Get(ctx context.Context, id string) (ledger.Notification, error)
		List(ctx context.Context, p ledger.Page) ([]ledger.Notification, string, error)
		Retry(ctx context.Context, id string) error
	}
	notifier interface {
		Has(channel string) bool
		PushKey() string
		Check(channel, target string) error
		Test(ctx context.Context, r ledger.NotificationRule) (ledger.Notification, error)
	}
)

// notificationRoutes registers the rules of who hears of what, and the log of messages.
func (s *Server) notificationRoutes(api guarded) {
	api.Get("/notifications/rules", s.listRules)
	api.Post("/notifications/rules", s.addRule)
	api.Put("/notifications/rules/:id", s.putRule)
	api.Delete("/notifications/rules/:id", s.deleteRule)
	api.Post("/notifications/rules/:id/test", s.testRule)
	api.Get("/notifications", pages(s.o.Ledger.Notifications.List, notificationView))
	api.Post("/notifications/:id/retry", s.retryNotification)
}

func ruleView(r ledger.NotificationRule) wire.NotificationRule {
	v := wire.NotificationRule{ID: r.ID, Who: r.Who, Created: r.Created, NewNotificationRule: wire.NewNotificationRule{
		Site: r.Site, Channel: r.Channel, Target: shownTarget(r.Channel, r.Target), Language: r.Language, Paused: r.Paused}}
	for _, k := range r.Kinds {
		v.Kinds = append(v.Kinds, wire.NotificationKind(k))
	}
	if r.QuietFrom != r.QuietTo {
		v.Quiet = &wire.QuietHours{From: clockOf(r.QuietFrom), To: clockOf(r.QuietTo), Zone: r.Zone}
	}
	return v
}

// shownTarget is the address of a target without what may be a secret: a holder of the path of a webhook can often
// post there.
func shownTarget(channel, target string) string {
	if channel == wire.ChannelPush {
		return "https://" + notify.PushHost(target) + "/…"
	}
	u, err := url.Parse(target)
	if channel != wire.ChannelWebhook || err != nil {
		return target
	}
	return u.Scheme + "://" + u.Host + "/…"
}

func clockOf(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

func notificationView(n ledger.Notification) wire.Notification {
	v := wire.Notification{ID: n.ID, Rule: n.Rule, Site: n.Site, Channel: n.Channel, Target: shownTarget(n.Channel,
		n.Target),
		State: string(n.State), Attempts: n.Attempts, Created: n.Created, Ended: timeOrNil(n.Ended), Fault: n.Fault}
	if n.State == ledger.NotificationWaiting {
		v.Due = timeOrNil(n.Due)
	}
	if err := json.Unmarshal([]byte(n.Document), &v.Message); err != nil {
		v.Message = wire.NotificationMessage{Subject: "?", Events: []wire.NotificationEvent{}}
	}
	v.Message.ID = n.ID
	return v
}

// ruleFor returns a rule that the request may change, or ErrNotFound, and the context of who changes it.
func (s *Server) ruleFor(c *fiber.Ctx) (ctx context.Context, r ledger.NotificationRule, err error) {
	d, err := s.authenticate(c)
	if err != nil {
		return nil, r, err
	}
	id, err := idArg(c, "id")
	if err != nil {
		return nil, r, err
	}
	r, err = s.o.Ledger.NotificationRules.Rule(c.UserContext(), string(id))
	if err == nil && !mayUseSite(c.UserContext(), access.Notify, r.Site) {
		err = fmt.Errorf("notification rule %s: %w", id, ledger.ErrNotFound)
	}
	return ledger.By(c.UserContext(), d.Name), r, err
}

func (s *Server) listRules(c *fiber.Ctx) error {
	all, err := s.o.Ledger.NotificationRules.Rules(c.UserContext())
	if err != nil {
		return err
	}
	v := wire.NotificationRules{Items: []wire.NotificationRule{}, Email: s.o.Notifier.Has(wire.ChannelEmail),
		PushKey: s.o.Notifier.PushKey()}
	for _, r := range all {
		if mayUseSite(c.UserContext(), access.Notify, r.Site) {
			v.Items = append(v.Items, ruleView(r))
		}
	}
	return sendJSON(c, v)
}

// ruleBody reads and checks a rule. site and target are not checked.
func (s *Server) ruleBody(c *fiber.Ctx) (wire.NewNotificationRule, ledger.NotificationRule, error) {
	var in wire.NewNotificationRule
	var r ledger.NotificationRule
	body, err := s.readBody(c, maxRuleBody)
	if err != nil {
		return in, r, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, r, badRequest("The body cannot be read: %v. See /api/v1/openapi.yaml for its form.", err)
	}
	r.Language, r.Paused = in.Language, in.Paused
	if r.Language == "" {
		r.Language = notify.Languages()[0]
	}
	if !slices.Contains(notify.Languages(), r.Language) {
		return in, r, badRequest("language: %.20q is not one of %s.", r.Language, strings.Join(notify.Languages(), ", "))
	}
	for _, k := range in.Kinds {
		if !slices.Contains(wire.NotificationKinds(), k) {
			return in, r, badRequest("kinds: %.40q is no kind of event. See /api/v1/openapi.yaml for the kinds.", k)
		}
		if !slices.Contains(r.Kinds, string(k)) {
			r.Kinds = append(r.Kinds, string(k))
		}
	}
	if len(r.Kinds) == 0 {
		return in, r, badRequest("kinds: name at least one kind of event.")
	}
	return in, r, readQuiet(in.Quiet, &r)
}

// readQuiet reads quiet hours into a rule.
func readQuiet(q *wire.QuietHours, r *ledger.NotificationRule) error {
	if q == nil {
		return nil
	}
	for text, into := range map[string]*int{q.From: &r.QuietFrom, q.To: &r.QuietTo} {
		at, err := time.Parse("15:04", text)
		if err != nil || len(text) != len("15:04") {
			return badRequest("quiet: %.20q is not a time of the day such as 22:00.", text)
		}
		*into = at.Hour()*60 + at.Minute()
	}
	if q.From == q.To {
		return badRequest("quiet: from and to are the same. Leave quiet out for no quiet hours.")
	}
	if _, err := time.LoadLocation(q.Zone); err != nil || q.Zone == "" || q.Zone == "Local" {
		return badRequest("quiet: %.60q is no time zone such as America/Bogota.", q.Zone)
	}
	r.Zone = q.Zone
	return nil
}

// addRule stores a rule. The answer has the secret of a webhook, which is never shown again.
func (s *Server) addRule(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	in, r, err := s.ruleBody(c)
	if err != nil {
		return err
	}
	if _, err := footage.ParseID(in.Site); err != nil && in.Site != ledger.AllSites {
		return badRequest("site: %v, or * for every site.", err)
	}
	if !mayUseSite(c.UserContext(), access.Notify, in.Site) {
		return fmt.Errorf("site %.64q: %w", in.Site, ledger.ErrNotFound)
	}
	r.Site, r.Channel, r.Target = in.Site, in.Channel, in.Target
	err = s.o.Notifier.Check(r.Channel, r.Target)
	switch {
	case errors.Is(err, notify.ErrNoChannel) && r.Channel == wire.ChannelEmail:
		return problem.New(wire.SlugConflict,
			"This server sends no e-mail: notify.smtp.server is not set in its configuration.")
	case errors.Is(err, notify.ErrNoChannel):
		return badRequest("channel: %.20q is not one of %s, %s, %s.", r.Channel, wire.ChannelWebhook, wire.ChannelEmail,
			wire.ChannelPush)
	case err != nil:
		return badRequest("target: %v.", err)
	}
	if r.Channel == wire.ChannelWebhook {
		var key [webhookBytes]byte
		_, _ = rand.Read(key[:]) // it never fails
		r.Secret = secret.New("whsec_" + base64.StdEncoding.EncodeToString(key[:]))
	}
	if r, err = s.o.Ledger.NotificationRules.AddRule(ledger.By(c.UserContext(), d.Name), r); err != nil {
		return err
	}
	s.log.Info("notification rule added", "rule", r.ID, "site", r.Site, "channel", r.Channel, "who", d.Name)
	v := ruleView(r)
	v.Secret = r.Secret.Reveal()
	return sendJSON(c, v)
}

// putRule changes kinds, language, quiet hours and the pause of a rule. Site, channel and target of the body must be
// those of the rule, or absent.
func (s *Server) putRule(c *fiber.Ctx) error {
	ctx, old, err := s.ruleFor(c)
	if err != nil {
		return err
	}
	in, r, err := s.ruleBody(c)
	if err != nil {
		return err
	}
	if in.Site != "" && in.Site != old.Site || in.Channel != "" && in.Channel != old.Channel ||
		in.Target != "" && in.Target != shownTarget(old.Channel, old.Target) && in.Target != old.Target {
		return badRequest("site, channel and target of a rule cannot be changed; add another rule.")
	}
	r.ID = old.ID
	if err := s.o.Ledger.NotificationRules.SetRule(ctx, r); err != nil {
		return err
	}
	if r, err = s.o.Ledger.NotificationRules.Rule(ctx, old.ID); err != nil {
		return err
	}
	return sendJSON(c, ruleView(r))
}

func (s *Server) deleteRule(c *fiber.Ctx) error {
	ctx, r, err := s.ruleFor(c)
	if err != nil {
		return err
	}
	if err := s.o.Ledger.NotificationRules.RemoveRule(ctx, r.ID); err != nil {
		return err
	}
	return sendJSON(c, ruleView(r))
}

// testRule sends a test message at once. The answer is its entry in the log.
func (s *Server) testRule(c *fiber.Ctx) error {
	ctx, r, err := s.ruleFor(c)
	if err != nil {
		return err
	}
	if !s.tests.Allow() {
		return problem.New(wire.SlugConflict, "Many rules were tested a moment ago. Wait a minute.").
			WithStatus(http.StatusTooManyRequests)
	}
	if err := s.o.Ledger.Audit.Record(ctx, ledger.ActionTestNotificationRule, r.ID); err != nil {
		return err
	}
	n, err := s.o.Notifier.Test(ctx, r)
	if err != nil {
		return err
	}
	n.Site, n.Channel, n.Target = r.Site, r.Channel, r.Target
	return sendJSON(c, notificationView(n))
}

// retryNotification has a dead message sent again.
func (s *Server) retryNotification(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	id, err := idArg(c, "id")
	if err != nil {
		return err
	}
	n, err := s.o.Ledger.Notifications.Get(c.UserContext(), string(id))
	if err == nil && !mayUseSite(c.UserContext(), access.Notify, n.Site) {
		err = fmt.Errorf("notification %s: %w", id, ledger.ErrNotFound)
	}
	if err != nil {
		return err
	}
	if n.State != ledger.NotificationDead {
		return problem.New(wire.SlugConflict, "The message is %s. Only a dead message is sent again.", n.State)
	}
	if err := s.o.Ledger.Notifications.Retry(ledger.By(c.UserContext(), d.Name), n.ID); err != nil {
		return err
	}
	if n, err = s.o.Ledger.Notifications.Get(c.UserContext(), n.ID); err != nil {
		return err
	}
	return sendJSON(c, notificationView(n))
}
