package calibrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/video/libav"
	"cattlecounter/cloud/synthetic"
	"cattlecounter/cloud/synthetic/clipfile"
)

// witness is a count.Looker that remembers what the detector answered.
type witness struct {
	looker count.Looker

	mu    sync.Mutex
	looks []Look
}

// Look implements count.Looker.
func (w *witness) Look(ctx context.Context, tiles []detect.Region) ([]detect.Box, error) {
	boxes, err := w.looker.Look(ctx, tiles)
	if err != nil || len(tiles) == 0 {
		return boxes, err
	}
	l := Look{Frame: tiles[0].Frame.Index, Boxes: slices.Clone(boxes)}
	for _, t := range tiles {
		t.Frame = nil
		l.Tiles = append(l.Tiles, t)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = append(w.looks, l)
	return boxes, nil
}

// RunFolder counts the clips of the folder o.Clips (NAME.mp4 with its truth in NAME.json, as `herdsim clip` writes them) and writes
// the error of each to w, with the causes of all of them.
func RunFolder(ctx context.Context, o Options, w io.Writer) error {
	names, err := filepath.Glob(filepath.Join(o.Clips, "*.mp4"))
	if err != nil {
		return fmt.Errorf("clips: %w", err)
	}
	unfinished := func(name string) bool { return strings.HasSuffix(name, ".part.mp4") } // herdsim renders it
	if names = slices.DeleteFunc(names, unfinished); len(names) == 0 {
		return fmt.Errorf("clips in %s: none found; want NAME.mp4 with its truth in NAME.json", o.Clips)
	}
	return withBench(o, func(b *bench) error { return b.countFolder(ctx, names, w) })
}

func (b *bench) countFolder(ctx context.Context, names []string, w io.Writer) error {
	var all []Fault
	var outcomes []Outcome
	animals := 0 // in clips whose faults are known
	for _, path := range names {
		name := strings.TrimSuffix(filepath.Base(path), ".mp4")
		if !strings.Contains(name, b.Only) {
			continue
		}
		out, faults, err := b.countFile(ctx, name, path)
		if err != nil {
			return fmt.Errorf("clip %s: %w", path, errors.Join(err, b.answers.flush()))
		}
		outcomes = append(outcomes, out)
		fmt.Fprintf(w, "%-42s %4d of %4d [%d, %d] %5d tiles %5.1f s %s\n", name, out.Count, out.Truth, out.Low, out.High,
			out.Tiles, out.Seconds, out.Warning)
		writeFaults(w, faults)
		if faults != nil {
			animals += out.Truth
		}
		all = append(all, faults...)
	}
	fmt.Fprintln(w)
	WriteTable(w, Rows(outcomes))
	fmt.Fprintln(w)
	WriteCauses(w, all, animals)
	return nil
}

// countFile counts one clip. Its faults are nil for a truth that does not tell where the animals are.
func (b *bench) countFile(ctx context.Context, name, path string) (Outcome, []Fault, error) {
	truth, err := readTruth(clipfile.TruthPath(path))
	if err != nil {
		return Outcome{}, nil, err
	}
	open := func(ctx context.Context, _ count.Source) (count.Decoder, error) {
		return libav.Open(ctx, libav.Config{}, path)
	}
	out, got, looks, err := b.measure(ctx, name, open)
	if err != nil {
		return Outcome{}, nil, err
	}
	out.Kind, out.Truth = "folder", truth.UniqueAnimals
	if len(truth.Animals) == 0 {
		return out, nil, nil
	}
	return out, b.faults(truth, got, looks), nil
}

func readTruth(path string) (synthetic.Truth, error) {
	var truth synthetic.Truth
	f, err := os.ReadFile(path)
	if err != nil {
		return truth, fmt.Errorf("truth: %w", err)
	}
	if err := json.Unmarshal(f, &truth); err != nil {
		return truth, fmt.Errorf("truth %s: %w", path, err)
	}
	return truth, nil
}
