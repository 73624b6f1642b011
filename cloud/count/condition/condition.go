// Package condition recognizes footage that detectors of cattle were not made for: thermal, dark, white, foggy and
// blurred pictures. A count of such footage is not reliable, and a count of 0 least of all. It is pure Go and does no
// I/O.
package condition

import "cattlecounter/cloud/count/video"

// Code names a condition. The strings are stable, for programs.
type Code string

// Conditions of a picture.
const (
	Underexposed Code = "underexposed" // almost black
	Night        Code = "night"        // dark
	Overexposed  Code = "overexposed"  // almost white
	Snow         Code = "snow"         // white ground
	Fog          Code = "fog"          // almost no contrast
	Thermal      Code = "thermal"      // heat instead of light, in the colors of a palette
	Gray         Code = "gray"         // no color: thermal in gray, or a black-and-white camera
	Blurred      Code = "blurred"      // out of focus, or moved too fast
)

// codes are in the order in which they are reported.
var codes = []Code{Thermal, Gray, Underexposed, Night, Overexposed, Snow, Fog, Blurred}

// Limits of the measures. They were chosen with photographs from drones of pastures, paddocks, sand and building sites,
// and with pictures that were changed into each condition. TestRealPicturesAreFine and TestConditions hold them.
const (
	blackHigh = 22  // an underexposed picture has 95 % of its points below this brightness
	nightHigh = 95  // a dark one has 95 % below this,
	nightHalf = 38  // and half below this
	whitePart = 0.4 // an overexposed one has this share of points that are nearly white
	snowHalf  = 196 // snow has half of its points above this brightness,
	snowColor = 26  // with weaker colors than this
	fogRange  = 28  // fog has 90 % of its points within this range of brightness,
	fogColor  = 40  // with weaker colors than this
	grayColor = 5   // a picture without color has at most this difference of the channels

	paletteShare  = 0.88 // in a palette brightness or hue explain this share of the other,
	ironSpread    = 22   // with colors that differ by this much, of
	ironHues      = 3    // this many hues,
	tintSpread    = 12   // or with colors that differ by this much, of
	tintHues      = 2    // this many hues,
	tintStraight  = 0.8  // of which a straight line explains less than this,
	strongest     = 150  // and are as strong as this;
	rainbowSpread = 40   // a palette of many hues has colors that differ by this much,
	rainbowStrong = 0.5  // and strong colors in this share of the points,
	rainbowHues   = 4    // of this many hues or of few that are as strong as this;
	gaudyShare    = 0.7  // this share is enough when
	gaudyStrong   = 0.9  // this share of the points has strong colors,
	gaudyHues     = 5    // of this many hues

	blurContrast = 2.5  // a blurred picture has at least this contrast between distant places,
	blurDetail   = 0.22 // and less than this share of it between neighbors, in one direction at least
)

// classify returns the conditions of one frame: at most one of its light, and whether it is blurred.
func classify(m measures) []Code {
	var found []Code
	switch light := classifyLight(m); light {
	case Underexposed, Overexposed:
		return []Code{light}
	case "":
	default:
		found = append(found, light)
	}
	if isBlurred(m.sharpness) {
		found = append(found, Blurred)
	}
	return found
}

func classifyLight(m measures) Code {
	switch {
	case m.high < blackHigh:
		return Underexposed
	case m.white >= whitePart:
		return Overexposed
	case isPalette(m):
		return Thermal
	case m.high < nightHigh && m.middle < nightHalf:
		return Night
	case m.middle > snowHalf && m.color < snowColor:
		return Snow
	case m.high-m.low < fogRange && m.color < fogColor:
		return Fog
	case m.color <= grayColor && m.heatSensor:
		return Thermal
	case m.color <= grayColor:
		return Gray
	}
	return ""
}

// isPalette recognizes the colors of a thermal camera: those of hot iron follow the brightness, those of a rainbow
// determine it.
func isPalette(m measures) bool {
	p := m.palette
	vivid := m.color > strongest
	manyHues := p.spread > ironSpread && p.hues >= ironHues
	fewHues := p.spread > tintSpread && p.hues >= tintHues && p.straight < tintStraight && vivid // red soil has one
	iron := p.byBrightness > paletteShare && (manyHues || fewHues)
	rainbow := p.byHue > paletteShare && p.strong > rainbowStrong && (p.hues >= rainbowHues || vivid)
	gaudy := p.byHue > gaudyShare && p.strong > gaudyStrong && p.hues >= gaudyHues
	return iron || p.spread > rainbowSpread && (rainbow || gaudy)
}

// isBlurred recognizes a picture without fine differences in one direction: of a blur by motion, or in all of them.
func isBlurred(s sharpness) bool { return s.contrast() > blurContrast && s.detail() < blurDetail }

// Classify returns the conditions of one frame. It fails for a frame that is not valid.
func Classify(f *video.Frame) ([]Code, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	return classify(measure(f)), nil
}
