package paddock

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cattlecounter/cloud/place/projection"
)

// Older coordinate systems in degrees lie up to some hundred metres beside WGS 84: Cape and Arc 1950 in Africa, SAD69 in Brazil,
// AGD66 in Australia, NAD27 in America. Fences read from them would stand in the neighbor's land, so they are refused. Those
// that follow lie within some two metres of it.

// sameDatums are parts of the names of such systems and their datums in WKT, in capitals without other characters.
var sameDatums = []string{"WGS1984", "WGS84", "CRS84", "NAD83", "NORTHAMERICAN1983", "NORTHAMERICANDATUM1983", "ETRS", "ITRF",
	"EUROPEANTERRESTRIALREFERENCESYSTEM", "GDA94", "GDA1994", "GDA2020", "GEOCENTRICDATUMOFAUSTRALIA", "NZGD2000",
	"NEWZEALANDGEODETICDATUM2000", "SIRGAS", "POSGAR", "MAGNA", "HARTEBEESTHOEK", "RGF93", "RESEAUGEODESIQUEFRANCAIS1993",
	"JGD2000", "JGD2011", "CGCS2000", "CHINAGEODETICCOORDINATESYSTEM2000", "CHINA2000"}

// sameCodes are such systems by their EPSG codes.
var sameCodes = []string{"4326", "4979", "4269", "4152", "4759", "6318", "4617", "4258", "4283", "7844", "4167", "4674", "4190",
	"5340", "4694", "4686", "4148", "4171", "4612", "6668", "4490"}

func foreign(system string) error {
	return fmt.Errorf("%w: its coordinate system is %.60q; export it in WGS 84 (EPSG:4326)", ErrFile, system)
}

// checkWKT fails for a description of a coordinate system (.prj) whose system and datum, the first two names in it, are both
// other ones. An empty description is taken for WGS 84.
func checkWKT(wkt string) error {
	names := strings.Split(wkt, `"`)
	if len(names) < 2 {
		return nil
	}
	for _, i := range []int{1, 3} {
		if i < len(names) && sameDatum(names[i]) {
			return nil
		}
	}
	return foreign(names[1])
}

// utmOf returns the projection of a description of a UTM zone in metres (WKT 1, as .prj files have it). Its parameters say
// which it is, because programs name systems in many ways; false for other projections.
func utmOf(wkt string) (projection.Projection, bool) {
	plain := strings.ToUpper(wkt)
	if !strings.Contains(plain, `PROJECTION["TRANSVERSE_MERCATOR"`) || strings.Contains(plain, "FOOT") {
		return projection.Projection{}, false
	}
	values := map[string]float64{}
	for _, part := range strings.Split(plain, `PARAMETER["`)[1:] {
		name, rest, _ := strings.Cut(part, `"`)
		number, _, _ := strings.Cut(strings.TrimLeft(rest, ", \t\r\n"), "]")
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil {
			return projection.Projection{}, false
		}
		values[name] = v
	}
	north, zone := values["FALSE_NORTHING"], (values["CENTRAL_MERIDIAN"]+183)/6
	if values["SCALE_FACTOR"] != 0.9996 || values["FALSE_EASTING"] != 500e3 || north != 0 && north != 10e6 ||
		values["LATITUDE_OF_ORIGIN"] != 0 || zone != math.Trunc(zone) {
		return projection.Projection{}, false
	}
	return projection.UTM(int(zone), north != 0)
}

func sameDatum(name string) bool {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, name)
	return slices.ContainsFunc(sameDatums, func(d string) bool { return strings.Contains(plain, d) })
}

// checkCRS fails for the member crs of a GeoJSON file (2008) that names another system. Without a name it is taken for WGS 84.
func checkCRS(b json.RawMessage) error {
	var crs struct {
		Properties struct {
			Name string `json:"name"`
		} `json:"properties"`
	}
	if len(b) == 0 || json.Unmarshal(b, &crs) != nil || crs.Properties.Name == "" {
		return nil
	}
	name := crs.Properties.Name
	code := name[strings.LastIndexByte(name, ':')+1:]
	if slices.Contains(sameCodes, code) || sameDatum(name) {
		return nil
	}
	return foreign(name)
}
