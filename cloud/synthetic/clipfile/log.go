package clipfile

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/synthetic"
)

// Dialect is a form of flight log: the sidecar of a family of drones.
type Dialect string

// The forms.
const (
	Brackets Dialect = "brackets" // per frame, with the angles of the camera, as an Air 3S or a Mavic 3 Enterprise
	Plain    Dialect = "plain"    // per frame, place and height only, as a Mini 4 Pro
	List     Dialect = "list"     // once a second, with the angles of the camera, as a Phantom 4 RTK
)

// Dialects lists all forms.
func Dialects() []Dialect { return []Dialect{Brackets, Plain, List} }

// Log says which flight log to write beside a clip.
type Log struct {
	Dialect  Dialect // "" for none
	Lat, Lon float64 // degrees of the origin of the ground; +x is east and +y is south
	// Noise scales the usual errors of a log: place 1.6 m, heading 4 degrees, height 1.5 m. 0 is an exact log.
	Noise float64
}

// LogPath is the path of the flight log of a clip: NAME.SRT beside NAME.mp4.
func LogPath(clip string) string { return strings.TrimSuffix(clip, filepath.Ext(clip)) + ".SRT" }

// metres per degree of latitude and longitude at a latitude (WGS 84, series of the meridian arc).
func perDegree(lat float64) (north, east float64) {
	r := lat * math.Pi / 180
	return 111132.92 - 559.82*math.Cos(2*r) + 1.175*math.Cos(4*r), 111412.84*math.Cos(r) - 93.5*math.Cos(3*r)
}

func (l Log) degrees(x, y float64) (lat, lon float64) {
	north, east := perDegree(l.Lat)
	return l.Lat - y/north, math.Remainder(l.Lon+x/east, 360)
}

// validate checks the log against the clip.
func (l Log) validate(c synthetic.Config) error {
	switch {
	case l.Dialect == "":
		return nil
	case !slices.Contains(Dialects(), l.Dialect):
		return fmt.Errorf("flight log %q is none of %v: %w", l.Dialect, Dialects(), synthetic.ErrConfig)
	case c.Tilt != 0:
		return fmt.Errorf("a tilted camera has no perspective, so no flight log fits it; tilt 0 has one: %w", synthetic.ErrConfig)
	case !(math.Abs(l.Lat) <= 85 && math.Abs(l.Lon) <= 180 && l.Noise >= 0 && l.Noise <= 10):
		return fmt.Errorf("flight log at %g, %g with noise %g: %w", l.Lat, l.Lon, l.Noise, synthetic.ErrConfig)
	}
	return nil
}

// sensorWidth is the width in millimetres of a video picture at the scale of a focal length for 35 mm film.
const sensorWidth = 34.6

// write writes the log of a clip beside it.
func (l Log) write(path string, c synthetic.Config, t synthetic.Truth) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("flight log: %w", err)
	}
	err = l.text(f, c, t)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("flight log: %w", err)
	}
	return nil
}

func (l Log) text(w io.Writer, c synthetic.Config, t synthetic.Truth) error {
	r := rand.New(rand.NewPCG(c.Seed, 0x109))
	g := func(sigma float64) float64 { return l.Noise * sigma * r.NormFloat64() }
	ex, ey, turn, up := g(1.6), g(1.6), g(4), g(1.5)
	focal := 24.0
	if c.Opening > 0 {
		focal = sensorWidth / 2 / math.Tan(c.Opening*math.Pi/360)
	}
	began := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	every := 1
	if l.Dialect == List {
		every = max(1, int(math.Round(c.FPS)))
	}
	for i := 0; i < len(t.PerFrame); i += every {
		cam := t.PerFrame[i].Camera
		lat, lon := l.degrees(cam.X+ex+g(0.05), cam.Y+ey+g(0.05))
		height := focal/sensorWidth*float64(c.Width)/cam.Scale + up
		heading := math.Remainder(cam.Heading+turn, 360)
		from := time.Duration(float64(i) / c.FPS * float64(time.Second))
		to := time.Duration(float64(i+every) / c.FPS * float64(time.Second))
		head := fmt.Sprintf("%d\r\n%s --> %s\r\n", i/every+1, cueTime(from), cueTime(to))
		body := ""
		switch l.Dialect {
		case List:
			homeLat, homeLon := l.degrees(0, 0)
			body = fmt.Sprintf("F/2.8, SS 500, ISO 100, EV 0, GPS (%.6f, %.6f, 16), HOME (%.6f, %.6f, 1200.00m), D 0.00m, H %.2fm, "+
				"H.S 0.00m/s, V.S 0.00m/s, F.PRY (0.0°, 0.0°, %.1f°), G.PRY (-90.0°, 0.0°, %.1f°)", lon, lat, homeLon, homeLat,
				height, heading, heading)
		default:
			angles := fmt.Sprintf(" [gb_yaw: %.1f gb_pitch: -90.0 gb_roll: 0.0]", heading)
			if l.Dialect == Plain {
				angles = ""
			}
			body = fmt.Sprintf("<font size=\"28\">FrameCnt: %d, DiffTime: %dms\r\n%s\r\n[iso: 100] [shutter: 1/1000.0] [fnum: 1.8] "+
				"[ev: 0] [focal_len: %.2f] [latitude: %.6f] [longitude: %.6f] [rel_alt: %.3f abs_alt: %.3f]%s </font>", i+1,
				(to - from).Milliseconds(), began.Add(from).Format("2006-01-02 15:04:05.000"), focal, lat, lon, height,
				1200+height, angles)
		}
		if _, err := io.WriteString(w, head+body+"\r\n\r\n"); err != nil {
			return err
		}
	}
	return nil
}

func cueTime(d time.Duration) string {
	ms := d.Milliseconds()
	return fmt.Sprintf("%02d:%02d:%02d,%03d", ms/3600000, ms/60000%60, ms/1000%60, ms%1000)
}

// place sets the true place of every animal that was seen: the median over the frames that show most of it.
func (l Log) place(t *synthetic.Truth) {
	xs, ys := map[int][]float64{}, map[int][]float64{}
	const most = 0.8
	for _, f := range t.PerFrame {
		for _, s := range f.Animals {
			if s.Visible >= most {
				xs[s.ID], ys[s.ID] = append(xs[s.ID], s.At[0]), append(ys[s.ID], s.At[1])
			}
		}
	}
	for i := range t.Animals {
		id := t.Animals[i].ID
		if x, y := xs[id], ys[id]; len(x) > 0 {
			slices.Sort(x)
			slices.Sort(y)
			lat, lon := l.degrees(x[len(x)/2], y[len(y)/2])
			t.Animals[i].Latitude, t.Animals[i].Longitude = &lat, &lon
		}
	}
}
