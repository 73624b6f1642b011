package spool

var (
	dataUseKey    = []byte("x/data")
	linkOrdersKey = []byte("x/link")
	pausedKey     = []byte("x/paused")
	newestKey     = []byte("x/newest-order")
	orderPinKey   = []byte("x/order-key")
)

// Link is what the uplink must remember across a power cut: data use, orders about the link, pause.
type Link struct{ store *store }

// DataUse is how much of a metered link was used in the current day and month.
type DataUse struct {
	Day        string `json:"day,omitempty"`   // 2006-01-02 in the device's zone, "" before the first trusted clock
	Month      string `json:"month,omitempty"` // 2006-01
	DayBytes   int64  `json:"day_bytes"`
	MonthBytes int64  `json:"month_bytes"`
}

// DataUse returns the last saved use, the zero value on a new spool.
func (l *Link) DataUse() (DataUse, error) {
	var d DataUse
	err := l.store.readSetting(dataUseKey, "data use", &d)
	return d, err
}

// SetDataUse saves d durably.
func (l *Link) SetDataUse(d DataUse) error { return l.store.saveSetting(dataUseKey, "data use", d) }

// LinkOrders are an operator's orders about the link. They override the configuration until
// the operator cancels them.
type LinkOrders struct {
	// Limit is bytes per second: 0 for the configured limit, -1 for none.
	Limit   int64 `json:"limit,omitempty"`
	Metered *bool `json:"metered,omitempty"` // nil: as configured
}

// Orders returns the orders in force, the zero value without any.
func (l *Link) Orders() (LinkOrders, error) {
	var o LinkOrders
	err := l.store.readSetting(linkOrdersKey, "orders for the link", &o)
	return o, err
}

// SetOrders saves o durably.
func (l *Link) SetOrders(o LinkOrders) error {
	return l.store.saveSetting(linkOrdersKey, "orders for the link", o)
}

// Paused reports whether an operator paused the upload, also before a restart.
func (l *Link) Paused() (bool, error) {
	var p bool
	err := l.store.readSetting(pausedKey, "pause", &p)
	return p, err
}

// SetPaused saves the operator's pause durably.
func (l *Link) SetPaused(p bool) error { return l.store.saveSetting(pausedKey, "pause", p) }
