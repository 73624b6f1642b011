package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/report"
	"cattlecounter/cloud/flightlog"
	ground "cattlecounter/cloud/place"
	"cattlecounter/cloud/place/geotiff"
	"cattlecounter/cloud/place/mapfile"
	"cattlecounter/cloud/place/mapsheet"
	"cattlecounter/cloud/place/paddock"
	"cattlecounter/shared/footage"
)

// positionFlags say from what the positions of the animals are found, and where they are written.
type positionFlags struct {
	Log       string `type:"path" placeholder:"FILE" help:"Flight log of the clip. Default: the file beside the clip that has its name and the ending .SRT, else the log inside the clip."`
	Terrain   string `type:"path" placeholder:"FILE" help:"Heights of the ground: a GeoTIFF in degrees or UTM, or an HGT tile such as S34E018.hgt. Default: a plane through the take-off point."`
	Paddocks  string `type:"path" placeholder:"FILE" help:"Borders of paddocks, polygons in WGS 84 as GeoJSON, KML, KMZ, zipped shapefile or GeoPackage: count the animals of each paddock."`
	Positions string `type:"path" placeholder:"FILE" help:"Write positions into this file. Its ending says the form: .geojson, .kml, .kmz, .csv, .gpkg, or .gpx for the path of the camera."`
	Sheet     string `type:"path" placeholder:"FILE.tif" help:"Write the flown ground with every counted animal marked into this GeoTIFF, for QGIS and other programs with maps."`
}

// checkSheet fails for a name that programs would not take for a GeoTIFF.
func (f *positionFlags) checkSheet() error {
	ending := strings.ToLower(filepath.Ext(f.Sheet))
	return failWhen(f.Sheet != "" && ending != ".tif" && ending != ".tiff", "--sheet: its name must end in .tif")
}

// positions is what the flags name, read.
type positions struct {
	log      *flightlog.Log // for every clip; nil to look beside the clips
	terrain  ground.Terrain
	paddocks []paddock.Paddock
	format   mapfile.Format
}

// read reads the files of the flags. Every fault is reported at once.
func (f *positionFlags) read() (p positions, err error) {
	var faults []error
	fault := func(flag string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", flag, err))
		}
	}
	if f.Log != "" {
		p.log, err = readLog(f.Log)
		fault("--log", err)
	}
	if f.Terrain != "" {
		b, err := readStart(f.Terrain, geotiff.MaxFile+1)
		if err == nil {
			p.terrain, err = ground.ReadTerrain(filepath.Base(f.Terrain), b)
		}
		fault("--terrain", err)
	}
	if f.Paddocks != "" {
		b, err := readStart(f.Paddocks, paddock.MaxFile+1)
		if err == nil {
			p.paddocks, err = paddock.ReadAny(b)
		}
		fault("--paddocks", err)
	}
	if f.Positions != "" {
		p.format, err = mapfile.ParseFormat(strings.TrimPrefix(filepath.Ext(f.Positions), "."))
		fault("--positions", err)
	}
	return p, errors.Join(faults...)
}

// readLog reads a flight log.
func readLog(path string) (*flightlog.Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l, err := flightlog.Read(path, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", footage.SafePath(path), err)
	}
	return l, nil
}

// sidecarEndings are those of flight logs beside clips, the usual ones first. Autel's drones write .ass.
var sidecarEndings = []string{".SRT", ".srt", ".ASS", ".ass"}

// sidecar is the flight log beside a clip: its name with one of the endings in any letter case; "" without one.
func sidecar(clip string) string {
	base := strings.TrimSuffix(clip, filepath.Ext(clip))
	for _, ending := range sidecarEndings { // without listing the folder
		if info, err := os.Stat(base + ending); err == nil && info.Mode().IsRegular() {
			return base + ending
		}
	}
	entries, err := os.ReadDir(filepath.Dir(clip))
	if err != nil {
		return ""
	}
	for _, ending := range sidecarEndings {
		for _, e := range entries {
			if strings.EqualFold(e.Name(), filepath.Base(base)+ending) && e.Type().IsRegular() {
				return filepath.Join(filepath.Dir(clip), e.Name())
			}
		}
	}
	return ""
}

// locate places the animals of a counted clip by the log of the flags, else the one beside the clip, else the one inside
// of it. A log that cannot be read is a warning of the result, and the count stays.
func (r *countRun) locate(c *clip, out *count.Outcome) *ground.Ground {
	res, log := &out.Result, r.positions.log
	if log == nil {
		var err error
		if log, err = findLog(c.path); err != nil {
			then := "the count has no positions"
			if log != nil {
				then = "the log inside the clip is used"
			}
			text := fmt.Sprintf("%v; %s", err, then)
			res.Warnings = append(res.Warnings, report.Warning{Code: report.NoTelemetry, Text: text})
			fmt.Fprintln(r.stderr, footage.SafeText(text))
		}
	}
	laid := ground.Add(res, out.Trace, log, r.positions.terrain)
	if len(r.positions.paddocks) > 0 {
		paddock.Count(res, r.positions.paddocks)
	}
	return laid
}

