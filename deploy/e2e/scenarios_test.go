package e2e

import (
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"cattlecounter/deploy/testkit/faultproxy"
)

// scenarios are the bad links. Their limits for recovery are those that firmware-notes/modem.md documents.
func scenarios() []scenario {
	return slices.Concat(cutScenarios(), slowScenarios(), awayScenarios(), networkScenarios())
}

func cutScenarios() []scenario {
	return []scenario{{
		name: "cuts", faults: "cut after 0 and 500 bytes, then every 1.5 MiB", size: 10<<20 + 4321, large: 64 << 20,
		plan: func(n int, _ int64) faultproxy.Faults {
			early := []int64{0, 500}
			if n < len(early) {
				return faultproxy.Faults{CutUp: &early[n]}
			}
			return faultproxy.Faults{CutUp: faultproxy.At(3<<19 + 777)}
		},
		least: 8, recover: threeTry,
	}, {
		name: "answers lost", faults: "cut during the answers to create, upload and offset", size: 3 << 20, large: 64 << 20,
		plan: func(n int, size int64) faultproxy.Faults {
			switch n {
			case 0: // the cloud has an upload whose address the agent never received
				return faultproxy.Faults{CutDown: faultproxy.At(0), DownFrom: 400}
			case 1: // the cloud has the whole file, and the agent did not receive the answer
				return faultproxy.Faults{CutDown: faultproxy.At(12), DownFrom: size}
			case 2:
				return faultproxy.Faults{CutDown: faultproxy.At(40)}
			}
			return faultproxy.Faults{}
		},
		least: 3, recover: threeTry,
		check: func(s *sending) { // the first answer was the one to the creation
			if u := s.uploads(); len(u) != 1 || u[0].Offset != 0 {
				s.t.Errorf("open uploads %+v, want the one whose address was lost", u)
			}
		},
	}, {
		name: "1 % resets", faults: "each 1,400 bytes reset the connection with a probability of 1 %", size: 2_000_000, large: 20_000_000,
		plan:  func(int, int64) faultproxy.Faults { return faultproxy.Faults{Loss: 0.01} },
		least: 5, recover: threeTry,
	}}
}

func slowScenarios() []scenario {
	return []scenario{{
		// The agent's kernel buffers most of the file at once, so only the kernel knows that bytes still move.
		name: "64 kbit/s", faults: "64 kbit/s", size: 200_000, large: 2_000_000, idle: 4 * time.Second, buffer: 8 << 10,
		plan:  func(int, int64) faultproxy.Faults { return faultproxy.Faults{Rate: 64_000} },
		check: checkLinkKept,
	}, {
		name: "slow and resets", faults: "512 kbit/s, 50 ms, 1 % resets", size: 500_000, large: 5_000_000,
		plan: func(int, int64) faultproxy.Faults {
			return faultproxy.Faults{Rate: 512_000, Delay: 50 * time.Millisecond, Loss: 0.01}
		},
		least: 1, recover: threeTry,
	}, {
		name: "stall", faults: "after 1 MiB nothing moves until the connection is closed", size: 4 << 20, large: 64 << 20, idle: 2 * time.Second,
		plan: func(n int, _ int64) (f faultproxy.Faults) {
			if n == 0 {
				f.Stall = &faultproxy.Stall{After: 1 << 20}
			}
			return f
		},
		least: 1, recover: 2*time.Second + time.Second + oneWait,
	}, {
		name: "short stall", faults: "after 1 MiB nothing moves for 2 s", size: 4 << 20, large: 64 << 20, idle: 20 * time.Second,
		plan: func(n int, _ int64) (f faultproxy.Faults) {
			if n == 0 {
				f.Stall = &faultproxy.Stall{After: 1 << 20, For: 2 * time.Second}
			}
			return f
		},
		least: 1, recover: 0,
		check: checkLinkKept,
	}}
}

// checkLinkKept checks that the agent kept a slow link.
func checkLinkKept(s *sending) {
	if log := s.edge.Tail(1 << 20); strings.Contains(log, "upload interrupted") {
		s.t.Errorf("the agent gave up a working link:\n%s", log)
	}
}

func awayScenarios() []scenario {
	var away atomic.Bool
	half := func(n int, size int64) (f faultproxy.Faults) {
		if n == 0 {
			f.Stall = &faultproxy.Stall{After: size / 2}
		}
		return f
	}
	return []scenario{{
		name: "black hole", faults: "cut after 1 MiB, then connections that lose all bytes, then good again", size: 4 << 20, large: 64 << 20,
		plan: func(n int, _ int64) (f faultproxy.Faults) {
			if n == 0 {
				away.Store(true)
				f.CutUp = faultproxy.At(1 << 20)
				return f
			}
			f.BlackHole = away.Load()
			return f
		},
		during: func(s *sending) {
			s.awaitFaults(faultproxy.BlackHole, 1)
			away.Store(false)
			s.proxy.Release()
		},
		least: 2, recover: answerTime + twoWaits,
	}, {
		name: "refused", faults: "cut at half, then refused connections, then good again", size: 4 << 20, large: 64 << 20, plan: half,
		during: func(s *sending) {
			s.awaitFaults(faultproxy.Stalled, 1)
			if err := s.proxy.Refuse(); err != nil {
				s.t.Fatal(err)
			}
			s.proxy.Sever()
			s.eventually("the agent reports that the link is down", time.Minute, func() bool {
				return strings.Contains(s.status().Link.Detail, "refused")
			})
			if err := s.proxy.Accept(); err != nil {
				s.t.Fatal(err)
			}
		},
		least: 3, recover: threeTry,
	}, {
		name: "cloud killed", faults: "the API is killed at half, and restarted", size: 4 << 20, large: 64 << 20, plan: half,
		during: func(s *sending) { s.crash(func() {}) },
		least:  3, recover: threeTry,
	}, {
		name: "upload gone", faults: "the API is killed at half, and restored from a backup without the upload", size: 4 << 20, plan: half,
		before: func(s *sending) { s.copyCloud("cloud", "backup") },
		during: func(s *sending) {
			s.crash(func() {
				if err := os.RemoveAll(s.path("cloud")); err != nil {
					s.t.Fatal(err)
				}
				s.copyCloud("backup", "cloud")
			})
		},
		least: 3, recover: threeTry, twice: 2 << 20,
	}}
}
