package mqttlink

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"
)

func TestRivalIsDetected(t *testing.T) {
	type end struct {
		connected bool
		lasted    time.Duration
		err       error
	}
	eof := fmt.Errorf("%w: %w", errLinkLost, io.EOF)
	closedByBroker := end{true, time.Second, eof}
	for name, c := range map[string]struct {
		ends []end
		want bool
	}{
		"three in a row": {[]end{closedByBroker, {true, time.Minute, eof}, closedByBroker}, true},
		"two in a row":   {[]end{closedByBroker, closedByBroker}, false},
		"reset by the peer": {[]end{closedByBroker, {true, time.Second, &netError{syscall.ECONNRESET}},
			closedByBroker}, true},
		"the broker was unreachable": {[]end{closedByBroker, closedByBroker, {false, 0, errors.New("refused")},
			closedByBroker}, false},
		"a steady one in between": {[]end{closedByBroker, closedByBroker, {true, steady, eof}, closedByBroker},
			false},
		"a poor link in between": {[]end{closedByBroker, closedByBroker,
			{true, time.Second, errors.New("no ping")}, closedByBroker}, true},
		"a poor link": {[]end{{true, time.Second, errors.New("no ping")},
			{true, time.Second, errors.New("no ping")}, {true, time.Second, errors.New("no ping")}}, false},
		"over after a steady one": {[]end{closedByBroker, closedByBroker, closedByBroker, {true, steady, eof}},
			false},
		"over when the broker is unreachable": {[]end{closedByBroker, closedByBroker, closedByBroker,
			{false, 0, errors.New("refused")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r rival
			var err error
			for _, e := range c.ends {
				err = r.connectionEnded(e.connected, e.lasted, e.err)
				if !errors.Is(err, e.err) {
					t.Errorf("the cause is lost: %v", err)
				}
			}
			if errors.Is(err, ErrRival) != c.want {
				t.Errorf("%v", err)
			}
			for range 100 {
				if p := r.pause(firstWait); p < firstWait || c.want && p < longestWait/2 || !c.want && p != firstWait ||
					p >= longestWait {
					t.Errorf("pause %s", p)
				}
			}
		})
	}
}

// netError is an error in the net package's form.
type netError struct{ error }

func (n *netError) Unwrap() error { return n.error }