// findLog reads the log of a clip: nil without one. With an error, the log is the one inside of the clip, if any.
func findLog(clip string) (*flightlog.Log, error) {
	var beside error
	if path := sidecar(clip); path != "" {
		log, err := readLog(path)
		if err == nil {
			return log, nil
		}
		beside = err
	}
	log, err := readInside(clip)
	if errors.Is(err, flightlog.ErrNoLog) {
		err = nil // most clips have none
	}
	return log, errors.Join(beside, err)
}

// writePositions writes the file of --positions: the animals of all counted clips. GPX and KML have one clip each.
func (r *countRun) writePositions() error {
	if r.positions.format == "" {
		return nil
	}
	var all []report.Result
	for _, o := range r.outcomes {
		if o.result != nil {
			all = append(all, *o.result)
		}
	}
	if len(all) == 0 {
		return nil
	}
	if len(all) > 1 {
		return fmt.Errorf("--positions: %d clips were counted; --out writes the positions of each", len(all))
	}
	return writeWhole(r.positionFlags.Positions, func(w io.Writer) error {
		return mapfile.Write(w, r.positions.format, all[0], started(all[0]), r.positions.paddocks...)
	})
}

// writeSheet writes the file of --sheet: the ground of the counted clip, or of all clips of one flight.
func (r *countRun) writeSheet() error {
	if r.positionFlags.Sheet == "" || len(r.flights) == 0 {
		return nil
	}
	if n := len(r.flights); n > 1 {
		return fmt.Errorf("--sheet: %d flights were counted; count one", n)
	}
	f := r.flights[0]
	var parts []mapsheet.Part
	var counts []ground.Counted
	for _, i := range f.clips {
		o := r.outcomes[i]
		parts = append(parts, mapsheet.Part{Ground: o.laid, Pictures: func() ([]byte, error) {
			if o.ground == "" {
				return nil, nil
			}
			return os.ReadFile(o.ground)
		}})
		counts = append(counts, ground.Counted{Result: *o.result, Ground: o.laid})
	}
	animals := mapsheet.AnimalsOf(counts[0].Result)
	if len(counts) > 1 {
		animals = mapsheet.AnimalsOfFlight(r.flightDocument(f), counts)
	}
	return writeWhole(r.positionFlags.Sheet, func(w io.Writer) error {
		return mapsheet.Write(w, f.name(r.plan), parts, animals)
	})
}

// started is the wall clock at the start of a clip, zero when it is not known.
func started(res report.Result) time.Time { return res.Reading.Recorded }

const positionsEnding = ".geojson"

// writeMap writes the map of a result that has positions, and otherwise removes that of a former result.
func writeMap(base string, res report.Result) error {
	file := base + positionsEnding
	if res.Place != nil && len(res.Place.Path) > 0 {
		return writeWhole(file, func(w io.Writer) error { return mapfile.Write(w, mapfile.GeoJSON, res, started(res)) })
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// printPlaces writes a line per clip with positions, and a table of the paddocks.
func (r *countRun) printPlaces(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	p := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	head, headPaddocks := "POSITIONS\tWITHIN (95 %)\tFOUND BY\tFOOTAGE\n", "PADDOCK\tANIMALS\tNEAR A BORDER\tSEEN\tFOOTAGE\n"
	for i, o := range r.outcomes {
		if o.result == nil || o.result.Place == nil {
			continue
		}
		a, name := o.result.Place, r.plan.clips[i].name()
		if len(a.Path) > 0 {
			fmt.Fprintf(t, "%s%d of %d\t%.1f m\t%s\t%s\n", head, a.Placed, len(o.result.Tracks), a.Radius, a.Way, name)
			head = ""
		}
		for _, k := range a.Paddocks {
			animals := "not seen"
			if k.Animals != nil {
				animals = fmt.Sprintf("%d (%d to %d)", *k.Animals, *k.Low, *k.High)
			}
			fmt.Fprintf(p, "%s%s\t%s\t%d inside, %d outside\t%.0f %%\t%s\n", headPaddocks, footage.SafeText(k.Name), animals,
				k.Border, k.Near, 100*k.Seen, name)
			headPaddocks = ""
		}
		if len(a.Paddocks) > 0 {
			fmt.Fprintf(p, "in none\t%d\t\t\t%s\n", a.Outside, name)
			if n := len(o.result.Tracks) - a.Placed; n > 0 {
				fmt.Fprintf(p, "place not known\t%d\t\t\t%s\n", n, name)
			}
		}
	}
	return errors.Join(t.Flush(), p.Flush())
}
