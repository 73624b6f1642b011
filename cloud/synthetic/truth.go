package synthetic

import (
	"maps"
	"math"
	"slices"

	"cattlecounter/cloud/count/video"
)

// TruthVersion is the version of the truth's JSON form.
const TruthVersion = 1

// inView is the share of an animal's box in the frame from which the animal counts as seen.
const inView = 0.5

// Truth is the perfect count of a clip.
type Truth struct {
	Version int     `json:"version"`
	Seed    uint64  `json:"seed"`
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	FPS     float64 `json:"fps"`
	Frames  int     `json:"frames"`
	// UniqueAnimals is the number of animals of which at least half the box is inside of at least one frame.
	UniqueAnimals int           `json:"unique_animals"`
	Animals       []AnimalTruth `json:"animals"` // of the whole world
	PerFrame      []FrameTruth  `json:"per_frame"`
	Lines         []LineTruth   `json:"lines"`

	index    map[int]int // of Animals, by ID
	crossers []crosser   // for each line
}

// AnimalTruth describes one animal of the world.
type AnimalTruth struct {
	ID    int     `json:"id"`
	Size  float64 `json:"size"` // 1 is grown
	Coat  string  `json:"coat"`
	Class string  `json:"class"` // adult or young
	Seen  bool    `json:"seen"`  // counted in UniqueAnimals
	// Latitude and Longitude are set where the clip has a flight log and shows most of the animal: WGS 84, degrees.
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`
}

// FrameTruth is the truth about one frame.
type FrameTruth struct {
	Frame   int         `json:"frame"`
	Animals []Sighting  `json:"animals"`
	Camera  CameraTruth `json:"camera"`
}

// CameraTruth is the pose of the camera.
type CameraTruth struct {
	X       float64 `json:"x"`       // metres, the ground in the middle of the picture
	Y       float64 `json:"y"`       // metres, down in a picture with heading 0
	Heading float64 `json:"heading"` // degrees, direction of the picture's right side, from +x towards +y
	Scale   float64 `json:"scale"`   // pixels per metre on the ground
	Tilt    float64 `json:"tilt"`    // degrees from straight down
	// ToGround maps pixels to metres on the ground: x = t[0]*px + t[1]*py + t[2], y = t[3]*px + t[4]*py + t[5].
	ToGround [6]float64 `json:"to_ground"`
}

// Sighting is an animal in a frame.
type Sighting struct {
	ID int `json:"id"`
	// Box is x1, y1, x2, y2 in pixels, without the shadow, cut at the frame.
	Box [4]float64 `json:"box"`
	// Visible is the share of the box inside the frame. It ignores other animals in front.
	Visible float64 `json:"visible"`
	// At is the place of the animal on the ground in metres, as that of the camera.
	At [2]float64 `json:"at"`
}

func newTruth(c Config, herd []*animal) Truth {
	t := Truth{Version: TruthVersion, Seed: c.Seed, Width: c.Width, Height: c.Height, FPS: c.FPS, index: map[int]int{}}
	for i, a := range herd {
		class := "adult"
		if a.beasts[standing].Young() {
			class = "young"
		}
		t.index[a.id] = i
		t.Animals = append(t.Animals, AnimalTruth{ID: a.id, Size: round(a.size, 100), Coat: a.coat.String(), Class: class})
	}
	return t
}

// clone is a copy that shares nothing that later frames change.
func (t *Truth) clone() Truth {
	c := *t
	c.Animals, c.PerFrame, c.Lines = slices.Clone(t.Animals), slices.Clip(t.PerFrame), slices.Clone(t.Lines)
	c.index, c.crossers = maps.Clone(t.index), nil
	return c
}

func (t *Truth) add(frame int, now float64, cam *camera, herd []*animal, seen []Sighting) {
	t.Frames++
	for i := range seen {
		if a := herd[t.index[seen[i].ID]]; a.id == seen[i].ID {
			seen[i].At = [2]float64{round(a.at.x, 1000), round(a.at.y, 1000)}
		}
	}
	t.PerFrame = append(t.PerFrame, FrameTruth{Frame: frame, Animals: seen, Camera: cam.truth()})
	for _, s := range seen {
		i := t.index[s.ID]
		if s.Visible >= inView && !t.Animals[i].Seen {
			t.Animals[i].Seen = true
			t.UniqueAnimals++
		}
	}
	t.cross(now, cam, herd, seen)
}

func (c *camera) truth() CameraTruth {
	t := CameraTruth{X: round(c.at.x, 1e4), Y: round(c.at.y, 1e4), Heading: round(c.heading*180/math.Pi, 1e4),
		Scale: round(c.scale, 1e4), Tilt: round(c.tilt*180/math.Pi, 1e4), ToGround: c.toGround()}
	for i, v := range t.ToGround {
		t.ToGround[i] = round(v, 1e8)
	}
	return t
}

// sighting cuts a box at the frame. It returns false for a box outside.
func sighting(id int, b bounds, f *video.Frame) (Sighting, bool) {
	x0, y0 := max(b.x0, 0), max(b.y0, 0)
	x1, y1 := min(b.x1, float64(f.Width)), min(b.y1, float64(f.Height))
	if x1-x0 < 1 || y1-y0 < 1 {
		return Sighting{}, false
	}
	part := (x1 - x0) * (y1 - y0) / ((b.x1 - b.x0) * (b.y1 - b.y0))
	box := [4]float64{round(x0, 10), round(y0, 10), round(x1, 10), round(y1, 10)}
	return Sighting{ID: id, Box: box, Visible: round(part, 1000)}, true
}

func round(v, parts float64) float64 { return math.Round(v*parts) / parts }
