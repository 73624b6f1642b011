package uplink

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cattlecounter/edge/spool"
)

// ErrBudget marks a used up data budget of a metered link. Nothing is sent to the cloud
// until the next day or month.
var ErrBudget = errors.New("data budget is used up")

const (
	// requestCost is counted for every request besides its body: a new connection with
	// TLS (about 3 KiB), both headers and a short answer.
	requestCost = 4 << 10
	// leastUse is the smallest rest of a budget that allows a request.
	leastUse = requestCost + leastPiece
	// saveStep is how many bytes are saved as used before they are sent.
	saveStep = 1 << 20
	// unlimitedSteps is how many steps to save at once without a limit: flash wears out.
	unlimitedSteps = 16
)

// dataUseStore keeps the use of the link over restarts.
type dataUseStore interface {
	DataUse() (spool.DataUse, error)
	SetDataUse(spool.DataUse) error
	Orders() (spool.LinkOrders, error)
}

// BudgetOptions configure a Budget. Store is required.
type BudgetOptions struct {
	Store      dataUseStore
	Metered    bool  // as configured; an order in Store overrides it
	Day, Month int64 // bytes, 0 for no limit
	Zone       *time.Location
	// Now is the wall clock, Synced whether it can be trusted; nil means time.Now and
	// always.
	Now    func() time.Time
	Synced func() bool
	Log    *slog.Logger
}

// Budget counts the bytes to the cloud while the link is metered, and limits them per day
// and month. Bytes of a body count when they are handed to the connection, even if they do
// not arrive. Every request counts requestCost more. Framing below TLS (about 4 %) and
// MQTT do not count.
//
// The saved count is up to 1 MiB ahead of the sent bytes. So a crash wastes at most that
// much of the budget, and no byte is sent uncounted. Only a synced clock starts a new day
// or month. Budget is safe for concurrent use.
type Budget struct {
	o BudgetOptions

	mu      sync.Mutex
	metered bool
	use     spool.DataUse
	saved   spool.DataUse // in the store, at least use
}

// NewBudget reads the saved use.
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
	orders, err := o.Store.Orders()
	if err != nil {
		return nil, err
	}
	b := &Budget{o: o, metered: o.Metered}
	if orders.Metered != nil {
		b.metered = *orders.Metered
	}
	if b.use, err = o.Store.DataUse(); err != nil {
		return nil, err
	}
	b.saved = b.use
	return b, nil
}

// Close saves the exact counts.
func (b *Budget) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.saved == b.use {
		return nil
	}
	b.saved = b.use
	return b.o.Store.SetDataUse(b.use)
}

// Metered reports whether the link is paid by volume. A nil Budget is not metered.
func (b *Budget) Metered() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.metered
}

// configured reports whether the configuration says metered.
func (b *Budget) configured() bool { return b != nil && b.o.Metered }

func (b *Budget) setMetered(m bool) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.metered = m
}

// request counts one request. The error wraps ErrBudget.
func (b *Budget) request() error {
	_, err := b.reserve(requestCost, requestCost)
	return err
}

// received counts the body of an answer.
func (b *Budget) received(n int) { _, _ = b.reserve(int64(n), 0) }

// body counts up to n bytes of a body and returns how many may be sent, at least one.
func (b *Budget) body(n int) (int, error) {
	got, err := b.reserve(int64(n), 1)
	return int(got), err
}

// reserve counts up to most bytes within the budget: at least least bytes, or none.
func (b *Budget) reserve(most, least int64) (int64, error) {
	if b == nil {
		return most, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.metered {
		return most, nil
	}
	b.startNewDay()
	n := min(most, b.remaining())
	if n < least {
		return 0, ErrBudget
	}
	b.use.DayBytes += n
	b.use.MonthBytes += n
	if b.use.DayBytes > b.saved.DayBytes || b.use.MonthBytes > b.saved.MonthBytes {
		b.saveAhead()
	}
	return n, nil
}

// remaining is how many bytes may still be sent, by the tighter of the two limits.
func (b *Budget) remaining() int64 {
	n := int64(1) << 62
	if b.o.Day > 0 {
		n = min(n, b.o.Day-b.use.DayBytes)
	}
	if b.o.Month > 0 {
		n = min(n, b.o.Month-b.use.MonthBytes)
	}
	return max(n, 0)
}

// saveAhead saves the next bytes as used. A failed write does not stop the upload, which
// is what frees the disk.
func (b *Budget) saveAhead() {
	n := int64(saveStep)
	if b.o.Day == 0 && b.o.Month == 0 {
		n *= unlimitedSteps
	}
	n = min(n, b.remaining())
	b.saved = b.use
	b.saved.DayBytes += n
	b.saved.MonthBytes += n
	if err := b.o.Store.SetDataUse(b.saved); err != nil {
		b.o.Log.Error("cannot save the use of the metered link; after a restart the count is too low", "err", err)
	}
}

const (
	dayForm   = "2006-01-02"
	monthForm = "2006-01"
)

// startNewDay starts a new day or month. The first trusted date only names the current
// day.
func (b *Budget) startNewDay() {
	if !b.o.Synced() {
		return
	}
	now := b.o.Now().In(b.o.Zone)
	day, month := now.Format(dayForm), now.Format(monthForm)
	if day == b.use.Day {
		return
	}
	// Yesterday's date starts nothing. A date far before the known one means that the known
	// one was wrong; it replaces that one, so that the next day starts normally.
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
	b.saveAhead()
}

// hold returns the hold of a used up budget, or a hold without cause. Its time is zero
// while the clock is not synced.
func (b *Budget) hold() hold {
	if b == nil {
		return hold{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.metered {
		return hold{}
	}
	b.startNewDay()
	if b.remaining() >= leastUse {
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
	when := "resumes at " + clockTime(now, h.until)
	if !b.o.Synced() {
		h.until, when = time.Time{}, "resumes when the clock is synced and the next "+span+" has begun"
	}
	h.detail = fmt.Sprintf("data budget of the %s is used up: %s of %s, %s", span, inMiB(used), inMiB(of), when)
	return h
}

func inMiB(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// clockTime prints a time for people, with its date when it is more than a day away.
func clockTime(now, t time.Time) string {
	t = t.In(now.Location())
	if t.Sub(now) > 24*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

// Spent is the use of a budget in a day or month.
type Spent struct {
	Used  int64 `json:"used"`  // bytes
	Limit int64 `json:"limit"` // bytes, 0 for no limit
}

func (b *Budget) spent() (day, month Spent) {
	if b == nil {
		return Spent{}, Spent{}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.startNewDay()
	return Spent{b.use.DayBytes, b.o.Day}, Spent{b.use.MonthBytes, b.o.Month}
}
