package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"cattlecounter/cloud/config"
	"cattlecounter/cloud/server/notify"
	"cattlecounter/cloud/server/overview"
	"cattlecounter/cloud/store/database"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/cloud/store/vault"
	"cattlecounter/shared/wire"
)

// notifies names the lead of the one cloud-api that sends notifications, of several on one database.
const notifies = 0x0ca771e2

// notifying sends notifications while it runs.
type notifying struct {
	*notify.Notifier
	lead *database.Leader
}

func newNotifying(ctx context.Context, cfg config.Config, l *ledger.Ledger, views *overview.Overview,
	log *slog.Logger) (*notifying, error) {
	networks, err := cfg.Notify.TargetNetworks()
	if err != nil {
		return nil, err
	}
	channels := map[string]notify.Channel{wire.ChannelWebhook: notify.NewWebhooks(networks, time.Now)}
	if cfg.Notify.SMTP.On() {
		if channels[wire.ChannelEmail], err = notify.NewEmail(cfg.Notify.SMTP); err != nil {
			return nil, err
		}
	}
	switch key, err := l.PushKeys.Current(ctx); {
	case errors.Is(err, vault.ErrNoKey), errors.Is(err, vault.ErrCorrupt): // cloud-api doctor says what to do
		log.Error("no messages to browsers: their key cannot be decrypted", "err", err)
	case err != nil:
		return nil, err
	default:
		channels[wire.ChannelPush] = notify.NewPush(networks, key, pushContact(cfg))
	}
	n := &notifying{lead: l.DB().Leader(notifies)}
	n.Notifier, err = notify.New(notify.Options{Rules: l.Notifications, Events: l.Notifications, Messages: l.Notifications,
		Attention: views, Feed: l.Changes, Flights: l.Flights, Book: l.Book, Channels: channels,
		PublicURL: cfg.HTTP.PublicURL, Leads: n.lead.Leads, Log: log})
	return n, err
}

// pushContact is where a push service may report abuse: the page, else the sender of e-mails.
func pushContact(cfg config.Config) string {
	if strings.HasPrefix(cfg.HTTP.PublicURL, "https://") {
		return cfg.HTTP.PublicURL
	}
	if cfg.Notify.SMTP.On() {
		return cfg.Notify.SMTP.From
	}
	return "https://localhost"
}

func (n *notifying) run(ctx context.Context) error {
	defer n.lead.Close()
	return n.Run(ctx)
}
