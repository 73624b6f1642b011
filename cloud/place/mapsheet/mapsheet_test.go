package mapsheet_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cattlecounter/cloud/count/crossing"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/evidence"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/count/tally"
	"cattlecounter/cloud/count/track"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/flightlog"
	"cattlecounter/cloud/place"
	"cattlecounter/cloud/place/mapsheet"
	"cattlecounter/deploy/testkit/gdal"
	"cattlecounter/deploy/testkit/must"
)

const (
	width, height = 400, 224
	above         = 30.0 // metres
	middle        = 0.7  // metres: how high the middle of an animal is
	focal35       = 24.0
	focal         = focal35 / 34.6 * width // pixels
	side          = 3.0                    // metres of an animal
)

// pass is a flight over red squares on gray ground, with an exact log.
type pass struct {
	lat, lon  float64 // take-off
	course    float64 // degrees
	tilt      float64 // degrees from straight down
	frame     place.Frame
	animals   [][2]float64 // metres east and north
	recorder  *evidence.Recorder
	trace     flight.Trace
	log       flightlog.Log
	positions []mapsheet.Animal
}

// ray is how a pixel leaves the camera: east, north and up.
func (p *pass) ray(x, y float64) (e, n, u float64) {
	s, c := math.Sincos(p.course * math.Pi / 180)
	st, ct := math.Sincos(p.tilt * math.Pi / 180)
	right, up := (x-width/2)/focal, (height/2-y)/focal
	along, down := st+up*ct, ct-up*st
	return along*s + right*c, along*c - right*s, -down
}

// at is where the camera is in frame i.
func (p *pass) at(i int) (e, n float64) {
	s, c := math.Sincos(p.course * math.Pi / 180)
	return 3 * float64(i) * s, 3 * float64(i) * c
}

// ground is the place that a pixel of frame i shows.
func (p *pass) ground(i int, x, y float64) (e, n float64) {
	ce, cn := p.at(i)
	re, rn, ru := p.ray(x, y)
	t := (above - middle) / -ru
	return ce + t*re, cn + t*rn
}

func fly(t *testing.T, p *pass, frames int) {
	t.Helper()
	p.frame = place.NewFrame(p.lat, p.lon)
	p.recorder = evidence.New(evidence.Options{Sheets: true}, 2)
	p.trace = flight.Trace{Width: width, Height: height, FPS: 2, Frames: frames, Seconds: float64(frames) / 2}
	p.log = flightlog.Log{Dialect: "exact", OfVideo: true, Home: flightlog.Place{Lat: p.lat, Lon: p.lon}, End: time.Duration(frames) * time.Second / 2}
	for i := range frames {
		e, n := p.at(i)
		s := flightlog.NewSample(time.Duration(i) * time.Second / 2)
		s.Lat, s.Lon = p.frame.Degrees(e, n)
		s.RelAlt, s.Focal35 = above, focal35
		s.Camera = flightlog.Attitude{Yaw: p.course, Pitch: p.tilt - 90}
		p.log.Samples = append(p.log.Samples, s)
		f := &video.Frame{}
		f.Resize(width, height)
		f.Index = i
		for y := range height {
			for x := range width {
				e, n := p.ground(i, float64(x)+0.5, float64(y)+0.5)
				pix := f.Pix[3*(y*width+x):]
				pix[0], pix[1], pix[2] = 90, 90, 90
				for _, a := range p.animals {
					if math.Abs(e-a[0]) < side/2 && math.Abs(n-a[1]) < side/2 {
						pix[0], pix[1], pix[2] = 0, 0, 250
					}
				}
			}
		}
		pose := motion.Pose{ToGround: p.pose(i), Inliers: 100}
		p.recorder.Observe(&evidence.Step{Frame: f, Seconds: float64(i) / 2, Pose: pose, Looked: []motion.Rect{{X2: width, Y2: height}}})
		p.trace.Steps = append(p.trace.Steps, crossing.Step{Frame: i, Seconds: float64(i) / 2, Width: width, Height: height, Pose: pose})
	}
}

