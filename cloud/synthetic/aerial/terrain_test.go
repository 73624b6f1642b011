package aerial

import (
	"math"
	"testing"

	"cattlecounter/cloud/synthetic/solid"
)

func terrain(f Floor) *Terrain {
	return NewTerrain(TerrainOptions{
		Seed: 4, Floor: f, Clutter: 2, Lane: 4, Light: Sunlight{Height: 40, Direction: 1, Direct: 1, Ambient: 0.3},
	})
}

// TestTerrainHasNoSeams paints squares that overlap by half. The same place has the same light in both, across things,
// shadows, spots and the lane, in any order.
func TestTerrainHasNoSeams(t *testing.T) {
	const side, scale = 64, 10.0
	for f := Pasture; f <= StubbleField; f++ {
		a, b := terrain(f), terrain(f)
		one, two := make([]solid.RGB, side*side), make([]solid.RGB, side*side)
		for _, at := range [][2]float64{{0, 0}, {-9.6, 3.2}, {6.4, -6.4}, {40, 12.8}} {
			a.Paint(at[0], at[1], scale, side, one)
			b.Paint(at[0]+3.2, at[1]+3.2, scale, side, two)
			worst := 0.0
			for y := range side / 2 {
				for x := range side / 2 {
					p, q := one[(y+side/2)*side+x+side/2], two[y*side+x]
					worst = max(worst, math.Abs(p.R-q.R), math.Abs(p.G-q.G), math.Abs(p.B-q.B))
				}
			}
			if worst > 1e-9 {
				t.Errorf("floor %d at %v: two paintings differ by %v", f, at, worst)
			}
		}
	}
}

// TestThingsBlock wants places of things to be blocked, and a free place to be plain ground.
func TestThingsBlock(t *testing.T) {
	g := terrain(Pasture)
	blocked, free := 0, 0
	for i := range 900 {
		if g.Blocked(float64(i%30)*3, float64(i/30)*3, 0.3) {
			blocked++
		} else {
			free++
		}
	}
	if blocked < 10 || free < 400 {
		t.Errorf("%d places are blocked, %d are free", blocked, free)
	}
	for x := range 50 {
		if g.Blocked(float64(x), 0, 0.5) {
			t.Errorf("the lane is blocked at %d m", x)
		}
	}
	if NewTerrain(TerrainOptions{Floor: Yard}).Blocked(1, 1, 100) {
		t.Error("ground without things is blocked")
	}
}

// TestTerrainFollowsTheLight compares the light on the ground with the light for the animals.
func TestTerrainFollowsTheLight(t *testing.T) {
	dark := NewTerrain(TerrainOptions{Floor: Yard, Light: Sunlight{Height: 50, Ambient: 0.2}})
	bright := NewTerrain(TerrainOptions{Floor: Yard, Light: Sunlight{Height: 50, Direct: 1, Ambient: 0.2}})
	l := bright.Lighting()
	want := (l.Direct.G*l.Sun.Z + l.Sky.G) / dark.Lighting().Sky.G
	if got := bright.Mean().G / dark.Mean().G; math.Abs(got/want-1) > 0.02 {
		t.Errorf("the sun makes the ground %.2f times as bright, want %.2f", got, want)
	}
	// Shadows fall to +x for a direction of 0: the sun is at -x.
	if s := bright.Lighting().Sun; s.X >= 0 || math.Abs(s.Y) > 1e-9 || math.Abs(s.Len()-1) > 1e-9 {
		t.Errorf("the sun is at %v", s)
	}
}
