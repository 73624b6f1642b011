package scene

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/synthetic"
)

// simulated is a clip of package synthetic.
type simulated struct{ clip *synthetic.Clip }

func openSimulated(c synthetic.Config) (Film, error) {
	clip, err := synthetic.New(c)
	if err != nil {
		return nil, err
	}
	return &simulated{clip}, nil
}

// Info implements Film.
func (s *simulated) Info() video.Info {
	c := s.clip.Config()
	return video.Info{Width: c.Width, Height: c.Height, FPS: c.FPS, Frames: s.clip.Frames(), Codec: "raw", Container: "none"}
}

// Render implements Film.
func (s *simulated) Render(ctx context.Context, f *video.Frame) error { return s.clip.Next(ctx, f) }

// Truth implements Film.
func (s *simulated) Truth() int { return s.clip.Truth().UniqueAnimals }

// Detailed implements Detailed.
func (s *simulated) Detailed() synthetic.Truth { return s.clip.Truth() }

// cameras are the ways of the camera in simulated clips. The list is part of the bench: another one makes other clips.
var cameras = []synthetic.Camera{
	synthetic.Pass, synthetic.Steady, synthetic.Hover, synthetic.Back, synthetic.Serpentine, synthetic.Turn,
	synthetic.Yaw, synthetic.Zoom, synthetic.Gust,
}

// simulations are clips over the whole envelope: the field's own conditions most, and flights high above and oblique.
func simulations(n int) []Clip {
	var all []Clip
	for i := range n {
		r := random(fmt.Sprint("simulation", i))
		c := synthetic.Config{
			Seed: uint64(5000 + i), Seconds: 4, FPS: filmFPS, Width: 1280, Height: 720, Tilt: -1, Speed: 1 + 3*r.Float64(),
			Ground: pick(r, synthetic.Grounds()), Light: pick(r, synthetic.Lights()), Camera: pick(r, cameras),
			Coat: pick(r, synthetic.Coats()), Sun: 360 * r.Float64(), Moving: r.Float64(),
		}
		kind := ""
		switch i % 6 {
		case 0, 1:
			kind, c.Scale, c.Herd = "close, loose", 55+35*r.Float64(), synthetic.Loose
		case 2:
			kind, c.Scale, c.Herd = "close, tight", 50+40*r.Float64(), synthetic.Tight
		case 3:
			kind, c.Scale, c.Herd = "close, walking", 50+35*r.Float64(), pick(r, []synthetic.Herd{
				synthetic.Oneway, synthetic.Lane, synthetic.Crossing, synthetic.Follow, synthetic.Return})
		case 4:
			kind, c.Scale, c.Herd, c.Tilt = "middle", 22+28*r.Float64(), synthetic.Loose, 30*r.Float64()
		default:
			kind, c.Scale, c.Herd, c.Tilt = "far", 11+11*r.Float64(), synthetic.Loose, 45*r.Float64()
			c.Speed *= 2
		}
		if c.Scale > 40 && i%4 == 0 {
			c.Width, c.Height = 1920, 1080
		}
		if i%72 == 3 {
			c.Width, c.Height, c.Scale, c.Seconds = 3840, 2160, 150, 3
		}
		c.Animals = animalsFor(r, c)
		all = append(all, Clip{
			Name: fmt.Sprintf("simulated/%03d/%s/%s/%s/%s", i, c.Camera, c.Herd, c.Ground, c.Light), Kind: "simulated: " + kind,
			Check: i/6%2 == 1, Encoded: i%14 == 13, Open: func() (Film, error) { return openSimulated(c) },
		})
	}
	return all
}

// animalsFor chooses a herd that fits the ground of a clip: from a few animals to a crowd.
func animalsFor(r *rand.Rand, c synthetic.Config) int {
	w, h := float64(c.Width)/c.Scale, float64(c.Height)/c.Scale
	area := (w + c.Speed*c.Seconds + 8) * (h + 8) // square metres of the world
	each := 8 * math.Exp(2.3*r.Float64())         // square metres an animal
	if c.Scale < 40 {
		each *= 4
	}
	return min(max(int(area/each), 4), 250)
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
