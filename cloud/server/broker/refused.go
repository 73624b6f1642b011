package broker

import (
	"context"
	"fmt"

	"github.com/mochi-mqtt/server/v2/packets"
	"golang.org/x/time/rate"

	"cattlecounter/cloud/server/access"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/topic"
)

const (
	// Lines of one account in the audit log about what is no order, and how many follow in a minute.
	auditAtOnce    = 10
	auditPerMinute = 1
	// reasonLength is the most characters of a reason there: it quotes the message.
	reasonLength = 300
)

// auditor records what accounts did; *ledger.AuditLog implements it.
type auditor interface {
	Record(ctx context.Context, action, subject string) error
}

// checkOrder looks at what an account publishes as an order. What shows an id goes to the station, which answers with the
// reason. The rest can get no answer: it is acknowledged, not delivered, and the audit log has it.
func (h *hook) checkOrder(s session, pk packets.Packet) error {
	c, err := topic.ParseOrder(pk.Payload)
	if err == nil || c.ID != "" {
		return nil
	}
	if len(pk.Payload) > 0 { // an empty message asks for nothing
		h.recordRefused(s.account, pk.TopicName, err)
	}
	return packets.CodeSuccessIgnore
}

// recordRefused records that an account that may give orders published something that is none.
func (h *hook) recordRefused(a account, name string, why error) {
	if h.audit == nil || !a.holder.May(access.Command) {
		return
	}
	h.mu.Lock()
	l := h.audited[a.user]
	if l == nil {
		l = rate.NewLimiter(auditPerMinute/60., auditAtOnce)
		h.audited[a.user] = l
	}
	h.mu.Unlock()
	if !l.Allow() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), authWithin)
	defer cancel()
	if err := h.audit.Record(ledger.By(ctx, a.user), ledger.ActionRefusedOrder, printable(name)+": "+clip(why.Error(), reasonLength)); err != nil {
		h.log.Warn("cannot record a refused order", "device", a.user, "err", err)
	}
}

// errNoOrderTopic says why a message to a topic is no order.
var errNoOrderTopic = fmt.Errorf("want cattle/v1/SITE/DEVICE/command of an own site: %w", topic.ErrTopic)
