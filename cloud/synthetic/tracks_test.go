package synthetic

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// recording is a recording of a drone straight above a column of animals that walk. It turns and drifts. The boxes have
// the same size in all rows.
func recording() string {
	var b strings.Builder
	b.WriteString("frame,id,x,y,w,h,occluded,interpolated\n")
	for frame := 0; frame <= 600; frame++ {
		t := float64(frame) / recordFPS
		sin, cos := math.Sincos(0.05 * t)
		for id := range 6 {
			along, across := float64(id-3)*150, float64(id%2)*80
			x, y := along*cos-across*sin+960+20*math.Sin(t), along*sin+across*cos+540+10*t
			fmt.Fprintf(&b, "%d,%d,%.1f,%.1f,60,40,0,0\n", frame, id+1, x-30, y-20)
		}
	}
	return b.String()
}

func TestReadTracks(t *testing.T) {
	tracks, err := ReadTracks(strings.NewReader(recording()))
	if err != nil {
		t.Fatal(err)
	}
	if tracks.Animals() != 6 || math.Abs(tracks.Seconds()-10) > 0.2 {
		t.Errorf("%d animals in %v s", tracks.Animals(), tracks.Seconds())
	}
	// The herd stands in the recording, whatever the drone does.
	for i, a := range tracks.animals {
		if d := a.at[0].dist(a.at[len(a.at)-1]); d > 0.3 {
			t.Errorf("animal %d moves %.2f m against the herd", i, d)
		}
	}
	if turn := tracks.turns[len(tracks.turns)-10]; math.Abs(math.Abs(turn)-0.45) > 0.06 {
		t.Errorf("the drone turns by %.2f, want about 0.45", turn)
	}
	clip, _ := play(t, Config{
		Seed: 1, Herd: Replay, Camera: Recorded, Tracks: tracks, Width: 320, Height: 240, Scale: 10, Tilt: -1, Seconds: 1, FPS: 5,
	})
	if n := clip.Truth().UniqueAnimals; n != 6 {
		t.Errorf("%d animals in view, want 6", n)
	}
}

func TestReadTracksRefuses(t *testing.T) {
	head := "frame,id,x,y,w,h\n"
	for name, text := range map[string]string{
		"empty": "", "no rows": head, "few columns": head + "1,2,3\n", "words": head + "1,2,x,4,5,6\n",
		"huge":   head + "1,2,1e300,4,5,6\n",
		"quotes": head + "\"1,2", "two animals": head + strings.Repeat("1,1,100,100,50,50\n1,2,300,300,50,50\n", 100),
	} {
		if _, err := ReadTracks(strings.NewReader(text)); !errors.Is(err, ErrTracks) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadTracks(f *testing.F) {
	f.Add("frame,id,x,y,w,h\n1,1,2,3,4,5\n")
	f.Add(recording()[:20000])
	f.Fuzz(func(t *testing.T, text string) {
		tracks, err := ReadTracks(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrTracks) {
				t.Errorf("%v is not ErrTracks", err)
			}
			return
		}
		for _, s := range []float64{0, 1.5, 1e6} {
			at, heading := tracks.recordedAt(s)
			if math.IsNaN(at.x+at.y+heading) || math.IsInf(at.x+at.y+heading, 0) {
				t.Errorf("the drone is at %v after %v s", at, s)
			}
		}
	})
}
