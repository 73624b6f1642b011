// Package vitals reads the board's temperature and whether its clock can be trusted.
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

// zones are the files of Linux with temperatures in thousandths of a degree Celsius
// (Documentation/driver-api/thermal/sysfs-api).
const zones = "/sys/class/thermal/thermal_zone*/temp"

// Temperature returns the hottest sensor in degrees Celsius, nil without a sensor.
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
			continue // the sensor is switched off
		}
		c, ok := parseTemperature(string(b))
		if ok && (top == nil || c > *top) {
			top = &c
		}
	}
	return top
}

// parseTemperature refuses values that no working board has: drivers report them for
// missing sensors.
func parseTemperature(s string) (float64, bool) {
	const least, most = -60, 150
	n, err := strconv.Atoi(strings.TrimSpace(s))
	c := float64(n) / 1000
	return c, err == nil && c > least && c < most
}

// Clock returns synced when a time service keeps the kernel's clock and the clock
// shows a time after this program was built.
func Clock() topic.Clock {
	// Before the time: a time service sets the clock before it marks it as synced.
	kept := disciplined()
	return state(time.Now(), kept)
}

func state(now time.Time, disciplined bool) topic.Clock {
	if disciplined && !now.Before(clock.Built()) {
		return topic.ClockSynced
	}
	return topic.ClockUnsynced
}
