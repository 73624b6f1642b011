package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// network is a network namespace for the agent, with one virtual cable to the host. It makes faults that a proxy cannot:
// missing routes, lost packets, and connections that die without a reset.
type network struct {
	t     *testing.T
	name  string // of the namespace
	host  string // address of the cable's end on the host
	agent string // address of the end in the namespace
	dev   string // device in the namespace
}

// networks counts the namespaces of this process.
var networks atomic.Int64

// newNetwork creates a namespace for the length of the test. Without root or a kernel with namespaces the test is skipped.
func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: a network namespace needs root")
	}
	sweepNetworks(t)
	// Two addresses of the range for benchmarks (RFC 2544) for each process and network.
	k := (os.Getpid()*16 + int(networks.Add(1))) % (1 << 15)
	address := func(end int) string { return fmt.Sprintf("198.%d.%d.%d", 18+(k>>14), k>>6&0xff, k<<2&0xff+end) }
	n := &network{t: t, name: fmt.Sprintf("cattle-%d-%d", os.Getpid(), k), dev: fmt.Sprintf("cc%da", k), host: address(1), agent: address(2)}
	if err := command("ip", "netns", "add", n.name); err != nil {
		t.Skipf("SKIPPED: no network namespace here: %v", err)
	}
	t.Cleanup(func() { n.must("ip", "netns", "del", n.name) })
	outside := fmt.Sprintf("cc%dh", k)
	if err := command("ip", "link", "add", outside, "type", "veth", "peer", "name", n.dev, "netns", n.name); err != nil {
		t.Skipf("SKIPPED: no virtual cable here: %v", err)
	}
	t.Cleanup(func() { n.must("ip", "link", "del", outside) })
	n.must("ip", "addr", "add", n.host+"/30", "dev", outside)
	n.must("ip", "link", "set", outside, "up")
	n.must("ip", "-n", n.name, "addr", "add", n.agent+"/30", "dev", n.dev)
	n.must("ip", "-n", n.name, "link", "set", "lo", "up")
	n.up()
	return n
}

// sweepNetworks removes the namespaces of killed test runs: their names hold the process.
func sweepNetworks(t *testing.T) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		t.Skipf("SKIPPED: no network namespace here: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(name, "cattle-")
		pid, _, _ := strings.Cut(rest, "-")
		if _, err := strconv.Atoi(pid); !ours || err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); errors.Is(err, os.ErrNotExist) {
			_ = command("ip", "netns", "del", name) // removes its cable too
		}
	}
}

func command(program string, args ...string) error {
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *network) must(program string, args ...string) {
	n.t.Helper()
	if err := command(program, args...); err != nil {
		n.t.Error(err)
	}
}

// inside is the command that starts a program in the namespace.
func (n *network) inside() []string { return []string{"ip", "netns", "exec", n.name} }

// down removes the link and its routes, up restores them.
func (n *network) down() { n.must("ip", "-n", n.name, "link", "set", n.dev, "down") }

func (n *network) up() { n.must("ip", "-n", n.name, "link", "set", n.dev, "up") }

// dropIncoming drops every packet to the agent until restore is called.
func (n *network) dropIncoming() (restore func()) {
	n.must("ip", "route", "add", "blackhole", n.agent+"/32")
	restored := false
	restore = func() {
		if !restored {
			restored = true
			n.must("ip", "route", "del", "blackhole", n.agent+"/32")
		}
	}
	n.t.Cleanup(restore)
	return restore
}

// lossy limits the agent's outgoing link to 64 kbit/s and drops the given percentage of its packets: with netem(8), or
// where the kernel lacks it with a class of tc-htb(8) without room, into which a filter of tc-bpf(8) puts random packets.
func (n *network) lossy(percent int) {
	n.t.Helper()
	tc := func(args ...string) error { return command("tc", append([]string{"-n", n.name}, args...)...) }
	none := tc("qdisc", "add", "dev", n.dev, "root", "netem", "loss", fmt.Sprintf("%d%%", percent), "rate", "64kbit", "limit", "100")
	if none == nil {
		n.t.Log("loss by netem")
		return
	}
	// ld rand; jgt #k, match, pass; match: ret -1; pass: ret 0
	random := fmt.Sprintf("4,32 0 0 4294963256,37 0 1 %d,6 0 0 4294967295,6 0 0 0", (1<<32-1)/100*(100-percent))
	class := func(id string) error {
		return tc("class", "add", "dev", n.dev, "parent", "1:", "classid", id, "htb", "rate", "64kbit", "burst", "1600", "cburst", "1600", "quantum", "1600")
	}
	err := errors.Join(
		command("ip", "-n", n.name, "link", "set", n.dev, "gso_max_segs", "1"), // no large segments: packets as on a radio link
		tc("qdisc", "add", "dev", n.dev, "root", "handle", "1:", "htb", "default", "1"),
		class("1:1"), class("1:2"),
		tc("qdisc", "add", "dev", n.dev, "parent", "1:1", "pfifo", "limit", "100"),
		tc("qdisc", "add", "dev", n.dev, "parent", "1:2", "bfifo", "limit", "1"),
		tc("filter", "add", "dev", n.dev, "parent", "1:", "protocol", "all", "bpf", "bytecode", random, "classid", "1:2"))
	if err != nil {
		n.t.Skipf("SKIPPED: the kernel cannot drop packets: %v, %v", none, err)
	}
	n.t.Log("loss by a class without room")
}

var droppedPackets = regexp.MustCompile(`dropped (\d+)`)

// dropped is how many outgoing packets of the agent the kernel dropped.
func (n *network) dropped() int {
	n.t.Helper()
	out, err := exec.Command("tc", "-n", n.name, "-s", "qdisc", "show", "dev", n.dev).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
	most := 0
	for _, m := range droppedPackets.FindAllStringSubmatch(string(out), -1) {
		k, err := strconv.Atoi(m[1])
		if err != nil {
			n.t.Fatal(err)
		}
		most = max(most, k)
	}
	return most
}
