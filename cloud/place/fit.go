package place

import (
	"fmt"
	"time"

	"cattlecounter/cloud/flightlog"
)

// fitSlack is how far the ends of a log and its video are apart: a log of one record a second, and its last cue.
const fitSlack = 10 * time.Second

// Fit says for a person why a log is not that of a video, and "" for one that is. captured is the wall clock at the first
// picture in the zone of the log, zero when it is not known, and length that of the video, 0 when it is not known. A log of
// a whole flight is cut to the video (flightlog.Log.Fit), so its offsets count from the first picture.
func Fit(log *flightlog.Log, captured time.Time, length time.Duration) string {
	if !log.OfVideo {
		from, to := log.Captured(), log.Last()
		switch {
		case length > 0 && log.Fit(captured, length):
			return ""
		case length <= 0 || captured.IsZero():
			return "the log covers a whole flight, and the time or length of the video is not known"
		case from.IsZero():
			return "the log covers a whole flight and has no times, so its part of the video is not known"
		default:
			return fmt.Sprintf("the log covers %s to %s, and the video was recorded at %s", from.Format(time.DateTime),
				to.Format(time.DateTime), captured.UTC().Format(time.DateTime))
		}
	}
	end := log.End
	if length <= 0 || end <= 0 {
		return ""
	}
	if end > length+length/5+fitSlack || end < length/2-fitSlack {
		return fmt.Sprintf("the log lasts %s and the video %s; it is the log of another video, or cut off",
			end.Round(time.Second), length.Round(time.Second))
	}
	return ""
}
