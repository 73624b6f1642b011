package clock

import (
	"fmt"
	"net/http"
	"time"
)

// TheServer names the source of a Date.
const TheServer = "the server"

// maxDate is longer than any of the three forms of a date.
const maxDate = 64

// ParseDate reads the Date header of an answer that arrived at the time at and took
// took (RFC 9110 section 6.6.1). The server truncates the header to whole seconds
// and writes it at an unknown moment of took. The hint is the middle of that span,
// and its uncertainty is half of it. The error wraps ErrImplausible.
func ParseDate(header string, took time.Duration, at time.Time) (Hint, error) {
	if len(header) > maxDate {
		return Hint{}, fmt.Errorf("the Date header has %d characters, at most %d", len(header), maxDate)
	}
	t, err := http.ParseTime(header)
	if err != nil {
		return Hint{}, fmt.Errorf("the Date header %.40q is not a date", header)
	}
	half := (time.Second + max(took, 0)) / 2
	return newHint(Date, TheServer, t.Add(half), half, at)
}
