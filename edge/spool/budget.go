package spool

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

var (
	dataUseKey    = []byte("x/data")
	linkOrdersKey = []byte("x/link")
)

// DataUse is what a metered link was used for in the current day and month.
type DataUse struct {
	Day        string `json:"day,omitempty"`   // 2006-01-02 in the device's zone, "" before the first trusted clock
	Month      string `json:"month,omitempty"` // 2006-01
	DayBytes   int64  `json:"day_bytes"`
	MonthBytes int64  `json:"month_bytes"`
}

// DataUse returns what was last kept, the zero value on a new spool.
func (s *Spool) DataUse() (DataUse, error) {
	var d DataUse
	err := s.getSetting(dataUseKey, "data use", &d)
	return d, err
}

// SetDataUse keeps d durably.
func (s *Spool) SetDataUse(d DataUse) error { return s.putSetting(dataUseKey, "data use", d) }

// LinkOrders are an operator's orders about the link that win over the
// configuration until they are taken back.
type LinkOrders struct {
	// Limit is bytes per second: 0 for the configured limit, -1 for none.
	Limit   int64 `json:"limit,omitempty"`
	Metered *bool `json:"metered,omitempty"` // nil: as configured
}

// LinkOrders returns the orders in force, the zero value without any.
func (s *Spool) LinkOrders() (LinkOrders, error) {
	var o LinkOrders
	err := s.getSetting(linkOrdersKey, "orders for the link", &o)
	return o, err
}

// SetLinkOrders keeps o durably.
func (s *Spool) SetLinkOrders(o LinkOrders) error {
	return s.putSetting(linkOrdersKey, "orders for the link", o)
}

// getSetting leaves v as it is when the key is not there.
func (s *Spool) getSetting(key []byte, what string, v any) error {
	err := s.db.View(func(txn *badger.Txn) error { return getJSON(txn, key, v) })
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

func (s *Spool) putSetting(key []byte, what string, v any) error {
	if err := s.write(func(txn *badger.Txn) error { return setJSON(txn, key, v) }); err != nil {
		return fmt.Errorf("keep %s: %w", what, err)
	}
	return nil
}
