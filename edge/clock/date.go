package clock

import (
	"fmt"
	"net/http"
	"time"
)

// TheServer is whom a Date comes from.
const TheServer = "the server"

// maxDate is longer than any of the three forms of a date.
const maxDate = 64

// ParseDate reads the Date header of an answer that came at a certain moment and
// took so long (RFC 9110 section 6.6.1). The header has whole seconds, cut off, and
// was written some time while the answer was under way: the middle is taken, and
// half of all that is the uncertainty. The error wraps ErrImplausible when the
// time cannot be.
func ParseDate(header string, took time.Duration, at time.Time) (Hint, error) {
	if len(header) > maxDate {
		return Hint{}, fmt.Errorf("a Date of %d characters", len(header))
	}
	t, err := http.ParseTime(header)
	if err != nil {
		return Hint{}, fmt.Errorf("the Date %.40q is none", header)
	}
	half := (time.Second + max(took, 0)) / 2
	return newHint(Date, TheServer, t.Add(half), half, at)
}
