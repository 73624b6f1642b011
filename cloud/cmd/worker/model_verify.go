package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"cattlecounter/cloud/count/detect"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/count/video"
	"cattlecounter/cloud/model"
)

// modelVerify is `worker model verify`.
type modelVerify struct {
	Model string `arg:"" optional:"" placeholder:"NAME|PATH" help:"The model. Default: the one in use."`
	JSON  bool   `name:"json" help:"Print a JSON document."`
	modelFlags
	deviceFlags
}

// verification is the result of verify.
type verification struct {
	modelSummary
	OK       bool    `json:"ok"`
	Files    int     `json:"files"` // with compared digests; 0 when none are recorded
	Animals  int     `json:"animals"`
	TileMS   float64 `json:"tile_ms,omitempty"` // milliseconds of one core or GPU in the network alone
	Provider string  `json:"provider"`
}

// run verifies one model. With --json a failed check is in the document too.
func (c *modelVerify) run(ctx context.Context, stdout io.Writer) error {
	m, err := c.load()
	if err != nil {
		return err
	}
	e, err := m.store.Find(cmp.Or(c.Model, m.configured))
	if err != nil {
		return err
	}
	v, err := m.verify(ctx, e, c.deviceFlags)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if inUse, err := m.store.Find(m.configured); err == nil {
		v.InUse = samePath(inUse.Path, e.Path)
	}
	if c.JSON {
		return errors.Join(err, printJSON(stdout, v))
	}
	if err != nil {
		return err
	}
	return v.print(stdout)
}

func (v verification) print(w io.Writer) error {
	classes := "all"
	if v.Classes != nil {
		classes = strings.Join(v.Classes, ", ")
	}
	recorded := fmt.Sprintf("%d files are as recorded in %s", v.Files, model.SumsFile)
	if v.Files == 0 {
		recorded = "none recorded (no " + model.SumsFile + ")"
	}
	from := "copied into the store by hand"
	switch {
	case v.Source != nil:
		from = v.Source.String()
	case v.Origin == model.BuiltIn:
		from = "comes with the project"
	}
	for _, line := range [][2]string{
		{"model", v.Name}, {"path", v.Path}, {"from", from}, {"digest", v.Digest.String()},
		{"files", recorded}, {"size", megabytes(v.Size)},
		{"family", v.Family}, {"input", v.Input.String()}, {"counts", classes},
		{"threshold", fmt.Sprint(v.Threshold)}, {"tile", fmt.Sprintf("%d px, overlap %g", v.Tile, v.Overlap)},
		{"runs", fmt.Sprintf("on %s, alone and in a batch of two: %.1f ms a tile, %d animals in the stored picture",
			v.Provider, v.TileMS, v.Animals)},
	} {
		if _, err := fmt.Fprintf(w, "%-10s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// verify does every check. After an error the verification holds the results up to the failed check.
func (m modelContext) verify(ctx context.Context, e model.Entry, on deviceFlags) (verification, error) {
	v := verification{Provider: string(on.Provider)}
	fail := func(err error) (verification, error) {
		v.Name, v.Origin, v.Path, v.Error = e.Name, e.Origin, absolutePath(e.Path), err.Error()
		return v, err
	}
	var err error
	if v.Files, err = model.CheckSums(ctx, e.Dir()); err != nil {
		return fail(fmt.Errorf("model %s: %w", e.Path, err))
	}
	o := detr.Options{Path: e.Path, Library: m.library, Provider: on.Provider, GPU: detr.GPU{Device: on.Device},
		Batch: 2}
	net, err := detr.Open(o)
	if err != nil {
		return fail(err)
	}
	defer net.Close()
	v.modelSummary = summarize(e, net.Info(), nil)
	source, ok, err := model.ReadSource(e.Dir())
	if err != nil {
		return fail(err)
	}
	if ok {
		v.Source = &source
	}
	v.Animals, v.TileMS, err = detectInPair(ctx, net)
	if err != nil {
		return fail(err)
	}
	v.OK = true
	return v, nil
}

// timedRounds is how often the timed runs repeat.
const timedRounds = 5

// detectInPair has the network look at two tiles of the stored picture, first at one and then at both together. An
// export that accepts any batch but mixes the pictures of one fails here.
func detectInPair(ctx context.Context, net *detr.Model) (animals int, tileMS float64, err error) {
	info := net.Info()
	tile := min(max(info.Tile, 64), 2048)
	frame, err := verifyFrame(2*tile, tile)
	if err != nil {
		return 0, 0, err
	}
	pair := []detect.Region{{Frame: frame, Width: tile, Height: tile},
		{Frame: frame, X: tile, Width: tile, Height: tile}}
	const all = 1e-4 // nearly every box, so that there is something to compare
	alone, err := net.DetectRegions(ctx, nil, pair[:1], all)
	if err != nil {
		return 0, 0, err
	}
	both, err := net.DetectRegions(ctx, nil, pair, all)
	if err != nil {
		return 0, 0, fmt.Errorf("a batch of two: %w", err)
	}
	if len(alone) != 1 || len(both) != 2 {
		return 0, 0, fmt.Errorf("model %s: %d results for one tile and %d for two, want 1 and 2: %w", info.File,
			len(alone), len(both), detr.ErrModel)
	}
	if a, b := bestScore(alone[0]), bestScore(both[0]); math.Abs(a-b) > sameScore {
		return 0, 0, fmt.Errorf("model %s: the best score in a tile is %.3f alone and %.3f in a batch of two; the export mixes the pictures of a batch: %w", info.File, a, b, detr.ErrModel)
	}
	// A count sees the boxes of a tiler, merged over the tiles.
	tiler, err := detect.NewTiler(net, detect.Grid{Tile: info.Tile, Overlap: info.Overlap}, info.Threshold)
	if err != nil {
		return 0, 0, fmt.Errorf("model %s: %w: %w", info.File, err, detr.ErrModel)
	}
	found, err := tiler.Detect(ctx, []*video.Frame{frame})
	if err != nil {
		return 0, 0, err
	}
	spent, err := net.TimeNetwork(ctx, pair, timedRounds)
	if err != nil {
		return 0, 0, err
	}
	return len(found[0]), float64(spent) / float64(time.Millisecond) / float64(timedRounds*len(pair)), nil
}

// sameScore is the largest difference of a score between batches that rounding explains.
const sameScore = 0.05

func bestScore(boxes []detect.Box) float64 {
	top := float32(0)
	for _, b := range boxes {
		top = max(top, b.Score)
	}
	return float64(top)
}
