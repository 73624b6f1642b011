package scene

import "math"

// area is the part of a ground picture in which the middle of the frame may move.
type area struct{ x0, y0, x1, y1 float64 }

// inside is the area for frames that stay within a picture of w x h pixels. A picture smaller than the frame leaves its
// middle.
func inside(w, h int, width, height int, zoom float64) area {
	const margin = 12 // for the wind
	hw, hh := float64(width)/2/zoom+margin, float64(height)/2/zoom+margin
	a := area{hw, hh, float64(w) - hw, float64(h) - hh}
	if a.x0 > a.x1 {
		a.x0, a.x1 = float64(w)/2, float64(w)/2
	}
	if a.y0 > a.y1 {
		a.y0, a.y1 = float64(h)/2, float64(h)/2
	}
	return a
}

// wideEnough raises the zoom of a way with turns so that the frame stays within the picture in every direction.
func wideEnough(kind int, ground *picture, width, height int, zoom float64) float64 {
	if kind != wayTurn {
		return zoom
	}
	const part = 0.9
	return max(zoom, math.Hypot(float64(width), float64(height))/(part*float64(min(ground.w, ground.h))))
}

// insideTurning is inside for frames in any direction.
func insideTurning(kind int, a area, ground *picture, width, height int, zoom float64) area {
	if kind != wayTurn {
		return a
	}
	side := int(math.Hypot(float64(width), float64(height)))
	return inside(ground.w, ground.h, side, side, zoom)
}

func (a area) at(tx, ty float64) point { return point{a.x0 + tx*(a.x1-a.x0), a.y0 + ty*(a.y1-a.y0)} }

// Ways of the camera.
const (
	wayPass = iota
	wayDiagonal
	wayThereAndBack
	waySerpentine
	wayHover
	wayTurn
	wayZoom
	wayKinds
)

var wayNames = [wayKinds]string{"pass", "diagonal", "there and back", "serpentine", "hover", "turn", "zoom"}

// newWay returns a way over an area. lane (0..1) chooses where a pass lies.
func newWay(kind int, a area, zoom, lane float64) way {
	switch kind {
	case wayDiagonal:
		return func(t float64) view { return view{at: a.at(t, lane+(1-2*lane)*t), zoom: zoom} }
	case wayThereAndBack:
		return func(t float64) view { return view{at: a.at(1-math.Abs(1-2*t), lane), zoom: zoom} }
	case waySerpentine:
		// Two rows with a short way between them.
		return func(t float64) view {
			const row = 0.42
			switch {
			case t < row:
				return view{at: a.at(t/row, 0), zoom: zoom}
			case t < 1-row:
				return view{at: a.at(1, (t-row)/(1-2*row)), zoom: zoom}
			default:
				return view{at: a.at(1-(t-1+row)/row, 1), zoom: zoom}
			}
		}
	case wayHover:
		return func(t float64) view { return view{at: a.at(0.5+0.03*math.Sin(6*t), lane), zoom: zoom} }
	case wayTurn:
		return func(t float64) view {
			return view{at: a.at(0.3+0.4*t, lane), zoom: zoom, turn: 2.2 * t * t * (3 - 2*t)}
		}
	case wayZoom:
		return func(t float64) view {
			return view{at: a.at(t, lane), zoom: zoom * (1 + 0.3*math.Sin(math.Pi*t))}
		}
	default:
		return func(t float64) view { return view{at: a.at(t, lane), zoom: zoom} }
	}
}
