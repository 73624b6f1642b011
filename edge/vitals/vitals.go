// Package vitals reads the health of the board: temperature and whether its
// clock can be trusted. Disk and link are read by those who use them.
package vitals

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cattlecounter/edge/clock"
	"cattlecounter/shared/topic"
)

// zones is where Linux shows temperatures, in thousandths of a degree Celsius
// (Documentation/driver-api/thermal/sysfs-api).
const zones = "/sys/class/thermal/thermal_zone*/temp"

// Temperature returns the hottest sensor in degrees Celsius, nil where there is
// none.
func Temperature() *float64 { return hottest(zones) }

func hottest(pattern string) *float64 {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	var top *float64
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a sensor that is switched off
		}
		c, ok := parseTemperature(string(b))
		if ok && (top == nil || c > *top) {
			top = &c
		}
	}
	return top
}

// parseTemperature refuses what no working board shows: drivers report such
// values for sensors that are not there.
func parseTemperature(s string) (float64, bool) {
	const least, most = -60, 150
	n, err := strconv.Atoi(strings.TrimSpace(s))
	c := float64(n) / 1000
	return c, err == nil && c > least && c < most
}

// Clock says whether the kernel's clock is disciplined and shows a time that can
// be: after this program was built.
func Clock() topic.Clock {
	kept := disciplined() // first, for a clock is set before it is called so
	return state(time.Now(), kept)
}

func state(now time.Time, disciplined bool) topic.Clock {
	if disciplined && !now.Before(clock.Built()) {
		return topic.ClockSynced
	}
	return topic.ClockUnsynced
}