// pose is the exact ground of a frame, ten pixels a metre.
func (p *pass) pose(i int) motion.Transform {
	q := func(x, y float64) motion.Point {
		e, n := p.ground(i, x, y)
		return motion.Point{X: 10 * e, Y: -10 * n}
	}
	if p.tilt == 0 {
		o, x := q(0, 0), q(1, 0)
		return motion.Transform{A: x.X - o.X, B: x.Y - o.Y, TX: o.X, TY: o.Y}
	}
	// A plane seen at an angle: one part per row is enough for a homography without a roll.
	st, ct := math.Sincos(p.tilt * math.Pi / 180)
	w0 := ct - st*(height/2)/focal
	o := q(0, 0)
	py := st / focal / w0
	x, y := q(1, 0), q(0, 1)
	a11, a21 := x.X-o.X, x.Y-o.Y
	a12, a22 := y.X*(1+py)-o.X, y.Y*(1+py)-o.Y
	return motion.Transform{A: (a11 + a22) / 2, C: (a11 - a22) / 2, B: (a21 - a12) / 2, D: (a21 + a12) / 2, TX: o.X, TY: o.Y, PY: py}
}

// part finishes the count.
func (p *pass) part(t *testing.T) (mapsheet.Part, report.Result) {
	t.Helper()
	e, err := p.recorder.Finish("a.mp4", tally.Result{})
	must.Do(t, err)
	res := report.Result{Schema: report.Schema, Video: report.Video{Width: width, Height: height, Duration: p.trace.Seconds}}
	for id, a := range p.animals {
		k := track.Saved{ID: id + 1, W: 40, H: 40}
		for i := range p.trace.Steps {
			if x, y, ok := p.see(i, a); ok {
				k.Way = append(k.Way, track.Fix{Frame: i, Seconds: float64(i) / 2, Box: detect.Box{X1: x - 20, Y1: y - 20, X2: x + 20, Y2: y + 20}})
			}
		}
		p.trace.Tracks = append(p.trace.Tracks, k)
		res.Tracks = append(res.Tracks, report.Track{ID: id + 1, Label: "cow"})
	}
	g := place.Add(&res, &p.trace, &p.log, nil)
	p.positions = mapsheet.AnimalsOf(res)
	return mapsheet.Part{Pictures: func() ([]byte, error) { return e.Ground, nil }, Ground: g}, res
}

// see is the pixel of a place.
func (p *pass) see(i int, a [2]float64) (x, y float32, ok bool) {
	inverse := p.pose(i).Inverse()
	q := inverse.Apply(motion.Point{X: 10 * a[0], Y: -10 * a[1]})
	return float32(q.X), float32(q.Y), q.X > 25 && q.Y > 25 && q.X < width-25 && q.Y < height-25
}

// sheet is a file as GDAL reads it: its pixels, and its place.
type sheet struct {
	img image.Image
	geo [6]float64
	doc string
}

func written(t *testing.T, b []byte) sheet {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.sheet.tif")
	must.Do(t, os.WriteFile(file, b, 0o600))
	var info struct {
		Size         [2]int
		GeoTransform [6]float64
	}
	out := gdal.Run(t, "gdalinfo", "-json", file)
	must.Do(t, json.Unmarshal([]byte(out), &info))
	picture := strings.TrimSuffix(file, ".tif") + ".png"
	gdal.Run(t, "gdal_translate", "-q", "-of", "PNG", "-b", "1", "-b", "2", "-b", "3", "-b", "mask", file, picture)
	f := must.Get(os.Open(picture))(t)
	img, err := png.Decode(f)
	if err := errors.Join(err, f.Close()); err != nil || img.Bounds().Dx() != info.Size[0] || img.Bounds().Dy() != info.Size[1] {
		t.Fatalf("picture %v, want %v: %v", img.Bounds(), info.Size, err)
	}
	return sheet{img, info.GeoTransform, gdal.Run(t, "gdalinfo", file)}
}

