package synthetic

import (
	"slices"

	"cattlecounter/cloud/count/video"
)

// TruthVersion is the version of the truth's JSON form.
const TruthVersion = 1

// inView is the share of an animal's box in the frame above which the animal counts as seen.
const inView = 0.5

// Truth is the perfect count of a clip.
type Truth struct {
	Version int     `json:"version"`
	Seed    uint64  `json:"seed"`
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	FPS     float64 `json:"fps"`
	Frames  int     `json:"frames"`
	// UniqueAnimals is the number of animals that are at least half in view in at least one frame.
	UniqueAnimals int           `json:"unique_animals"`
	Animals       []AnimalTruth `json:"animals"` // of the whole world
	PerFrame      []FrameTruth  `json:"per_frame"`
}

// AnimalTruth describes one animal of the world.
type AnimalTruth struct {
	ID   int     `json:"id"`
	Size float64 `json:"size"` // 1 is grown
	Coat string  `json:"coat"`
	Seen bool    `json:"seen"` // counted in UniqueAnimals
}

// FrameTruth is the truth about one frame.
type FrameTruth struct {
	Frame   int        `json:"frame"`
	Animals []Sighting `json:"animals"`
}

// Sighting is an animal in a frame.
type Sighting struct {
	ID int `json:"id"`
	// Box is x1, y1, x2, y2 in pixels, without the shadow, cut at the frame.
	Box [4]float64 `json:"box"`
	// Visible is the share of the box inside the frame. It ignores other animals in front.
	Visible float64 `json:"visible"`
}

var coatNames = [coatKinds]string{"black", "brown", "cream", "pied", "red pied", "grey"}

func newTruth(c Config, herd []*animal) Truth {
	t := Truth{Version: TruthVersion, Seed: c.Seed, Width: c.Width, Height: c.Height, FPS: c.FPS}
	for _, a := range herd {
		t.Animals = append(t.Animals, AnimalTruth{ID: a.id, Size: round(a.size, 100), Coat: coatNames[a.coat]})
	}
	return t
}

func (t *Truth) add(frame int, seen []Sighting) {
	t.Frames++
	t.PerFrame = append(t.PerFrame, FrameTruth{Frame: frame, Animals: seen})
	for _, s := range seen {
		i := slices.IndexFunc(t.Animals, func(a AnimalTruth) bool { return a.ID == s.ID })
		if s.Visible >= inView && !t.Animals[i].Seen {
			t.Animals[i].Seen = true
			t.UniqueAnimals++
		}
	}
}

// sighting cuts a box at the frame. It returns false for a box outside.
func sighting(id int, b bounds, f *video.Frame) (Sighting, bool) {
	x0, y0 := max(b.x0, 0), max(b.y0, 0)
	x1, y1 := min(b.x1, float64(f.Width)), min(b.y1, float64(f.Height))
	if x1-x0 < 1 || y1-y0 < 1 {
		return Sighting{}, false
	}
	part := (x1 - x0) * (y1 - y0) / ((b.x1 - b.x0) * (b.y1 - b.y0))
	return Sighting{ID: id, Box: [4]float64{round(x0, 10), round(y0, 10), round(x1, 10), round(y1, 10)}, Visible: round(part, 1000)}, true
}

func round(v, parts float64) float64 { return float64(int64(v*parts+0.5)) / parts }
