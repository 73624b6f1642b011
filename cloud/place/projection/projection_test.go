package projection

import (
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/gdal"
)

// places are in both hemispheres, at the middle and at the edges of zones, and over the line of 180 degrees.
var places = []struct {
	code     int
	lon, lat float64
}{
	{32632, 11.5, 48.1}, {32734, 24.3, -31.7}, {32734, 18.001, -33.9}, {32760, -179.9, -18}, {32601, 179.9, 51.5},
	{32633, 15, 0.0001}, {31982, -53.2, -23.4}, {25832, 6.1, 54}, {26914, -99.2, 38.5}, {28356, 151.1, -33.8}, {7850, 117, -32},
	{3857, -58.3, -34.6}, {3857, 24.3, 71}, {4326, 24.3, -31.7}, {32661 - 1, 177.5, 83.5}, {32721, -60, -79},
}

func TestThereAndBack(t *testing.T) {
	for _, p := range places {
		at, ok := ByCode(p.code)
		if !ok {
			t.Fatalf("%d is not known", p.code)
		}
		lon, lat := at.Degrees(at.Metres(p.lon, p.lat))
		if off := math.Hypot(math.Remainder(lon-p.lon, 360), lat-p.lat); !(off < 1e-8) {
			t.Errorf("%d %g %g: back at %.9f %.9f", p.code, p.lon, p.lat, lon, lat)
		}
	}
	for _, code := range []int{0, 4314, 27700, 2193, 2154, 32600, 32661, 32700, 32761, 31964, 31986, -1} {
		if _, ok := ByCode(code); ok {
			t.Errorf("%d is known", code)
		}
	}
}

// TestIndependentProgram compares with PROJ, through GDAL.
func TestIndependentProgram(t *testing.T) {
	gdal.Need(t, "gdaltransform")
	for _, p := range places {
		// The system in degrees on the same datum, so that shifts between datums do not count.
		from := map[int]int{31982: 4674, 25832: 4258, 26914: 4269, 28356: 4283, 7850: 7844}[p.code]
		if from == 0 {
			from = 4326
		}
		c := exec.CommandContext(t.Context(), "gdaltransform", "-s_srs", fmt.Sprintf("EPSG:%d", from), "-t_srs",
			fmt.Sprintf("EPSG:%d", p.code), "-output_xy")
		c.Stdin = strings.NewReader(fmt.Sprintf("%.9f %.9f\n", p.lon, p.lat))
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%d: %v", p.code, err)
		}
		var x, y float64
		if _, err := fmt.Sscan(string(out), &x, &y); err != nil {
			t.Fatalf("%d: %q", p.code, out)
		}
		at, _ := ByCode(p.code)
		gx, gy := at.Metres(p.lon, p.lat)
		if !(math.Hypot(gx-x, gy-y) < 0.002) {
			t.Errorf("%d %g %g: %.4f %.4f, PROJ has %.4f %.4f", p.code, p.lon, p.lat, gx, gy, x, y)
		}
	}
}
