// Package place finds out where counted animals are on the earth, from the flight log of a drone and from what the
// count recorded: the way of the camera and the boxes of the animals. It never looks at pictures, so a log that
// arrives after the count adds positions without another count.
//
// # Axes and units
//
// The earth is flat within a flight: metres east, north and up of a Frame (WGS 84 radii at its origin). Up is
// measured from the take-off point. Yaw is clockwise from north, pitch is -90 degrees straight down. Pixels have x to
// the right and y down. The ground is a plane through the take-off point, or a Terrain that the user gives.
//
// # How
//
// A pixel becomes a ray through a camera without distortion, turned by the gimbal's angles, and is cut with the
// ground. The position of an animal is the median over its detections. What the log gives wrongly is a short list of
// unknowns with their usual errors: place, yaw, pitch, roll, focal length, height, clock and slope of the ground. The
// count shows how the ground moved through the picture, which the flown path must explain. This gives a least squares
// problem with prior knowledge, whose solution corrects the unknowns and whose covariance gives the 95 % radius of
// every position. So a drone that flies past gets a better heading and scale than its log has, and one that hovers
// keeps the errors of its log.
//
// A log with a record a second does not show how the camera turned in between. There its heading follows the turn of
// the pictures, and its place follows their way over the ground; see compass and follow.
//
// Without gimbal angles the camera is taken to look straight down. Its heading is then that of a similarity between the
// tracker's ground and the path (Umeyama, "Least-squares estimation of transformation parameters between two point
// patterns", 1991). Pictures from above are never mirrored, so a straight path suffices and a hover does not.
//
// The errors that are assumed come from published data of drones without RTK; see priors.
//
// The package is pure Go, does no I/O and is deterministic.
package place

import (
	"math"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/flightlog"
)

// Way says how positions were found, the best one first.
type Way string

// The ways.
const (
	Camera   Way = "camera"   // place, height and gimbal angles of the log
	Height   Way = "height"   // place and height of the log; the camera is taken to look straight down
	Path     Way = "path"     // the flown path only: heading and scale from the way of the picture
	Point    Way = "point"    // the place of the camera is known, the directions are not: no animal has a position
	Relative Way = "relative" // metres within the flight, by the length of the animals
	Unplaced Way = "none"
)

// Source says where a heading or a scale comes from.
type Source string

// The sources.
const (
	FromGimbal   Source = "gimbal"
	FromAircraft Source = "aircraft"
	FromPath     Source = "path"
	FromHeight   Source = "height"
	FromAnimals  Source = "animals"
)

// Animal is a counted animal with its detections in order of time.
type Animal struct {
	ID    int
	Fixes []track.Fix // with boxes in pixels of their frames
}

// Input is what a count and a log know of one recording.
type Input struct {
	Width, Height int // pixels of a frame
	// Steps are the way of the camera in order of frame. They may be missing; then nothing is corrected by the path, and a
	// heading is needed in the log.
	Steps   []crossing.Step
	Animals []Animal
	Log     *flightlog.Log // nil without one; its offsets count from the first frame
	Terrain Terrain        // nil for a plane
}

// Position is the place of an animal on the earth.
type Position struct {
	ID       int
	Lat, Lon float64 // WGS 84, degrees
	Radius   float64 // metres; the animal is within it in 95 of 100 cases
	// Seconds is the time of the position, in the middle of the detections.
	Seconds float64
}

// Offset is the place of an animal within its flight, in metres from the middle of the first picture of its segment:
// X to the right and Y up in that picture.
type Offset struct {
	ID, Segment  int
	X, Y, Radius float64
}

// Moment is a place of the camera.
type Moment struct {
	Seconds, Lat, Lon float64
	Height            float64 // metres above the take-off point, NaN when unknown
}

// Result is where the animals are.
type Result struct {
	Way     Way
	Heading Source // "" without one
	Scale   Source // "" without one
	// Why says for a person why the way is not a better one, and "" for the best one.
	Why       string
	Positions []Position // by ID; empty for the ways Point, Relative and Unplaced
	Offsets   []Offset   // by ID; only for the way Relative
	Missing   []int      // IDs of animals without a position
	Path      []Moment   // of the camera, one a second at most
	// Footprint is the ground that the camera saw: polygons of rings of longitude and latitude, the outer ring first and
	// counterclockwise. Area is its size in square metres.
	Footprint [][][][2]float64
	Area      float64
	// Causes has the 95 % radius in metres that each cause alone gives to a typical animal.
	Causes map[string]float64
}

// Find places the animals. It takes milliseconds for a clip, and is safe for concurrent use.
func Find(in Input) Result {
	r, _ := find(in)
	return r
}

// find also returns the viewer, nil where the log has no position during the recording.
func find(in Input) (Result, *viewer) {
	if in.Log == nil || in.Log.Fixes() == 0 {
		r := relative(in)
		r.Why = "there is no flight log with positions"
		if in.Log != nil {
			r.Why = "the flight log has no position"
		}
		return r, nil
	}
	v := newViewer(in)
	if v.path == nil {
		r := relative(in)
		r.Why = "the flight log has no position during the recording"
		return r, nil
	}
	return v.result(in), v
}

// ok reports whether all numbers are known.
func known(vs ...float64) bool {
	for _, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
