package wire

import (
	"time"

	"cattlecounter/shared/footage"
)

// NotificationKind is a kind of event that a rule tells of.
type NotificationKind string

// Kinds of events.
const (
	NotifyStationSilent  NotificationKind = "station_silent"
	NotifyStationFault   NotificationKind = "station_fault" // what a station reports, such as a wrong clock
	NotifyDiskFull       NotificationKind = "disk_full"     // of a station or of the server, nearly
	NotifyUploadStuck    NotificationKind = "upload_stuck"
	NotifyFootageFailed  NotificationKind = "footage_failed"
	NotifyCountingLate   NotificationKind = "counting_late" // no worker counts, or the workers do not keep up
	NotifyCountReady     NotificationKind = "count_ready"
	NotifyCountOffBook   NotificationKind = "count_off_book" // the expected number is outside of the interval
	NotifyCertificateEnd NotificationKind = "certificate_ending"
)

// NotificationKinds returns every kind.
func NotificationKinds() []NotificationKind {
	return []NotificationKind{NotifyStationSilent, NotifyStationFault, NotifyDiskFull, NotifyUploadStuck,
		NotifyFootageFailed,
		NotifyCountingLate, NotifyCountReady, NotifyCountOffBook, NotifyCertificateEnd}
}

// Channels of a rule.
const (
	ChannelWebhook = "webhook"
	ChannelEmail   = "email"
	ChannelPush    = "push" // to a browser
)

// QuietHours is when messages wait, each day.
type QuietHours struct {
	From string `json:"from"` // HH:MM
	To   string `json:"to"`   // HH:MM, on the next day when it is not after From
	Zone string `json:"zone"` // an IANA name such as America/Bogota
}

// NewNotificationRule says who hears of which events of a site.
type NewNotificationRule struct {
	Site     string             `json:"site"` // "*" for every site, and for what belongs to none
	Kinds    []NotificationKind `json:"kinds"`
	Channel  string             `json:"channel"`
	Target   string             `json:"target"`             // https://…, a mailbox, or the subscription of a browser as JSON
	Language string             `json:"language,omitempty"` // en (the default) or es
	Quiet    *QuietHours        `json:"quiet,omitempty"`
	Paused   bool               `json:"paused,omitempty"`
}

// NotificationRule is a rule of the server. Target has only the host of a webhook or a push service: the rest may be a secret.
type NotificationRule struct {
	ID string `json:"id"`
	NewNotificationRule
	Who     string    `json:"who,omitempty"`
	Created time.Time `json:"created"`
	// Secret signs webhooks. Only the answer that adds the rule has it.
	Secret string `json:"secret,omitempty"`
}

// NotificationRules are the rules that a holder may change.
type NotificationRules struct {
	Items []NotificationRule `json:"items"` // never nil
	Email bool               `json:"email"` // the server can send e-mails
	// PushKey is what a browser subscribes to (VAPID), empty when the server sends no push messages.
	PushKey string `json:"push_key,omitempty"`
}

// NotificationMessage is what a target gets: the body of a webhook.
type NotificationMessage struct {
	ID      string              `json:"id"` // the same for every attempt
	Rule    string              `json:"rule"`
	Site    string              `json:"site"` // of the rule
	At      time.Time           `json:"at"`
	Test    bool                `json:"test,omitempty"`
	Subject string              `json:"subject"`
	Text    string              `json:"text"`
	Events  []NotificationEvent `json:"events"` // never nil
	More    int                 `json:"more"`   // events that are not in Events
}

// NotificationEvent is one event of a message.
type NotificationEvent struct {
	Kind    NotificationKind `json:"kind"`
	Site    string           `json:"site,omitempty"`
	Device  string           `json:"device,omitempty"`
	Footage footage.ID       `json:"footage,omitempty"`
	Flight  string           `json:"flight,omitempty"`
	Paddock string           `json:"paddock,omitempty"`
	Count   *Interval        `json:"count,omitempty"`
	Book    *int             `json:"book,omitempty"`
	Text    string           `json:"text"` // in the language of the rule
	Since   time.Time        `json:"since"`
	Link    string           `json:"link,omitempty"` // to the page; "" when the server does not know its public address
}

// Interval is a number of animals with its 95 % interval.
type Interval struct {
	Unique int `json:"unique"`
	Low    int `json:"low"`
	High   int `json:"high"`
}

// Notification is a message in the log. State is waiting, sent or dead: then every attempt has failed.
type Notification struct {
	ID       string              `json:"id"`
	Rule     string              `json:"rule"`
	Site     string              `json:"site"`
	Channel  string              `json:"channel"`
	Target   string              `json:"target"`
	State    string              `json:"state"`
	Attempts int                 `json:"attempts"` // that failed
	Due      *time.Time          `json:"due,omitempty"`
	Created  time.Time           `json:"created"`
	Ended    *time.Time          `json:"ended,omitempty"`
	Fault    string              `json:"fault,omitempty"` // of the last attempt
	Message  NotificationMessage `json:"message"`
}
