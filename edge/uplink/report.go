package uplink

import (
	"slices"
	"time"
)

// Report is the use of the link, for people and for status documents.
type Report struct {
	Order Order `json:"order"`
	// Limit is the current bytes per second, 0 for none. LimitOrdered and MeteredOrdered
	// mean that an operator's order overrides the configuration.
	Limit          int64    `json:"limit"`
	LimitOrdered   bool     `json:"limit_ordered"`
	Metered        bool     `json:"metered"`
	MeteredOrdered bool     `json:"metered_ordered"`
	Windows        []string `json:"windows,omitempty"`
	Hold           *Hold    `json:"hold,omitempty"` // nil without a hold
	// ThumbnailsOnly means that the link is metered and videos wait.
	ThumbnailsOnly bool `json:"thumbnails_only"`
	// Day and Month are the use of a metered link.
	Day            Spent          `json:"day"`
	Month          Spent          `json:"month"`
	Reconciliation Reconciliation `json:"reconciliation"`
}

// Hold is the reason why nothing is sent now.
type Hold struct {
	Reason string    `json:"reason"` // paused, window or budget
	Detail string    `json:"detail"`
	Until  time.Time `json:"until,omitzero"` // zero when unknown
}

var holdReasons = map[error]string{ErrPaused: "paused", ErrWindow: "window", ErrBudget: "budget"}

// Report returns the current use of the link.
func (u *Uplink) Report() Report {
	o := u.currentOrders()
	r := Report{Order: u.o.Order, Limit: u.effectiveLimit(), LimitOrdered: o.Limit != LimitConfigured,
		ThumbnailsOnly: u.thumbnailsOnly(), Metered: u.o.Cloud.budget.Metered(), MeteredOrdered: o.Metered != nil,
		Windows: u.o.Windows.Texts()}
	if r.Order == "" {
		r.Order = Oldest
	}
	if h, _ := u.currentHold(); h.cause != nil {
		r.Hold = &Hold{Reason: holdReasons[h.cause], Detail: h.detail, Until: h.until}
	}
	r.Day, r.Month = u.o.Cloud.budget.spent()
	u.compared.mu.Lock()
	defer u.compared.mu.Unlock()
	r.Reconciliation = u.compared.last
	r.Reconciliation.Faults = slices.Clone(r.Reconciliation.Faults)
	return r
}
