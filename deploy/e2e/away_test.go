package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"cattlecounter/deploy/testkit/faultproxy"
)

// crash kills the API in the middle of the file, runs meanwhile, and starts the API again after the agent failed to
// connect.
func (s *sending) crash(meanwhile func()) {
	s.t.Helper()
	s.awaitFaults(faultproxy.Stalled, 1)
	const heads = 4 << 10 // bytes before the stall that are headers
	was := int64(0)
	s.eventually("the API has read all bytes that were sent", time.Minute, func() bool {
		now := s.bodyBytes()
		same := now == was
		was = now
		return same && now >= s.size/2-heads
	})
	s.received = was
	s.api.Kill()
	s.proxy.Sever()
	s.awaitFaults(faultproxy.NoServer, 1)
	meanwhile()
	s.startAPI()
	s.proxy.Release()
}

// copyCloud copies the cloud's data. No API may run.
func (s *sending) copyCloud(from, to string) {
	s.t.Helper()
	if err := os.CopyFS(s.path(to), os.DirFS(s.path(from))); err != nil {
		s.t.Fatal(err)
	}
}

// networkScenarios need a network namespace: the kernel breaks their link.
func networkScenarios() []scenario {
	loss := 5 // percent; enough for a small file to lose some packets
	if long {
		loss = 1
	}
	nothing := func(int, int64) faultproxy.Faults { return faultproxy.Faults{} }
	return []scenario{{
		name: "link down and up", faults: "interface down until a wait of 16 s begins, then up", size: 4 << 20, network: true,
		idle: 2 * time.Second, edge: "uplink: {rate_limit: 500KB}\n", plan: nothing,
		during: func(s *sending) {
			s.awaitDelivered(1 << 20)
			s.net.down()
			s.proxy.Note()
			wait := s.awaitLongWait(16 * time.Second)
			before, began := s.proxy.Stats().Connections, time.Now()
			s.proxy.Release()
			s.net.up()
			s.awaitLink(func(st faultproxy.Stats) bool { return st.Connections > before })
			// The wait had just begun: only a notification of the kernel can have ended it.
			if took := time.Since(began); took > wait/2 {
				s.t.Errorf("the agent continued after %s of a wait of %s", took, wait)
			}
		},
		least: 1, recover: 2 * time.Second,
	}, {
		name: "silent death", faults: "no packet comes back until the agent gives up", size: 4 << 20, network: true,
		idle: 2 * time.Second, edge: "uplink: {rate_limit: 500KB}\n", plan: nothing,
		during: func(s *sending) {
			s.awaitDelivered(1 << 20)
			restore := s.net.dropIncoming()
			s.proxy.Note()
			began := time.Now()
			s.awaitLog("no byte moved for 2s", time.Minute)
			if took := time.Since(began); took > 2*time.Second+slack {
				s.t.Errorf("a dead connection was detected after %s", took)
			}
			s.proxy.Release()
			restore()
		},
		least: 1, recover: twoWaits,
	}, {
		name: "packets lost", faults: fmt.Sprintf("64 kbit/s, %d %% of packets", loss), size: 150_000, large: 2_000_000, network: true,
		idle: 10 * time.Second, plan: nothing,
		before: func(s *sending) { s.net.lossy(loss) },
		check: func(s *sending) {
			if s.dropped = s.net.dropped(); s.dropped == 0 && long {
				s.t.Error("no packet was lost")
			}
			checkLinkKept(s)
		},
	}}
}

// awaitDelivered waits until n bytes have gone to the cloud.
func (s *sending) awaitDelivered(n int64) {
	s.t.Helper()
	s.awaitLink(func(st faultproxy.Stats) bool { return st.Up.Delivered >= n })
}

var retryIn = regexp.MustCompile(`upload interrupted.*retry_in=(\S+)`)

// awaitLongWait returns as soon as the agent begins a wait of at least this time.
func (s *sending) awaitLongWait(least time.Duration) (wait time.Duration) {
	s.t.Helper()
	s.eventually("the agent begins a long wait", 3*time.Minute, func() bool {
		for _, m := range retryIn.FindAllStringSubmatch(s.edge.Tail(1<<20), -1) {
			d, err := time.ParseDuration(m[1])
			if err != nil {
				s.t.Fatal(err)
			}
			wait = d
		}
		return wait >= least
	})
	return wait
}

// awaitLog waits until the agent logs the text.
func (s *sending) awaitLog(what string, limit time.Duration) {
	s.t.Helper()
	s.eventually("the agent logs "+what, limit, func() bool { return strings.Contains(s.edge.Tail(1<<20), what) })
}