// pixel is where a place is, 0.5 in the middle of the first pixel.
func (s sheet) pixel(lat, lon float64) (x, y float64) {
	lon = s.geo[0] + math.Remainder(lon-s.geo[0], 360)
	return (lon - s.geo[0]) / s.geo[1], (lat - s.geo[3]) / s.geo[5]
}

// red is the middle of the red pixels around one.
func (s sheet) red(x, y, within float64) (mx, my float64) {
	n := 0.0
	for py := int(y - within); py <= int(y+within); py++ {
		for px := int(x - within); px <= int(x+within); px++ {
			if r, g, _, a := s.img.At(px, py).RGBA(); a > 0 && r > 0xa000 && g < 0x6000 {
				mx, my, n = mx+float64(px)+0.5, my+float64(py)+0.5, n+1
			}
		}
	}
	return mx / n, my / n
}

// TestSheetLiesWhereTheGroundIs has GDAL read sheets of flights to all directions, in both hemispheres and over the line of
// 180 degrees. The squares on the ground must be at their own coordinates.
func TestSheetLiesWhereTheGroundIs(t *testing.T) {
	for name, p := range map[string]*pass{
		"north":           {lat: 48.1, lon: 11.5},
		"turned, south":   {lat: -31.7, lon: 24.3, course: 47},
		"west, date line": {lat: 5, lon: -179.99995, course: 270},
		"leaning":         {lat: -31.7, lon: -58, course: 200, tilt: 35},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := math.Sincos(p.course * math.Pi / 180)
			for _, a := range [][2]float64{{8, -5}, {20, 6}, {30, 1}} { // along and across
				across, along := a[1], a[0]+above*math.Tan(p.tilt*math.Pi/180)
				p.animals = append(p.animals, [2]float64{along*s + across*c, along*c - across*s})
			}
			fly(t, p, 12)
			part, res := p.part(t)
			var b, again bytes.Buffer
			must.Do(t, mapsheet.Write(&b, "a <b>.mp4", []mapsheet.Part{part}, nil))
			must.Do(t, mapsheet.Write(&again, "a <b>.mp4", []mapsheet.Part{part}, nil))
			if !bytes.Equal(b.Bytes(), again.Bytes()) {
				t.Error("the same sheet has other bytes: an entity tag would change")
			}
			at := written(t, b.Bytes())
			for i, a := range p.animals {
				lat, lon := p.frame.Degrees(a[0], a[1])
				x, y := at.pixel(lat, lon)
				step := 111195 * -at.geo[5] // metres
				mx, my := at.red(x, y, 1.5*side/step)
				if d := math.Hypot(mx-x, my-y); !(d < 1) {
					t.Errorf("animal %d is %.2f pixels of %.2f m beside its place", i+1, d, step)
				}
				k := res.Tracks[i].Position
				if k == nil {
					t.Fatalf("animal %d has no position: %+v", i+1, res.Place)
				}
				kx, ky := at.pixel(k.Latitude, k.Longitude)
				if d := step * math.Hypot(mx-kx, my-ky); d > k.Radius {
					t.Errorf("animal %d lies %.1f m beside its position, whose radius is %.1f m", i+1, d, k.Radius)
				}
			}
			for _, want := range []string{"RADIUS_95_M=", "TITLE=a <b>.mp4", `ID["EPSG",4326]`, "AREA_OR_POINT=Area", "COMPRESSION=YCbCr JPEG"} {
				if !strings.Contains(at.doc, want) {
					t.Errorf("no %s in %s", want, at.doc)
				}
			}
			if _, _, _, a := at.img.At(0, 0).RGBA(); p.course == 47 && a != 0 {
				t.Error("ground that was not seen is not transparent")
			}
		})
	}
}

