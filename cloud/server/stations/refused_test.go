package stations

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/wire"
)

// A station whose token expired says so, whatever its state. A revoked one is listed for a week after it last tried, and
// takes no orders.
func TestRefusedStations(t *testing.T) {
	b := newTable(t)
	end := b.clock.Now().Add(time.Hour)
	b.devices.all[0].Expires = &end
	b.status(1, true, false)
	if v := b.get(); v.Refused != nil || len(v.Warnings) != 0 {
		t.Errorf("before its end: %+v, %+v", v.Refused, v.Warnings)
	}
	b.clock.Advance(2 * time.Hour)
	v := b.get()
	if v.Refused == nil || v.Refused.Why != wire.TokenExpired || !v.Refused.Since.Equal(end) || v.Refused.Tried != nil ||
		len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0].Text, "enrol it again") {
		t.Errorf("expired: %+v, %+v", v.Refused, v.Warnings)
	}
	tried := b.clock.Now()
	b.devices.all[0].Refused = &tried
	if v := b.get(); v.Refused.Tried == nil || !strings.Contains(v.Warnings[0].Text, "still tries") {
		t.Errorf("tried: %+v, %+v", v.Refused, v.Warnings)
	}
	b.devices.all[0].Expires, b.devices.all[0].Revoked = nil, &end
	if v := b.get(); v.Refused == nil || v.Refused.Why != wire.TokenRevoked {
		t.Errorf("revoked: %+v", v.Refused)
	}
	if _, err := b.Order(t.Context(), dock.Name, "pause", nil); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an order to a revoked station: %v", err)
	}
	b.clock.Advance(triesRecent)
	if _, err := b.Get(t.Context(), dock.Name); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a revoked station that has given up: %v", err)
	}
}
