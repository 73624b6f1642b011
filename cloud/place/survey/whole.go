package survey

import (
	"math"

	"cattlecounter/cloud/place/paddock"
)

// whole is what is counted as one: a part, or a flight whose parts are all there.
type whole struct {
	unique, low, high int
	placed, unplaced  int // animals of its parts
	parts             []int
}

// wholesOf returns the wholes of the parts in their order.
func wholesOf(parts []Part) []whole {
	there := map[*Flight]int{}
	for _, p := range parts {
		there[p.Flight]++
	}
	var out []whole
	at := map[*Flight]int{}
	for i, p := range parts {
		w := whole{unique: p.Unique, low: p.Low, high: p.High}
		k, known := at[p.Flight]
		if f := p.Flight; f != nil && there[f] == f.Parts {
			w = whole{unique: f.Unique, low: f.Low, high: f.High}
		} else {
			known = false
		}
		if !known {
			k = len(out)
			at[p.Flight] = k
			out = append(out, w)
		}
		o := &out[k]
		o.placed, o.unplaced = o.placed+len(p.Animals), o.unplaced+max(0, p.Unique-len(p.Animals))
		o.parts = append(o.parts, i)
	}
	return out
}

// joinedWithin returns how many animals of each whole were found to be others of it.
func joinedWithin(wholes []whole, all []animal) []int {
	of := map[int]int{} // whole of a part
	for i, w := range wholes {
		for _, p := range w.parts {
			of[p] = i
		}
	}
	type member struct{ whole, group int }
	seen, joined := map[member]bool{}, make([]int, len(wholes))
	for _, a := range all {
		m := member{of[a.part], a.group}
		if seen[m] {
			joined[m.whole]++
		}
		seen[m] = true
	}
	return joined
}

// view is the ground that a part saw, with the corners of the box around it.
type view struct {
	footprint [][][][2]float64
	low, high [2]float64
}

func viewsOf(parts []Part) []view {
	views := make([]view, len(parts))
	for i, p := range parts {
		v := view{p.Footprint, [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}}
		for _, rings := range p.Footprint {
			for _, r := range rings {
				for _, q := range r {
					for k := range q {
						v.low[k], v.high[k] = min(v.low[k], q[k]), max(v.high[k], q[k])
					}
				}
			}
		}
		views[i] = v
	}
	return views
}

// has reports whether the ground of an animal was seen.
func (v *view) has(a Animal) bool {
	return a.Lon >= v.low[0] && a.Lon <= v.high[0] && a.Lat >= v.low[1] && a.Lat <= v.high[1] &&
		paddock.Contains(v.footprint, [2]float64{a.Lon, a.Lat})
}
