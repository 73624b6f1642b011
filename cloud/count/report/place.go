package report

// Position is the place of an animal on the earth.
type Position struct {
	Latitude  float64 `json:"latitude"` // WGS 84, degrees
	Longitude float64 `json:"longitude"`
	Radius    float64 `json:"radius_m"` // metres; the animal is within it in 95 of 100 cases
	Seconds   float64 `json:"seconds"`  // from the start of the clip, in the middle of its detections
}

// Offset is the place of an animal within its flight, in metres from the middle of the first picture of its segment.
type Offset struct {
	Right  float64 `json:"right_m"` // in that picture
	Up     float64 `json:"up_m"`
	Radius float64 `json:"radius_m"` // as that of Position
}

// Place says how the positions of a result were found, and where the camera was.
type Place struct {
	// Way is camera (place, height and angles of the flight log), height (as camera, but the camera is taken to look
	// straight down), path (heading and scale from the flown path), point (only the place of the camera is known),
	// relative (metres within the flight, scale from the length of the animals) or none.
	Way string `json:"way"`
	// Heading is where the heading comes from: gimbal, aircraft or path. Scale is height, path or animals.
	Heading string `json:"heading,omitempty"`
	Scale   string `json:"scale,omitempty"`
	Why     string `json:"why,omitempty"` // why the way is not a better one
	Log     string `json:"log,omitempty"` // the form of the flight log
	Terrain bool   `json:"terrain,omitempty"`
	Placed  int    `json:"placed"` // animals with a position
	// Radius is the median of the radii in metres, 0 without positions. Causes has what each cause alone would give.
	Radius float64            `json:"radius_m,omitempty"`
	Causes map[string]float64 `json:"causes_m,omitempty"`
	Path   []Moment           `json:"path,omitempty"` // of the camera, one a second at most
	// Footprint is the ground that the camera saw, as the coordinates of a GeoJSON MultiPolygon. Area is its size.
	Footprint [][][][2]float64 `json:"footprint,omitempty"`
	Area      float64          `json:"footprint_m2,omitempty"`
	Paddocks  []Paddock        `json:"paddocks,omitempty"` // in the order of their file
	// Outside is the number of animals with a position that are in no paddock.
	Outside int `json:"outside_paddocks,omitempty"`
}

// Moment is a place of the camera.
type Moment struct {
	Seconds   float64  `json:"seconds"`
	Latitude  float64  `json:"latitude"`
	Longitude float64  `json:"longitude"`
	Height    *float64 `json:"height_m,omitempty"` // above the take-off point; nil when unknown
}

// Paddock is what was counted within borders that the user gave.
type Paddock struct {
	Name string `json:"name"`
	// Animals with their 95 % interval are nil where the camera saw nothing of it, and in a result without positions.
	Animals *int `json:"animals"`
	Low     *int `json:"low"`
	High    *int `json:"high"`
	// Border is how many of them may be outside: the border is within their radius. Near is how many animals outside may
	// be inside for the same reason.
	Border int     `json:"border"`
	Near   int     `json:"near"`
	Area   float64 `json:"area_m2"`
	Seen   float64 `json:"seen"` // share of the area that the camera saw, 0 to 1
	Tracks []int   `json:"tracks"`
}
