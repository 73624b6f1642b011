package boundary

// LineTotal is what a count found at one line.
type LineTotal struct {
	Name string `json:"name"`
	In   int    `json:"in"`  // crossings from the left to the right
	Out  int    `json:"out"` // crossings from the right to the left
	Net  int    `json:"net"` // In - Out
	// The true numbers are within these bounds in about 95 % of clips. They follow from the crossings that are weak (seen for
	// a moment, at the end of the line, or in a long pause between two sightings) and from the number of crossings.
	InLow   int `json:"in_low"`
	InHigh  int `json:"in_high"`
	OutLow  int `json:"out_low"`
	OutHigh int `json:"out_high"`
	// NotJudged is the number of counted animals whose place relative to the line is not known: the motion of the camera was
	// lost between them and the line, the line's time lies beyond the footage, or a part of the flight does not tell.
	NotJudged int `json:"not_judged"`
}

// ZoneTotal is what a count found in one zone.
type ZoneTotal struct {
	Name    string `json:"name"`
	Most    int    `json:"most"`   // the largest number of animals in the zone at one time
	End     int    `json:"end"`    // animals in the zone at the end of the clip
	Passed  int    `json:"passed"` // different animals that were in the zone for the least stay
	Entered int    `json:"entered"`
	Left    int    `json:"left"`
	// Low and High are the bounds of Passed, from the animals that are weak or only at the edge of the zone.
	Low       int `json:"passed_low"`
	High      int `json:"passed_high"`
	NotJudged int `json:"not_judged"` // as in LineTotal
}

// Totals are those of all lines and zones of one count. The zero value has none.
type Totals struct {
	Lines []LineTotal `json:"lines,omitempty"`
	Zones []ZoneTotal `json:"zones,omitempty"`
}
