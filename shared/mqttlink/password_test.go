package mqttlink

import (
	"sync/atomic"
	"testing"

	"cattlecounter/shared/secret"
)

// Every connection reads the password, so a renewed one needs no restart.
func TestPasswordIsReadForEveryConnection(t *testing.T) {
	s := newServer(t).start()
	defer s.stop()
	var reads atomic.Int64
	refused, up := make(chan struct{}, 1), make(chan struct{}, 1)
	l := link(t, s.addr, func(o *Options) {
		o.Password = secret.String{}
		o.PasswordSource = func() secret.String {
			if reads.Add(1) == 1 {
				return secret.New("old")
			}
			return secret.New("secret")
		}
		o.OnDown = func(error) {
			select {
			case refused <- struct{}{}:
			default:
			}
		}
		o.OnUp = func() { up <- struct{}{} }
	})
	stop := running(t, l)
	within(t, "refusal of the old password", refused)
	within(t, "connection with the new one", up)
	stop()
}
