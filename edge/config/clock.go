package config

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// Clock is the sources of the time to ask for hints.
type Clock struct {
	NTP        []string      `yaml:"ntp"`
	NTPEvery   time.Duration `yaml:"ntp_every"`
	NTPMetered bool          `yaml:"ntp_metered"`
	GPSD       string        `yaml:"gpsd"`
}

const (
	// leastNTP is what public time servers accept.
	leastNTP = time.Minute
	// mostServers bounds how long one round of queries takes.
	mostServers = 8
)

func (c *Clock) validate(fault func(key, format string, a ...any)) {
	if len(c.NTP) > mostServers {
		fault("clock.ntp", "%d servers, at most %d", len(c.NTP), mostServers)
	}
	for _, s := range c.NTP {
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = strings.Trim(s, "[]"), "123"
		}
		if !isHost(host) || !isPort(port) {
			fault("clock.ntp", "%q is not a host or host:port", s)
		}
	}
	atLeast(fault, "clock.ntp_every", c.NTPEvery, leastNTP)
	if c.GPSD != "" {
		if host, port, err := net.SplitHostPort(c.GPSD); err != nil || !isHost(host) || !isPort(port) {
			fault("clock.gpsd", "%q is not host:port, such as 127.0.0.1:2947", c.GPSD)
		}
	}
}

func isHost(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
