package tally

import (
	"math"
	"slices"

	"cattlecounter/cloud/count/track"
)

// Circumstances are what the count of a clip knows beside its tracks. The zero value is a clip in which all went well.
type Circumstances struct {
	Width, Height int     // pixels of the frames, 0 when unknown
	Guessed       float64 // share of the frames whose camera pose is a guess, 0..1
	Poor          float64 // share of the frames in poor light, fog or blur, 0..1
	Hasty         float64 // share of the ground that was in view too briefly for enough looks, 0..1
}

// Features are what a count knows about how well its clip can be counted. All but Animals and Doubt are about 0 for a
// clip in which every animal is seen well.
type Features struct {
	Animals int `json:"animals"` // counted
	// Doubt is the variance of the number of animals by the evidence of each track.
	Doubt float64 `json:"doubt"`
	// Small is the natural logarithm of 60 pixels by the median size of the animals, at least 0.
	Small float64 `json:"small"`
	// Large is the natural logarithm of the median size of the animals by 150 pixels, at least 0.
	Large float64 `json:"large"`
	// Spread is the natural logarithm of the ratio between large and small animals of the clip (90th and 10th
	// percentile): an oblique view has far ones.
	Spread float64 `json:"spread"`
	// Crowded is the share of the animals whose nearest neighbour is closer than one size, between middles.
	Crowded float64 `json:"crowded"`
	// Brief is the share of the animals with at most two looks.
	Brief float64 `json:"brief"`
	// Edge is the share of the animals that the edge of the frame cut in every look, and of those that are not counted
	// because their middle was outside.
	Edge float64 `json:"edge"`
	// Missed is the share of the looks at counted animals without a detection.
	Missed float64 `json:"missed"`
	// Unsure is the share of the tracks that are neither clearly animals nor clearly none.
	Unsure float64 `json:"unsure"`
	// Merged is the number of tracks that were found to be parts or pieces of others, as a share of the animals.
	Merged float64 `json:"merged"`
	// Walking is the share of the animals that moved by more than half their size.
	Walking float64 `json:"walking"`
	// Lost is the share of the animals outside of the largest piece of the flight.
	Lost    float64 `json:"lost"`
	Guessed float64 `json:"guessed"` // see Circumstances
	Poor    float64 `json:"poor"`    // see Circumstances
	Hasty   float64 `json:"hasty"`   // see Circumstances
	// Faint is the natural logarithm of the ratio between the odds of the usual score of a herd and those of the median
	// score of the tracks, at least 0: where the animals that are found are hardly found, others are not found.
	Faint float64 `json:"faint"`
}

// Sizes in pixels of the frame between which the detector sees animals well.
const (
	smallSize = 60
	largeSize = 150
)

// features describes a count.
func (r *Result) features(c Circumstances) Features {
	f := Features{Animals: r.Unique, Doubt: r.doubt, Guessed: c.Guessed, Poor: c.Poor, Hasty: c.Hasty,
		Faint: max(0, r.faint)}
	if r.Unique == 0 {
		return f
	}
	n := float64(r.Unique)
	var sizes []float64
	hits, looks := 0, 0
	for _, t := range r.Counted {
		sizes = append(sizes, math.Sqrt(max(float64(t.Best.Area()), 1)))
		hits, looks = hits+t.Hits, looks+max(t.Visible, t.Hits)
		f.Brief += share(t.Visible <= 2, n)
		f.Edge += share(alwaysCut(t, c), n)
		f.Unsure += share(likely(t, r.outlook) < sure, n)
		f.Walking += share(walked(t), n)
	}
	for _, u := range r.Uncounted {
		switch u.Reason {
		case PartOf, SameAs:
			f.Merged += 1 / n
		case Size, OtherAnimal: // nothing is unsure about a shed or a sheep
		case Outside:
			f.Edge += 1 / n
		default:
			f.Unsure += share(likely(u.Track, r.outlook) > 1-sure, n)
		}
	}
	slices.Sort(sizes)
	median := sizes[len(sizes)/2]
	f.Small, f.Large = max(0, math.Log(smallSize/median)), max(0, math.Log(median/largeSize))
	f.Spread = math.Log(sizes[len(sizes)*9/10] / sizes[len(sizes)/10])
	f.Missed = 1 - float64(hits)/float64(max(looks, 1))
	f.Crowded = crowded(r.Counted)
	if len(r.Segments) > 1 {
		f.Lost = 1 - float64(slices.Max(r.Segments))/n
	}
	return f
}

// sure is the probability of a track that is clearly an animal.
const sure = 0.9

func share(holds bool, of float64) float64 {
	if holds {
		return 1 / of
	}
	return 0
}

// alwaysCut reports whether the edge of the frame cut the box of a track in every detection.
func alwaysCut(t *track.Track, c Circumstances) bool {
	const edge = 4 // pixels
	if c.Width == 0 || c.Height == 0 || len(t.Way) == 0 {
		return false
	}
	for _, w := range t.Way {
		b := w.Box
		if b.X1 > edge && b.Y1 > edge && b.X2 < float32(c.Width)-edge && b.Y2 < float32(c.Height)-edge {
			return false
		}
	}
	return true
}

// walked reports whether the animal of a track moved by more than half its size.
func walked(t *track.Track) bool {
	if len(t.Way) == 0 {
		return false
	}
	a, b := t.Way[0], t.Way[len(t.Way)-1]
	return math.Hypot(b.X-a.X, b.Y-a.Y) > t.Size()/2
}

// crowded is the share of the tracks whose nearest neighbour is closer than one size.
func crowded(tracks []*track.Track) float64 {
	g := newGrid(tracks)
	for _, t := range tracks {
		g.add(t)
	}
	n := 0.0
	for _, t := range tracks {
		if g.near(t, t.Size()) {
			n++
		}
	}
	return n / float64(max(len(tracks), 1))
}

// near reports whether another track is closer than a distance, which is at most the side of the grid.
func (g *grid) near(t *track.Track, distance float64) bool {
	at := g.cell(t)
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			for _, k := range g.cells[cell{at.segment, at.x + dx, at.y + dy}] {
				if k != t && math.Hypot(k.X-t.X, k.Y-t.Y) < distance {
					return true
				}
			}
		}
	}
	return false
}
