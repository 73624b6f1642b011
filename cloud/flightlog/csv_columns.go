package flightlog

import (
	"regexp"
	"strings"
	"unicode"
)

// meaning is what a column has.
type meaning int

const (
	other meaning = iota
	latitude
	longitude
	heightAboveTakeoff
	heightUnclear // above take-off in the tables of apps, otherwise above a datum
	heightAbsolute
	cameraYaw
	cameraPitch
	cameraRoll
	bodyYaw
	bodyPitch
	bodyRoll
	satelliteCount
	digitalZoom
	focalLength
	wallTime
	wallDate
	wallClock
	elapsed
	recording
	homeLatitude
	homeLongitude
	modelName
	serialNumber
)

// columnNames are the names of columns without blanks, signs and units, in lower case.
var columnNames = map[meaning][]string{
	heightAboveTakeoff: {"heightabovetakeoff", "relativealtitude", "relalt", "relativeheight", "height",
		"altitudeabovetakeoff", "altitudeagl", "heightabovehome", "baroalt", "altituderelative"},
	heightUnclear: {"altitude", "alt"},
	heightAbsolute: {"altitudeabovesealevel", "absolutealtitude", "absalt", "msl", "altitudemsl", "altitudeamsl",
		"amsl", "gpsaltitude", "ele", "elevation"},
	cameraYaw:      {"gimbalheading", "gimbalyaw", "gbyaw", "camerayaw", "gimbalyawraw"},
	cameraPitch:    {"gimbalpitch", "gbpitch", "camerapitch", "gimbalpitchraw"},
	cameraRoll:     {"gimbalroll", "gbroll", "cameraroll", "gimbalrollraw"},
	bodyYaw:        {"compassheading", "heading", "yaw", "droneyaw"},
	bodyPitch:      {"pitch", "dronepitch"},
	bodyRoll:       {"roll", "droneroll"},
	satelliteCount: {"satellites", "gpsnum", "sats", "numsats", "satnum", "satellitesnum", "gpscount"},
	digitalZoom:    {"zoom", "digitalzoom", "dzoomratio"},
	focalLength:    {"focallen", "focallength"},
	wallTime: {"datetime", "timestamp", "datetimestamp", "utctime", "timeutc", "utc", "datetimeutc", "datetimelocal",
		"unixtime", "unixtimestamp", "epoch", "epochtime", "timestamputc", "gpsdatetime"},
	wallDate:  {"date", "datelocal"},
	wallClock: {"updatetime", "updatetimelocal"},
	elapsed: {"time", "timemillisecond", "timems", "offsettime", "flytime", "elapsed", "elapsedtime",
		"flighttime", "seconds", "timeus"},
	recording:     {"isvideo", "istakingvideo", "isrecording", "isrecordingvideo"},
	homeLatitude:  {"homelatitude", "homelat"},
	homeLongitude: {"homelongitude", "homelon"},
	modelName:     {"aircraftname", "dronemodel", "model", "dronetype"},
	serialNumber:  {"aircraftserial", "droneserial", "aircraftsn", "dronesn"},
}

var columns = func() map[string]meaning {
	all := map[string]meaning{}
	for m, names := range columnNames {
		for _, name := range names {
			all[name] = m
		}
	}
	return all
}()

// prefixes of names that say from which part of the drone a number comes.
var prefixes = []string{"osd", "custom", "camera", "details", "recover", "general", "clock", "imuatti0", "imuatti",
	"gps0", "gps", "drone"}

// columnUnit is a unit behind a name: (feet), [s], [degrees [-180;180]]. A number in round brackets is of a part:
// GPS(0).
var columnUnit = regexp.MustCompile(`(?:\[|\([^0-9()])[^()]*[)\]]?\s*$`)

// nameUnit is a unit that is the last part of a name: altitude_m, time_ms.
var nameUnit = regexp.MustCompile(`[_ .](m|meters?|metres?|ft|feet|deg|degrees?|s|sec|seconds|ms|us|utc|local)$`)

// field is one column of a table.
type field struct {
	meaning meaning
	unit    string // in lower case
	name    string
}

// fieldOf reads the name of a column.
func fieldOf(text string) field {
	text = strings.ToLower(strings.TrimSpace(strings.ReplaceAll(text, "\x00", "")))
	f := field{}
	if at := columnUnit.FindStringIndex(text); at != nil && at[0] > 0 {
		f.unit, text = strings.Trim(text[at[0]:], "()[] "), text[:at[0]]
	}
	f.name = plainLetters(text)
	names := []string{f.name}
	if at := nameUnit.FindStringSubmatchIndex(text); at != nil && f.unit == "" && columns[f.name] == other {
		f.unit, f.name = text[at[2]:at[3]], plainLetters(text[:at[0]])
		names = append(names, f.name)
	}
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(f.name, p); ok && rest != "" {
			names = append(names, rest)
		}
	}
	for _, name := range names {
		switch m := columns[name]; {
		case m != other:
			f.meaning = m
		case axis[name] == 'N':
			f.meaning = latitude
		case axis[name] == 'E':
			f.meaning = longitude
		default:
			continue
		}
		break
	}
	if f.meaning == elapsed && (f.unit == "utc" || f.unit == "local") {
		f.meaning = wallClock
	}
	return f
}

// plainLetters are the letters and digits of a name.
func plainLetters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, text)
}
