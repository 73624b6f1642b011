package footage

import (
	"cmp"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Sequence is the place of a recording in the numbers that a camera or a person gave to recordings one after the other.
type Sequence struct {
	// Series is equal for recordings that are numbered together; "" for a name without a number.
	Series string
	Number int
	// Chapter marks the numbers of the pieces into which a camera cuts one recording, as GoPro writes them. Other numbers
	// count recordings, whether the camera cut them or a person stopped and started again.
	Chapter bool
}

var (
	goproChapter = regexp.MustCompile(`^gopro (\d{2})(\d{4})$`)
	// GoPro before HERO6: GOPR0123, GP010123, GP020123.
	goproFirst = regexp.MustCompile(`^gopr(\d{4})$`)
	goproOld   = regexp.MustCompile(`^gp(\d{2})(\d{4})$`)
	djiNumber  = regexp.MustCompile(`^(dji(?: dated)? )(\d{3,5})(.*)$`)
	// The last number of a name, with what may stand behind it, such as in "herd (2)" and "herd_002_cut".
	lastNumber = regexp.MustCompile(`^(.*?)(\d{1,6})([^\d]*)$`)
	lastLetter = regexp.MustCompile(`^(.*[ _.-])([a-z])$`)
)

// ReadSequence reads the number in the path of a video file. It knows the names that ReadName knows, the chapters of
// GoPro, and numbers and single letters at the end of other names.
func ReadSequence(file string) Sequence {
	key := ReadName(file).Key
	if m := goproChapter.FindStringSubmatch(key); m != nil {
		return Sequence{Series: "gopro " + m[2], Number: atoi(m[1]), Chapter: true}
	}
	if m := goproFirst.FindStringSubmatch(key); m != nil {
		return Sequence{Series: "gopr " + m[1], Chapter: true}
	}
	if m := goproOld.FindStringSubmatch(key); m != nil {
		return Sequence{Series: "gopr " + m[2], Number: atoi(m[1]), Chapter: true}
	}
	if m := djiNumber.FindStringSubmatch(key); m != nil {
		if rest := lastNumber.FindStringSubmatch(m[3]); rest != nil { // a person cut DJI_0001 into DJI_0001_1, DJI_0001_2
			return Sequence{Series: m[1] + m[2] + rest[1] + "#" + rest[3], Number: atoi(rest[2])}
		}
		return Sequence{Series: m[1] + "#" + m[3], Number: atoi(m[2])}
	}
	stamp := nameTime.FindStringIndex(key)
	if m := lastNumber.FindStringSubmatch(key); m != nil && (stamp == nil || len(m[1]) >= stamp[1]) &&
		!endsInDigit(m[1]) {
		return Sequence{Series: m[1] + "#" + m[3], Number: atoi(m[2])}
	}
	if m := lastLetter.FindStringSubmatch(key); m != nil {
		return Sequence{Series: m[1] + "@", Number: int(m[2][0] - 'a')}
	}
	return Sequence{}
}

func endsInDigit(s string) bool { return s != "" && s[len(s)-1] >= '0' && s[len(s)-1] <= '9' }

func atoi(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// Part is what is known of a recording that may be a part of a flight. Zero values are unknown.
type Part struct {
	Path          string    // as of Recording
	Started       time.Time // by the name, the flight log or the container; an implausible time counts as unknown
	Duration      time.Duration
	Width, Height int // pixels
	FPS           float64
	Codec         string
}

// Bond says how names, times and formats bind two recordings to one flight.
type Bond int

// Bonds, the weakest first.
const (
	// NoBond stands for recordings that are not of one flight, whatever their pictures show: other cameras, other formats,
	// or a break that is too long.
	NoBond Bond = iota
	// BondOpen stands for recordings about which names and times say nothing.
	BondOpen
	// BondLikely stands for names that follow each other or times with a short break. The pictures must agree.
	BondLikely
	// BondSure stands for one recording that the camera cut: chapters, or following names without a break between them.
	BondSure
)

// Succession is what Succeeds has found out.
type Succession struct {
	Bond Bond
	// Gap is the time between the end of the first and the start of the second recording. GapKnown is false when the times
	// are unknown, or cannot be those of two recordings of one camera.
	Gap      time.Duration
	GapKnown bool
	// Step is by how much the number grows; 0 when the names are not of one series, or it does not grow.
	Step int
}

const (
	// cutGap is the longest time between two pieces of a recording that the camera cuts: it closes one file and opens the
	// next, and rounds both times to seconds.
	cutGap = 3 * time.Second
	// MostBreak is the longest break of a flight. Crews stop and start the recording; a change of the battery takes longer
	// and begins another flight.
	MostBreak = 10 * time.Minute
	// mostStep is the largest step of the numbers within a flight: parts in between may be lost.
	mostStep = 4
	// mostReversed is how far a clock that was set back may put the second recording before the first. It covers every
	// change of the time zone.
	mostReversed = 24 * time.Hour
)

// Succeeds reports how likely b is the recording that follows a in one flight. Both must come from one camera: of one
// device, or of one folder.
//
// Times from names decide over other times. Two times that are equal, or of which the second is earlier than the end of
// the first, tell no break: copies and conversions write such times. The time of a file may be that of its end;
// then the break is measured from end to end. Names whose times are in the other order do not follow each other, nor
// do recordings whose other times are in the other order by more than a day.
func Succeeds(a, b Part) Succession {
	na, nb := ReadName(a.Path), ReadName(b.Path)
	if na.Lens != nb.Lens || na.Proxy != nb.Proxy || na.Place != nb.Place || !sameFormat(a, b) {
		return Succession{}
	}
	s := Succession{}
	var forward, chapter bool
	s.Step, forward, chapter = step(a.Path, b.Path)
	apart, stamped := startsApart(a, b, na, nb)
	s.Gap, s.GapKnown = gapBetween(apart, a.Duration, b.Duration)
	switch {
	case !forward, s.GapKnown && s.Gap > MostBreak, stamped && apart < 0, apart < -mostReversed:
		return s
	case chapter && s.Step == 1 && apart >= -MostBreak, s.Step == 1 && s.GapKnown && s.Gap <= cutGap:
		s.Bond = BondSure
	case s.Step > 0, s.GapKnown:
		s.Bond = BondLikely
	default:
		s.Bond = BondOpen
	}
	return s
}

// Compare orders successions of one recording: the likeliest first, then by the numbers, then by the break.
func (s Succession) Compare(o Succession) int {
	far := func(s Succession) int {
		if s.Step == 0 {
			return mostStep + 1
		}
		return s.Step
	}
	gap := func(s Succession) time.Duration {
		if !s.GapKnown {
			return MostBreak
		}
		return s.Gap.Abs()
	}
	return cmp.Or(cmp.Compare(o.Bond, s.Bond), cmp.Compare(far(s), far(o)), cmp.Compare(gap(s), gap(o)))
}

// sameFormat reports whether one camera can have written both without a change of its settings.
func sameFormat(a, b Part) bool {
	differ := func(x, y float64) bool { return x > 0 && y > 0 && (x/y > 1.02 || y/x > 1.02) }
	return !differ(float64(a.Width), float64(b.Width)) && !differ(float64(a.Height), float64(b.Height)) &&
		!differ(a.FPS, b.FPS) && (a.Codec == "" || b.Codec == "" || a.Codec == b.Codec)
}

// step compares the numbers of two names. forward is false when the names say that b is not after a.
func step(a, b string) (n int, forward, chapter bool) {
	x, y := ReadSequence(a), ReadSequence(b)
	switch {
	case x.Series == "" && y.Series == "", x.Series != y.Series:
		return followsBare(a, y), true, false
	case y.Number > x.Number && y.Number-x.Number <= mostStep:
		return y.Number - x.Number, true, x.Chapter
	case y.Number == 1 && (x.Number == 999 || x.Number == 9999): // the numbers begin again
		return 1, true, false
	}
	return 0, false, false
}

// followsBare is 1 for the first number behind a name without one: herd.mp4 and herd_1.mp4 or herd (2).mp4.
func followsBare(a string, b Sequence) int {
	prefix, _, ok := strings.Cut(b.Series, "#")
	stem := strings.TrimSuffix(path.Base(lowerASCII(a)), path.Ext(lowerASCII(a)))
	if ok && (b.Number == 1 || b.Number == 2) && stem != "" && strings.TrimRight(prefix, " _.-(") == stem {
		return 1
	}
	return 0
}

// startsApart is the time from the start of a to that of b, 0 when it is not known. stamped reports that both are times
// of names.
func startsApart(a, b Part, na, nb Name) (apart time.Duration, stamped bool) {
	if x, y := stampOf(a.Path, na), stampOf(b.Path, nb); !x.IsZero() && !y.IsZero() {
		return y.Sub(x), true
	}
	if !plausible(a.Started) || !plausible(b.Started) {
		return 0, false
	}
	return b.Started.Sub(a.Started), false
}

// gapBetween is the time from the end of a recording of length a to the start of one of length b.
func gapBetween(apart, a, b time.Duration) (time.Duration, bool) {
	if apart <= 0 || a <= 0 {
		return 0, false
	}
	gap := apart - a
	if ends := apart - b; b > 0 && gap < -cutGap && ends >= -cutGap {
		gap = ends
	}
	if gap < -cutGap {
		return 0, false
	}
	return gap, true
}

// stampOf is the time in a name of any maker.
func stampOf(file string, n Name) time.Time {
	if !n.Stamp.IsZero() {
		return n.Stamp
	}
	t, ok := TimeInName(path.Base(file), time.UTC)
	if !ok || !plausible(t) {
		return time.Time{}
	}
	return t
}
