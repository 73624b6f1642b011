package footage

import (
	"regexp"
	"time"
)

// TimeSource is where a capture time comes from.
type TimeSource string

// Sources of a capture time, in the order in which they are asked. "" in a manifest that was written before this field
// existed stands for FromFile.
const (
	FromFile      TimeSource = "file"       // modification time on the card
	FromContainer TimeSource = "container"  // creation time inside the video file
	FromFlightLog TimeSource = "flight_log" // first date in the telemetry, in local time
	FromName      TimeSource = "name"       // date in the file name, in local time
	FromNothing   TimeSource = "unknown"    // none of them is plausible, and the time is zero
)

const (
	// firstYear is the first year in which a capture time is plausible: no camera drone is older. Clocks that lost
	// their battery show earlier years: 1970, 1980 (FAT), 2000, 2004.
	firstYear = 2006
	// lastYear is beyond the life of this code. FAT ends in 2107, which is what a damaged entry shows.
	lastYear = 2099
	// clockSlack is how far a camera's clock may be ahead: local time that is stored as UTC.
	clockSlack = 24 * time.Hour
)

// IsPlausible reports whether footage can have been recorded at t. now is the time of this machine; trusted tells
// whether that clock is synchronized. Only a trusted clock excludes a time in the future.
func IsPlausible(t, now time.Time, trusted bool) bool {
	if y := t.UTC().Year(); y < firstYear || y > lastYear {
		return false
	}
	return !trusted || !t.After(now.Add(clockSlack))
}

// nameTime is a date and time in a file name: DJI_20250601080000_0001_W.MP4, VID_20250601_080000.mp4,
// 20250601-080000.mov, PXL_20250601_080000123.mp4.
var nameTime = regexp.MustCompile(`(?:^|[^0-9])(20[0-9]{2}[01][0-9][0-3][0-9])[_-]?([0-2][0-9][0-5][0-9][0-5][0-9])`)

// logTime is a date and time in a flight log, for example "2025-06-01 08:00:00,123".
var logTime = regexp.MustCompile(`(?:^|[^0-9])(20[0-9]{2})[-./]([01][0-9])[-./]([0-3][0-9])[ T]+` +
	`([0-2][0-9]:[0-5][0-9]:[0-5][0-9])`)

// TimeInName returns the date and time that a camera wrote into a file name. It is local time; zone is the zone to
// read it in. ok is false for a name without one.
func TimeInName(name string, zone *time.Location) (t time.Time, ok bool) {
	m := nameTime.FindStringSubmatch(name)
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.ParseInLocation("20060102150405", m[1]+m[2], zone)
	return t, err == nil
}

// TimeInLog returns the first date and time in the text of a flight log, like TimeInName.
func TimeInLog(text []byte, zone *time.Location) (t time.Time, ok bool) {
	m := logTime.FindSubmatch(text)
	if m == nil {
		return time.Time{}, false
	}
	date := string(m[1]) + "-" + string(m[2]) + "-" + string(m[3]) + " " + string(m[4])
	t, err := time.ParseInLocation(time.DateTime, date, zone)
	return t, err == nil
}
