package clock

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// gpsdWatch requests reports (gpsd_json(5)) until the connection closes.
	gpsdWatch = "?WATCH={\"enable\":true,\"json\":true}\n"
	// gpsdLimit is how long to wait for a fix. Receivers report once a second, but gpsd
	// may open its device only when the first client connects.
	gpsdLimit = 10 * time.Second
	// maxLine is above gpsd's own bound of 10,240 characters.
	maxLine = 16 << 10
	// maxReports bounds the bytes read for one hint.
	maxReports = 256 << 10
	// fixAge is how old a report may be on arrival: receivers send slowly, and gpsd
	// waits for all messages of an epoch.
	fixAge = time.Second
	// maxError bounds the uncertainty that a receiver reports.
	maxError = time.Hour

	theReceiver = "GNSS"
)

// Errors of gpsd.
var (
	// ErrNoFix marks a receiver that does not know the time, or that is not connected.
	ErrNoFix = errors.New("no GNSS fix")
	// ErrNotGPSD marks a line that gpsd does not write.
	ErrNotGPSD = errors.New("not gpsd")
)

// AskGPSD asks gpsd at host:port for its receiver's time and disconnects. The error
// wraps ErrNoFix without a fix, ErrNotGPSD when another program answers, and
// ErrImplausible for a time such as that of an overflowed week counter.
func AskGPSD(ctx context.Context, address string) (Hint, error) {
	ctx, cancel := context.WithTimeout(ctx, gpsdLimit)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return Hint{}, fmt.Errorf("gpsd: %w", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Now()) })()
	h, err := askGPSD(c)
	if err != nil {
		return Hint{}, fmt.Errorf("gpsd at %s: %w", address, err)
	}
	return h, nil
}

func askGPSD(c io.ReadWriter) (Hint, error) {
	if _, err := io.WriteString(c, gpsdWatch); err != nil {
		return Hint{}, err
	}
	lines := bufio.NewScanner(io.LimitReader(c, maxReports))
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	seen := false
	for lines.Scan() {
		at := time.Now()
		f, err := parseReport(lines.Bytes())
		if err != nil {
			return Hint{}, err
		}
		seen = true
		if !f.time.IsZero() {
			return newHint(GNSS, theReceiver, f.time, fixAge+f.within, at)
		}
	}
	var timeout net.Error
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return Hint{}, fmt.Errorf("line longer than %d bytes: %w", maxLine, ErrNotGPSD)
	case err == nil && !seen:
		return Hint{}, fmt.Errorf("no report: %w", ErrNotGPSD)
	case err != nil && !(errors.As(err, &timeout) && timeout.Timeout()):
		return Hint{}, err
	}
	return Hint{}, fmt.Errorf("waited %s: %w", gpsdLimit, ErrNoFix)
}

// fix is a report's time. It is zero in a report without a time or without a fix.
type fix struct {
	time   time.Time
	within time.Duration
}

// parseReport reads one line of gpsd. Only TPV reports with a 2D or 3D fix count:
// without a fix a receiver reports its own clock. The error wraps ErrNotGPSD.
func parseReport(line []byte) (fix, error) {
	var kind struct {
		Class string `json:"class"`
	}
	if err := json.Unmarshal(line, &kind); err != nil || kind.Class == "" {
		return fix{}, fmt.Errorf("line %.40q: %w", line, ErrNotGPSD)
	}
	if kind.Class != "TPV" {
		return fix{}, nil
	}
	var r struct {
		Mode  int       `json:"mode"`
		Time  time.Time `json:"time"`
		Error float64   `json:"ept"` // seconds, 95 %
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return fix{}, fmt.Errorf("report %.40q: %w: %w", line, err, ErrNotGPSD)
	}
	if r.Mode != 2 && r.Mode != 3 {
		return fix{}, nil
	}
	within := time.Duration(min(max(r.Error, 0), maxError.Seconds()) * float64(time.Second))
	return fix{r.Time.UTC(), within}, nil
}
