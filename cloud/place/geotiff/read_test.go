package geotiff

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cattlecounter/deploy/testkit/gdal"
	"cattlecounter/deploy/testkit/must"
)

// height is that of a test grid: it depends on column and row alike.
func height(column, row int) float64 { return 300 + 3*float64(column) - 2*float64(row) }

const wide, tall = 61, 43

// grids has GDAL write the same heights in many forms.
func grids(t testing.TB, forms map[string][]string) map[string][]byte {
	t.Helper()
	gdal.Need(t, "gdal_translate")
	dir := t.TempDir()
	text := fmt.Sprintf("ncols %d\nnrows %d\nxllcorner 24\nyllcorner -32\ncellsize 0.01\nNODATA_value -9999\n", wide, tall)
	for y := range tall {
		for x := range wide {
			if x == 5 && y == 6 {
				text += "-9999 "
				continue
			}
			text += fmt.Sprintf("%g ", height(x, y))
		}
		text += "\n"
	}
	source := filepath.Join(dir, "in.asc")
	must.Do(t, os.WriteFile(source, []byte(text), 0o600))
	out := map[string][]byte{}
	for name, args := range forms {
		file := filepath.Join(dir, "out.tif")
		all := append([]string{"-q", "-of", "GTiff", "-a_srs", "EPSG:4326"}, args...)
		if o, err := exec.Command("gdal_translate", append(all, source, file)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, o)
		}
		out[name] = must.Get(os.ReadFile(file))(t)
	}
	return out
}

// TestGridsOfGDAL reads what GDAL writes: values of all kinds, in strips and tiles, plain and packed.
func TestGridsOfGDAL(t *testing.T) {
	forms := map[string][]string{
		"plain": nil, "uint16, strips": {"-ot", "UInt16", "-co", "BLOCKYSIZE=7"},
		"int32, LZW":           {"-ot", "Int32", "-co", "COMPRESS=LZW", "-co", "PREDICTOR=2"},
		"Deflate, tiles":       {"-ot", "Float32", "-co", "COMPRESS=DEFLATE", "-co", "TILED=YES", "-co", "BLOCKXSIZE=16", "-co", "BLOCKYSIZE=32"},
		"differences of float": {"-ot", "Float32", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=3", "-co", "TILED=YES", "-co", "BLOCKXSIZE=32", "-co", "BLOCKYSIZE=16"},
		"differences, float64": {"-ot", "Float64", "-co", "COMPRESS=LZW", "-co", "PREDICTOR=3"},
		"PackBits":             {"-ot", "Int16", "-co", "COMPRESS=PACKBITS"},
		"BigTIFF":              {"-co", "BIGTIFF=YES", "-co", "COMPRESS=LZW"},
		"big endian":           {"-ot", "Int16", "-co", "ENDIANNESS=BIG", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=2"},
		"place of points":      {"-mo", "AREA_OR_POINT=Point"},
	}
	for name, b := range grids(t, forms) {
		g, err := ReadGrid(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if g.Width != wide || g.Height != tall || g.EPSG != 4326 || math.Abs(g.OriginX-24.005) > 1e-9 ||
			math.Abs(g.OriginY-(-32+tall*0.01-0.005)) > 1e-9 || math.Abs(g.StepX-0.01) > 1e-12 || math.Abs(g.StepY-0.01) > 1e-12 {
			t.Errorf("%s: %d x %d, EPSG %d, from %g %g by %g %g", name, g.Width, g.Height, g.EPSG, g.OriginX, g.OriginY, g.StepX, g.StepY)
		}
		for y := range tall {
			for x := range wide {
				v := g.At(x, y)
				if x == 5 && y == 6 {
					if !math.IsNaN(v) && name != "uint16, strips" {
						t.Errorf("%s: the unknown height is %g", name, v)
					}
				} else if v != height(x, y) {
					t.Fatalf("%s: column %d row %d is %g, want %g", name, x, y, v, height(x, y))
				}
			}
		}
	}
}

func TestFilesThatAreNoHeights(t *testing.T) {
	made := grids(t, map[string][]string{"bands": {"-b", "1", "-b", "1"}, "packed otherwise": {"-co", "COMPRESS=ZSTD"}, "plain": nil,
		"high byte first": {"-ot", "Float32", "-co", "ENDIANNESS=BIG", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=3"}})
	plain := made["plain"]
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"two bands": {made["bands"], "several bands"}, "compression": {made["packed otherwise"], "compression 50000 is not read"},
		"two ways": {made["high byte first"], "programs do in two ways"},
		"half":     {plain[:len(plain)/2], "cut off or damaged"}, "head": {plain[:20], "cut off or damaged"},
		"text": {[]byte("hello, this is no picture"), "does not begin as TIFF"}, "nothing": {nil, "does not begin as TIFF"},
	} {
		if _, err := ReadGrid(c.b); !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadGrid(f *testing.F) {
	if _, err := exec.LookPath("gdal_translate"); err == nil {
		for _, b := range grids(f, map[string][]string{"plain": nil, "tiles": {"-ot", "Float32", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=3", "-co",
			"TILED=YES", "-co", "BLOCKXSIZE=16", "-co", "BLOCKYSIZE=16"}, "LZW": {"-ot", "Int16", "-co", "COMPRESS=LZW", "-co", "BIGTIFF=YES"}}) {
			f.Add(b)
		}
	}
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		g, err := ReadGrid(b)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Error(err)
			}
			return
		}
		g.At(g.Width-1, g.Height-1)
	})
}
