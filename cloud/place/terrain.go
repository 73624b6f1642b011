package place

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Terrain is the height of the ground. HGT implements it. It must be safe for concurrent use.
type Terrain interface {
	// Height returns metres above the sea at a point, and false where it is not known.
	Height(lat, lon float64) (float64, bool)
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
