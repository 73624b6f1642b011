package mqttlink

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"
)

func TestRivalIsTold(t *testing.T) {
	type end struct {
		connected bool
		lasted    time.Duration
		err       error
	}
	closed := fmt.Errorf("%w: %w", errLinkLost, io.EOF)
	thrownOut := end{true, time.Second, closed}
	for name, c := range map[string]struct {
		ends []end
		want bool
	}{
		"three in a row":           {[]end{thrownOut, {true, time.Minute, closed}, thrownOut}, true},
		"two in a row":             {[]end{thrownOut, thrownOut}, false},
		"reset by the peer":        {[]end{thrownOut, {true, time.Second, &netError{syscall.ECONNRESET}}, thrownOut}, true},
		"the broker was away":      {[]end{thrownOut, thrownOut, {false, 0, errors.New("refused")}, thrownOut}, false},
		"a steady one between":     {[]end{thrownOut, thrownOut, {true, steady, closed}, thrownOut}, false},
		"a poor link between":      {[]end{thrownOut, thrownOut, {true, time.Second, errors.New("no ping")}, thrownOut}, true},
		"a poor link":              {[]end{{true, time.Second, errors.New("no ping")}, {true, time.Second, errors.New("no ping")}, {true, time.Second, errors.New("no ping")}}, false},
		"over after a steady one":  {[]end{thrownOut, thrownOut, thrownOut, {true, steady, closed}}, false},
		"over when nobody answers": {[]end{thrownOut, thrownOut, thrownOut, {false, 0, errors.New("refused")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var r rival
			var err error
			for _, e := range c.ends {
				err = r.ended(e.connected, e.lasted, e.err)
				if !errors.Is(err, e.err) {
					t.Errorf("the cause is lost: %v", err)
				}
			}
			if errors.Is(err, ErrRival) != c.want {
				t.Errorf("%v", err)
			}
			for range 100 {
				if p := r.pause(firstWait); p < firstWait || c.want && p < longestWait/2 || !c.want && p != firstWait || p >= longestWait {
					t.Errorf("pause %s", p)
				}
			}
		})
	}
}

// netError is an error as the net package has it.
type netError struct{ error }

func (n *netError) Unwrap() error { return n.error }
