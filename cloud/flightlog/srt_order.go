package flightlog

import (
	"math"
	"time"
)

// shape is what the text of a record looks like, as bits.
type shape uint8

const (
	formNamed shape = 1 << iota // latitude and longitude by name
	formLine                    // one line that starts with the aperture, as of the Phantom 4
	formHome                    // a list HOME before the list GPS, as of the first drones
	formAutel                   // letters before the numbers of lists, as of Autel
)

// pair is the first numbers of a list that has a position. Its zero value is of no list.
type pair struct {
	a, b, third float64
	letters     [2]byte
	n           int
	height      bool // the third number has a unit or decimals
}

func newPair(v []parsed) pair {
	p := pair{a: v[0].v, b: v[1].v, letters: [2]byte{v[0].letter, v[1].letter}, n: min(len(v), 3), third: math.NaN()}
	if len(v) > 2 {
		p.third, p.height = v[2].v, v[2].height
	}
	return p
}

// known reports whether the list has a position, in any order of its numbers.
func (p pair) known() bool {
	return p.n > 1 && !isZero(p.a, p.b) && (isPlace(p.a, p.b) || isPlace(p.b, p.a))
}

// place is the position for an order.
func (p pair) place(latFirst bool) (lat, lon float64) {
	switch {
	case p.letters[0] == 'N' || p.letters[0] == 'S' || p.letters[1] == 'E' || p.letters[1] == 'W':
		latFirst = true
	case p.letters[0] != 0 || p.letters[1] != 0:
		latFirst = false
	}
	if latFirst {
		return p.a, p.b
	}
	return p.b, p.a
}

// listed is what has to wait for the end of a log, of one kept sample.
type listed struct {
	position pair
	zoned    int
}

// order is what the records of a log say of the order of the two numbers of a position. One log has one order.
type order struct {
	votes  int // above 0 for latitude first
	height bool
	form   shape
	home   pair
	near   Place         // a position by name, to tell the order of home
	east   time.Duration // of UTC, of the first time with a zone
	zones  bool          // there is one
}

const certain = 1000

// note takes what a record says.
func (o *order) note(r *record) {
	s, v := &r.sample, r.position
	o.form |= r.form
	if o.near == (Place{}) && s.HasPosition() {
		o.near = Place{Lat: s.Lat, Lon: s.Lon}
	}
	if r.zoned > 0 && !o.zones {
		o.east, o.zones = r.east, true
	}
	if r.home.known() && o.home.n == 0 {
		o.home = r.home
		o.votes += byRange(r.home)
	}
	if !v.known() {
		return
	}
	if v.letters != [2]byte{} {
		o.form |= formAutel
	}
	if v.n > 2 && (v.height || v.third < 0 || v.third > 60) {
		o.height = true
	}
	o.votes += byRange(v) + o.byName(s, v) + o.byDistance(r)
	switch { // what the dialects do
	case r.form&(formLine|formHome) != 0:
		o.votes -= 2
	case v.height || v.third < 0 || v.third > 60: // a height
		o.votes++
	}
}

// byRange knows a longitude by its range.
func byRange(v pair) int {
	switch {
	case math.Abs(v.a) > 90:
		return -certain
	case math.Abs(v.b) > 90:
		return certain
	}
	return 0
}

// byName compares a list with the position that the same record has by name.
func (o *order) byName(s *Sample, v pair) int {
	const near = 0.01
	if !s.HasPosition() {
		return 0
	}
	first := math.Abs(v.a-s.Lat) < near && math.Abs(v.b-s.Lon) < near
	second := math.Abs(v.b-s.Lat) < near && math.Abs(v.a-s.Lon) < near
	switch {
	case first && !second:
		return certain
	case second && !first:
		return -certain
	}
	return 0
}

// byDistance compares the distance from the take-off point with the one that the record gives: a degree of longitude is
// shorter than one of latitude.
func (o *order) byDistance(r *record) int {
	const least, off = 20, 0.03 // metres, part
	if r.distance < least || !r.home.known() || r.home.letters != r.position.letters {
		return 0
	}
	fits := func(latFirst bool) bool {
		lat, lon := r.position.place(latFirst)
		homeLat, homeLon := r.home.place(latFirst)
		d := metresBetween(lat, lon, homeLat, homeLon)
		return math.Abs(d-r.distance) < off*r.distance+2
	}
	switch first, second := fits(true), fits(false); {
	case first && !second:
		return 5
	case second && !first:
		return -5
	}
	return 0
}

// metresBetween is the distance of two places that are not far from each other.
func metresBetween(lat1, lon1, lat2, lon2 float64) float64 {
	const degree = 111195 // metres
	return degree * math.Hypot(lat1-lat2, math.Remainder(lon1-lon2, 360)*math.Cos(lat1*math.Pi/180))
}

// give gives the lists of the kept samples their meaning. Named fields have priority.
func (o *order) give(l *Log, lists []listed) {
	latFirst := o.votes > 0
	plain := 0
	for i := range l.Samples {
		s, v := &l.Samples[i], lists[i].position
		lat, lon := v.place(latFirst)
		if !s.HasPosition() {
			s.Lat, s.Lon = math.NaN(), math.NaN()
			if v.known() && isPlace(lat, lon) {
				s.Lat, s.Lon = lat, lon
			}
		}
		switch {
		case v.n < 3:
		case o.height && math.IsNaN(s.AbsAlt):
			s.AbsAlt = v.third
		case !o.height && s.Satellites == 0:
			satellites(s, v.third)
		}
		if lists[i].zoned < 0 {
			plain++
		}
	}
	o.giveHome(l, latFirst)
	switch { // one log has one clock, even where only some of its records have the zone
	case !o.zones && plain > 0:
		l.Zone = Local
	case o.zones:
		l.Zone = UTC
		for i := range l.Samples {
			if lists[i].zoned == -1 {
				l.Samples[i].Time = l.Samples[i].Time.Add(-o.east)
			}
		}
	}
}

// giveHome gives the take-off point its meaning. Where all positions have names, the order is the one that is nearer.
func (o *order) giveHome(l *Log, latFirst bool) {
	if o.home.n == 0 {
		return
	}
	if o.votes == 0 && o.near != (Place{}) {
		aLat, aLon := o.home.place(true)
		bLat, bLon := o.home.place(false)
		latFirst = metresBetween(aLat, aLon, o.near.Lat, o.near.Lon) < metresBetween(bLat, bLon, o.near.Lat, o.near.Lon)
	}
	lat, lon := o.home.place(latFirst)
	if !isPlace(lat, lon) {
		return
	}
	l.Home.Lat, l.Home.Lon = lat, lon
	if o.home.n > 2 {
		l.Home.Alt = o.home.third
	}
}

// dialect names the form of the records.
func (o *order) dialect() string {
	switch {
	case o.form&formAutel != 0:
		return "autel-srt"
	case o.form&formNamed != 0:
		return "dji-srt-brackets"
	case o.form&formLine != 0:
		return "dji-srt-list"
	}
	return "dji-srt-lines"
}
