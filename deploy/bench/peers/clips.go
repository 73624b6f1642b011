package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
	"cattlecounter/deploy/bench/scene"
)

// clip is a video file with its truth.
type clip struct {
	name, kind, path string
	truth            int
}

// stills are the flights over stills that are made for the comparison, beside those of the hand-outs.
var stills = []string{"still/yak_paddock_2__1625660730828237/", "still/buffalo_pasture__16171798207722676/"}

// herds are the simulated clips.
func herds() map[string]synthetic.Config {
	c := synthetic.Config{Seconds: 8, FPS: 15, Width: 1280, Height: 720, Tilt: -1}
	with := func(change func(*synthetic.Config)) synthetic.Config {
		n := c
		change(&n)
		return n
	}
	return map[string]synthetic.Config{
		"loose":   with(func(c *synthetic.Config) { c.Seed, c.Animals, c.Scale, c.Speed = 31, 60, 40, 4 }),
		"walking": with(func(c *synthetic.Config) { c.Seed, c.Animals, c.Scale, c.Speed, c.Moving = 32, 60, 40, 4, 1 }),
		"far":     with(func(c *synthetic.Config) { c.Seed, c.Animals, c.Scale, c.Speed = 33, 150, 18, 6 }),
		"lane": with(func(c *synthetic.Config) {
			c.Seed, c.Animals, c.Scale, c.Speed, c.Herd = 34, 30, 40, -1, synthetic.Lane
		}),
		"crossing": with(func(c *synthetic.Config) {
			c.Seed, c.Animals, c.Scale, c.Speed, c.Herd = 35, 30, 40, 2, synthetic.Crossing
		}),
	}
}

// prepare makes the clips that are not there yet in a folder, and finds those of the hand-outs. It writes a line to log
// for what is missing.
func prepare(ctx context.Context, folder, data string, log io.Writer) ([]clip, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("folder for the clips: %w", err)
	}
	all, err := handOuts(data)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		fmt.Fprintf(log, "no flights over stills in %s; only simulated herds are compared\n", data)
	}
	made, _ := scene.Clips(data, 0)
	for _, prefix := range stills {
		for _, c := range made {
			if !strings.HasPrefix(c.Name, prefix) {
				continue
			}
			one, err := film(ctx, folder, c)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
			break
		}
	}
	for name, c := range herds() {
		path := filepath.Join(folder, name+".mp4")
		truth, err := readTruth(clipfile.TruthPath(path))
		if errors.Is(err, os.ErrNotExist) {
			fmt.Fprintf(log, "rendering %s\n", path)
			var t synthetic.Truth
			t, err = clipfile.Write(ctx, path, c)
			truth = t.UniqueAnimals
		}
		if err != nil {
			return nil, err
		}
		all = append(all, clip{"simulated " + name, "simulated", path, truth})
	}
	return all, nil
}

// handOuts are the flights over stills that are handed out beside the project.
func handOuts(data string) ([]clip, error) {
	files, err := filepath.Glob(filepath.Join(data, "drone-pans", "*.mp4"))
	if err != nil {
		return nil, fmt.Errorf("hand-outs: %w", err)
	}
	var all []clip
	for _, f := range files {
		truth, err := readTruth(clipfile.TruthPath(f))
		if err != nil {
			return nil, err
		}
		all = append(all, clip{strings.TrimSuffix(filepath.Base(f), ".mp4"), "pan", f, truth})
	}
	return all, nil
}

// film writes a clip of the bench into a file with its truth.
func film(ctx context.Context, folder string, c scene.Clip) (clip, error) {
	path := filepath.Join(folder, strings.NewReplacer("/", "_", " ", "_").Replace(c.Name)+".mp4")
	if n, err := readTruth(clipfile.TruthPath(path)); err == nil {
		return clip{c.Name, "pan", path, n}, nil
	}
	f, err := c.Open()
	if err != nil {
		return clip{}, err
	}
	if err := scene.WriteFile(ctx, f, path); err != nil {
		return clip{}, err
	}
	text := fmt.Sprintf("{\"unique_animals\": %d}\n", f.Truth())
	if err := os.WriteFile(clipfile.TruthPath(path), []byte(text), 0o644); err != nil {
		return clip{}, fmt.Errorf("truth: %w", err)
	}
	return clip{c.Name, "pan", path, f.Truth()}, nil
}

// readTruth reads how many different animals a clip shows.
func readTruth(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("truth: %w", err)
	}
	var t struct {
		Unique int `json:"unique_animals"`
	}
	if err := json.Unmarshal(b, &t); err != nil {
		return 0, fmt.Errorf("truth %s: %w", path, err)
	}
	return t.Unique, nil
}
