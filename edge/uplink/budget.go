package uplink

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cattlecounter/edge/spool"
)

// ErrBudget says that the data budget of a metered link is used up. Nothing more
// is sent to the cloud until the next day or month.
var ErrBudget = errors.New("data budget is used up")

const (
	// requestCost is booked for every request besides its body: a new connection
	// with TLS (about 3 KiB), both headers and a short answer.
	requestCost = 4 << 10
	// leastUse is the rest of a budget that is not worth a request any more.
	leastUse = requestCost + leastPiece
	// ahead is how many bytes are booked durably before they are sent.
	ahead = 1 << 20
	// freely is how many times more where nothing bounds the bytes: flash wears out.
	freely = 16
)

// books is what a Budget needs of the spool.
type books interface {
	DataUse() (spool.DataUse, error)
	SetDataUse(spool.DataUse) error
	Orders() (spool.LinkOrders, error)
}

// BudgetOptions configure a Budget. Books is required.
type BudgetOptions struct {
	Books      books
	Metered    bool  // as configured; an order in Books wins
	Day, Month int64 // bytes, 0: no bound
	Zone       *time.Location
	// Now and Synced are the wall clock and whether it can be trusted; nil:
	// time.Now, always.
	Now    func() time.Time
	Synced func() bool
	Log    *slog.Logger
}

// Budget counts what goes to the cloud while the link is metered, and holds it
// within the bytes of a day and a month. Bytes of a body count when they are
// handed to the connection, whether or not they arrive; every request counts
// requestCost more. Framing below TLS (about 4 %) and MQTT are not counted.
//
// Counts are kept durably up to 1 MiB ahead of what was sent, so a crash wastes
// up to that much of the budget and never sends more than is counted. A later
// day or month, by a synced clock, begins anew; an unsynced clock never gives a
// new budget. Budget is safe for concurrent use.
type Budget struct {
	o BudgetOptions

	mu      sync.Mutex
	metered bool
	use     spool.DataUse
	kept    spool.DataUse // what the spool has, at least use
}

// NewBudget reads what was used before.
func NewBudget(o BudgetOptions) (*Budget, error) {
	if o.Zone == nil {
		o.Zone = time.Local
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Synced == nil {
		o.Synced = func() bool { return true }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	orders, err := o.Books.Orders()
	if err != nil {
		return nil, err
	}
	b := &Budget{o: o, metered: o.Metered}
	if orders.Metered != nil {
		b.metered = *orders.Metered
	}
	if b.use, err = o.Books.DataUse(); err != nil {
		return nil, err
	}
	b.kept = b.use
	return b, nil
}

// Close keeps the exact counts.
func (b *Budget) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == b.use {
		return nil
	}
	b.kept = b.use
	return b.o.Books.SetDataUse(b.use)
}

// Metered reports whether bytes cost. A nil Budget is not metered.
func (b *Budget) Metered() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.metered
}

// configured reports whether the link is metered without any order.
func (b *Budget) configured() bool { return b != nil && b.o.Metered }

func (b *Budget) setMetered(m bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.metered = m
}

// request books one request. The error wraps ErrBudget.
func (b *Budget) request() error {
	_, err := b.take(requestCost, requestCost)
	return err
}

// received books an answer's body, which is here already.
func (b *Budget) received(n int) { _, _ = b.take(int64(n), 0) }

// body books up to n bytes of a body and returns how many may go, at least one.
func (b *Budget) body(n int) (int, error) {
	got, err := b.take(int64(n), 1)
	return int(got), err
}

// take books as much of most as is left, at least least bytes or nothing.
func (b *Budget) take(most, least int64) (int64, error) {
	if b == nil {
		return most, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.metered {
		return most, nil
	}
	b.roll()
	n := min(most, b.left())
	if n < least {
		return 0, ErrBudget
	}
	b.use.DayBytes += n
	b.use.MonthBytes += n
	if b.use.DayBytes > b.kept.DayBytes || b.use.MonthBytes > b.kept.MonthBytes {
		b.keep()
	}
	return n, nil
}

// left is what may still be sent, within the tighter of the two bounds.
func (b *Budget) left() int64 {
	n := int64(1) << 62
	if b.o.Day > 0 {
		n = min(n, b.o.Day-b.use.DayBytes)
	}
	if b.o.Month > 0 {
		n = min(n, b.o.Month-b.use.MonthBytes)
	}
	return max(n, 0)
}

// keep books the next bytes in the spool. A spool that cannot be written holds
// up nothing: footage that goes out is what makes room.
func (b *Budget) keep() {
	n := int64(ahead)
	if b.o.Day == 0 && b.o.Month == 0 {
		n *= freely
	}
	n = min(n, b.left())
	b.kept = b.use
	b.kept.DayBytes += n
	b.kept.MonthBytes += n
	if err := b.o.Books.SetDataUse(b.kept); err != nil {
		b.o.Log.Error("use of the metered link is not kept, a restart would count too little", "err", err)
	}
}

const (
	dayForm   = "2006-01-02"
	monthForm = "2006-01"
)

// roll begins a new day or month. The first trusted date only names the day
// that is counted in already.
func (b *Budget) roll() {
	if !b.o.Synced() {
		return
	}
	now := b.o.Now().In(b.o.Zone)
	day, month := now.Format(dayForm), now.Format(monthForm)
	if day == b.use.Day {
		return
	}
	// A date before the one known gives nothing; one far before it says that the
	// known one was wrong, and is taken over so that tomorrow begins anew.
	yesterday := now.AddDate(0, 0, 1).Format(dayForm) == b.use.Day
	switch {
	case yesterday:
		return
	case b.use.Day != "" && day > b.use.Day:
		b.use.DayBytes = 0
		if month > b.use.Month {
			b.use.MonthBytes = 0
		}
	}
	b.use.Day, b.use.Month = day, month
	b.keep()
}

// held says why the budget stops the uplink, and until when; no cause when it
// does not. The time is zero when the clock does not know it.
func (b *Budget) held() hold {
	if b == nil {
		return hold{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.metered {
		return hold{}
	}
	b.roll()
	if b.left() >= leastUse {
		return hold{}
	}
	now := b.o.Now().In(b.o.Zone)
	y, m, d := now.Date()
	h := hold{cause: ErrBudget, until: time.Date(y, m, d+1, 0, 0, 0, 0, b.o.Zone)}
	span, used, of := "day", b.use.DayBytes, b.o.Day
	if b.o.Month > 0 && b.o.Month-b.use.MonthBytes < leastUse {
		span, used, of = "month", b.use.MonthBytes, b.o.Month
		h.until = time.Date(y, m+1, 1, 0, 0, 0, 0, b.o.Zone)
	}
	when := "goes on at " + clockTime(now, h.until)
	if !b.o.Synced() {
		h.until, when = time.Time{}, "goes on when the clock is synced and the next "+span+" has begun"
	}
	h.detail = fmt.Sprintf("data budget of the %s is used up: %s of %s, %s", span, inMiB(used), inMiB(of), when)
	return h
}

func inMiB(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// clockTime prints a time for people, with its date when it is not within a day.
func clockTime(now, t time.Time) string {
	t = t.In(now.Location())
	if t.Sub(now) > 24*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

// Spent is one span's use of a budget.
type Spent struct {
	Used  int64 `json:"used"`  // bytes
	Limit int64 `json:"limit"` // bytes, 0: no bound
}

func (b *Budget) spent() (day, month Spent) {
	if b == nil {
		return Spent{}, Spent{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roll()
	return Spent{b.use.DayBytes, b.o.Day}, Spent{b.use.MonthBytes, b.o.Month}
}
