package condition

import (
	"fmt"
	"math"
	"strings"

	"cattlecounter/cloud/count/video"
)

// Range is a part of a clip, in seconds from its start.
type Range struct{ From, To float64 }

// Finding is a condition of a clip.
type Finding struct {
	Code   Code
	Ranges []Range // in order, apart from each other
	// Share is the part of the looked-at frames, above 0 and at most 1.
	Share float64
}

// Clip collects the conditions of the frames of one clip. The zero value is ready. It is for one goroutine.
type Clip struct {
	frames int
	last   float64 // seconds of the last frame
	step   float64 // longest usual time between two frames
	states map[Code]*state
}

type state struct {
	frames int
	open   bool // the last frame has the condition
	ranges []Range
}

// Add looks at the next frame, which is at the given second of the clip. A frame that is not valid is ignored.
func (c *Clip) Add(f *video.Frame, second float64) {
	found, err := Classify(f)
	if err != nil {
		return
	}
	if c.states == nil {
		c.states = map[Code]*state{}
	}
	if c.frames > 0 && second > c.last {
		c.step = second - c.last
	}
	c.frames++
	c.last = max(c.last, second)
	for _, s := range c.states {
		if s.open {
			s.ranges[len(s.ranges)-1].To = second
			s.open = false
		}
	}
	for _, code := range found {
		c.extend(code, second)
	}
}

// joinGap is the longest time in seconds between two ranges that count as one.
const joinGap = 1.0

func (c *Clip) extend(code Code, second float64) {
	s := c.states[code]
	if s == nil {
		s = &state{}
		c.states[code] = s
	}
	s.frames++
	s.open = true
	if n := len(s.ranges); n > 0 && second-s.ranges[n-1].To <= joinGap {
		s.ranges[n-1].To = second
		return
	}
	s.ranges = append(s.ranges, Range{second, second})
}

// Limits of what is reported: a flash of light or one blurred frame is not.
const (
	leastSeconds = 1.0
	leastShare   = 0.25
)

// Findings returns the conditions that last for a second, or for a quarter of the clip.
func (c *Clip) Findings() []Finding {
	var all []Finding
	for _, code := range codes {
		s := c.states[code]
		if s == nil {
			continue
		}
		f := Finding{Code: code, Share: float64(s.frames) / float64(c.frames)}
		for i, r := range s.ranges {
			if s.open && i == len(s.ranges)-1 {
				r.To = c.last + c.step
			}
			if r.To-r.From >= leastSeconds || f.Share >= leastShare {
				f.Ranges = append(f.Ranges, r)
			}
		}
		if len(f.Ranges) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// looks describes each condition.
var looks = map[Code]string{
	Underexposed: "the picture is almost black",
	Night:        "the picture is dark, as at night",
	Overexposed:  "the picture is almost white",
	Snow:         "the ground is white, as with snow",
	Fog:          "the picture has almost no contrast, as in fog or behind a dirty lens",
	Thermal:      "the picture shows heat instead of light, as of a thermal camera",
	Gray:         "the picture has no color, as of a thermal or a black-and-white camera",
	Blurred:      "the picture is blurred",
}

// wholeShare is the part of the frames that counts as the whole clip.
const wholeShare = 0.95

// Text is a warning for a person, with the seconds of the clip.
func (f Finding) Text() string {
	const advice = "the model was not made for such footage, do not trust the count"
	if f.Share >= wholeShare {
		return fmt.Sprintf("in the whole clip %s; %s", looks[f.Code], advice)
	}
	return fmt.Sprintf("%s: %s; %s there", f.when(), looks[f.Code], advice)
}

const mostRanges = 4 // in a text

// when names the ranges in whole seconds.
func (f Finding) when() string {
	var parts []string
	for i, r := range f.Ranges {
		if i == mostRanges {
			break
		}
		from, to := math.Floor(r.From), math.Ceil(r.To)
		if to <= from {
			to = from + 1
		}
		parts = append(parts, fmt.Sprintf("%.0f to %.0f", from, to))
	}
	text := "seconds " + strings.Join(parts, ", ")
	if more := len(f.Ranges) - mostRanges; more > 0 {
		text += fmt.Sprintf(" and %d more times", more)
	}
	return text
}