// The middle pixels of the animals are found by coordinates, and each counted animal has its mark there.
func TestMarks(t *testing.T) {
	p := &pass{lat: -31.7, lon: 24.3, course: 120, animals: [][2]float64{{8, -4}, {20, -13}}}
	fly(t, p, 10)
	part, _ := p.part(t)
	var b bytes.Buffer
	must.Do(t, mapsheet.Write(&b, "a.mp4", []mapsheet.Part{part}, p.positions))
	at := written(t, b.Bytes())
	file := filepath.Join(t.TempDir(), "b.tif")
	must.Do(t, os.WriteFile(file, b.Bytes(), 0o600))
	for _, a := range p.positions {
		out := strings.Fields(gdal.Run(t, "gdallocationinfo", "-valonly", "-wgs84", file, fmt.Sprint(a.Lon), fmt.Sprint(a.Lat)))
		if len(out) < 3 || must.Get(strconv.Atoi(out[0]))(t) < 180 || must.Get(strconv.Atoi(out[1]))(t) > 90 {
			t.Errorf("animal %s: %v is not red", a.Name, out)
		}
		x, y := at.pixel(a.Lat, a.Lon)
		amber := 0
		for d := 7; d <= 11; d++ {
			if r, g, b, _ := at.img.At(int(x)-d, int(y)).RGBA(); r > 0xb000 && g > 0x8000 && b < 0x7000 {
				amber++
			}
		}
		if amber == 0 {
			t.Errorf("animal %s has no ring", a.Name)
		}
	}
}

// Two parts with origins of their own lie on one sheet.
func TestPartsOfAFlight(t *testing.T) {
	first := &pass{lat: -31.7, lon: 24.3, animals: [][2]float64{{4, 10}}}
	second := &pass{lat: -31.6995, lon: 24.3005, course: 180, animals: [][2]float64{{-4, -10}}}
	var parts []mapsheet.Part
	for _, p := range []*pass{first, second} {
		fly(t, p, 8)
		part, _ := p.part(t)
		parts = append(parts, part)
	}
	var b bytes.Buffer
	lost := mapsheet.Part{Pictures: func() ([]byte, error) { return nil, nil }, Ground: parts[0].Ground}
	must.Do(t, mapsheet.Write(&b, "two", append(parts, lost), nil))
	at := written(t, b.Bytes())
	for i, p := range []*pass{first, second} {
		x, y := at.pixel(p.frame.Degrees(p.animals[0][0], p.animals[0][1]))
		mx, my := at.red(x, y, 40)
		if d := math.Hypot(mx-x, my-y); !(d < 1) {
			t.Errorf("animal of part %d is %.2f pixels beside its place", i+1, d)
		}
	}
	if !strings.Contains(at.doc, "PARTS_WITHOUT_PICTURES=1") {
		t.Error(at.doc)
	}
}

// Without a log, or without pictures, there is no sheet, and the error says why.
func TestNoSheet(t *testing.T) {
	p := &pass{lat: -31.7, lon: 24.3}
	fly(t, p, 4)
	part, res := p.part(t)
	none := part
	none.Ground = place.Add(&res, &p.trace, nil, nil)
	if err := mapsheet.Write(&bytes.Buffer{}, "a", []mapsheet.Part{none}, nil); !errors.Is(err, mapsheet.ErrNone) ||
		!strings.Contains(err.Error(), "there is no flight log with positions") {
		t.Errorf("without a log: %v", err)
	}
	part.Pictures = func() ([]byte, error) { return nil, nil }
	if err := mapsheet.Write(&bytes.Buffer{}, "a", []mapsheet.Part{part}, nil); !errors.Is(err, mapsheet.ErrNone) {
		t.Errorf("without pictures: %v", err)
	}
	away := errors.New("storage is away")
	part.Pictures = func() ([]byte, error) { return nil, away }
	if err := mapsheet.Write(&bytes.Buffer{}, "a", []mapsheet.Part{part}, nil); !errors.Is(err, away) {
		t.Errorf("storage is away: %v", err)
	}
}
