package place

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"cattlecounter/cloud/place/geotiff"
	"cattlecounter/cloud/place/projection"
)

// Terrain is the height of the ground. HGT and Raster implement it. It must be safe for concurrent use.
type Terrain interface {
	// Height returns metres above the sea at a point, and false where it is not known.
	Height(lat, lon float64) (float64, bool)
}

// Raster is a grid of heights in degrees, in UTM or in the web's Mercator.
type Raster struct {
	grid *geotiff.Grid
	to   projection.Projection
}

// ReadTerrain reads heights of the ground: a GeoTIFF, or an HGT tile whose name says its place. b is kept. Its error wraps
// geotiff.ErrFile or ErrHGT.
func ReadTerrain(name string, b []byte) (Terrain, error) {
	if len(b) < 4 || string(b[:2]) != "II" && string(b[:2]) != "MM" || b[2]|b[3] != 42 && b[2]|b[3] != 43 {
		return ReadHGT(name, b)
	}
	grid, err := geotiff.ReadGrid(b)
	if err != nil {
		return nil, err
	}
	to, ok := projection.ByCode(grid.EPSG)
	if !ok {
		return nil, fmt.Errorf("%w: its coordinate system EPSG:%d is not read; convert it: gdalwarp -t_srs EPSG:4326 IN OUT",
			geotiff.ErrFile, grid.EPSG)
	}
	return &Raster{grid: grid, to: to}, nil
}

// Height implements Terrain. Between the values it is bilinear.
func (r *Raster) Height(lat, lon float64) (float64, bool) {
	g := r.grid
	mx, my := r.to.Metres(lon, lat)
	x, y := (mx-g.OriginX)/g.StepX, (g.OriginY-my)/g.StepY
	if r.to.Geographic { // the grid may go over the line of 180 degrees
		x = math.Remainder(mx-g.OriginX-float64(g.Width)*g.StepX/2, 360)/g.StepX + float64(g.Width)/2
	}
	if !(x >= 0 && y >= 0 && x <= float64(g.Width-1) && y <= float64(g.Height-1)) {
		return 0, false
	}
	c, w := min(int(x), g.Width-2), min(int(y), g.Height-2)
	fx, fy := x-float64(c), y-float64(w)
	h := (g.At(c, w)*(1-fx)+g.At(c+1, w)*fx)*(1-fy) + (g.At(c, w+1)*(1-fx)+g.At(c+1, w+1)*fx)*fy
	return h, known(h)
}

// HGT is a tile of the Shuttle Radar Topography Mission: one degree of heights in rows from north to south, each a
// big-endian 16-bit number of metres, -32768 where unknown (NASA, "SRTM Topography", 2015, section 2).
type HGT struct {
	south, west float64
	side        int // posts in a row
	rows        []byte
}

// ErrHGT marks a file that is no tile of heights. Compare with errors.Is.
var ErrHGT = errors.New("not an HGT tile")

var hgtName = regexp.MustCompile(`(?i)^([NS])(\d{2})([EW])(\d{3})(\.|_|$)`)

// ReadHGT reads a tile. name is the file's own name, such as S34E018.hgt, because the place of a tile is only there.
// b is kept. Its error wraps ErrHGT.
func ReadHGT(name string, b []byte) (*HGT, error) {
	m := hgtName.FindStringSubmatch(name)
	if m == nil {
		return nil, fmt.Errorf("%w: the name %q has no place, want one such as S34E018.hgt", ErrHGT, name)
	}
	h := &HGT{rows: b}
	for _, side := range []int{3601, 1201} {
		if len(b) == 2*side*side {
			h.side = side
		}
	}
	lat, _ := strconv.Atoi(m[2])
	lon, _ := strconv.Atoi(m[4])
	if h.side == 0 || lat > 90 || lon > 180 {
		return nil, fmt.Errorf("%w: %s has %d bytes, want 2884802 or 25934402", ErrHGT, name, len(b))
	}
	h.south, h.west = float64(lat), float64(lon)
	if strings.EqualFold(m[1], "S") {
		h.south = -h.south
	}
	if strings.EqualFold(m[3], "W") {
		h.west = -h.west
	}
	return h, nil
}

// Height implements Terrain. Between the posts it is bilinear.
func (h *HGT) Height(lat, lon float64) (float64, bool) {
	n := float64(h.side - 1)
	y, x := (h.south+1-lat)*n, (lon-h.west)*n
	if !(x >= 0 && y >= 0 && x <= n && y <= n) {
		return 0, false
	}
	c, r := min(int(x), h.side-2), min(int(y), h.side-2)
	sum := 0.0
	for i := range 4 {
		cc, rr := c+i%2, r+i/2
		v := int16(binary.BigEndian.Uint16(h.rows[2*(rr*h.side+cc):])) // two's complement is meant
		if v == math.MinInt16 {
			return 0, false
		}
		sum += float64(v) * (1 - math.Abs(x-float64(cc))) * (1 - math.Abs(y-float64(rr)))
	}
	return sum, true
}
