package modelcmd

import (
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
	"cattlecounter/cloud/synthetic"
)

// Verify is the command line of `worker model verify`.
type Verify struct {
	Model string `arg:"" optional:"" placeholder:"NAME|PATH" help:"The model. Default: the one in use."`
	JSON  bool   `name:"json" help:"Print a JSON document."`
	place
	inference
}

// Verification is what verify found out.
type Verification struct {
	Summary
	OK       bool    `json:"ok"`
	Files    int     `json:"files"` // whose digests were compared; 0 when none are recorded
	Animals  int     `json:"animals"`
	TileMS   float64 `json:"tile_ms,omitempty"` // of one core or GPU, in the network alone
	Provider string  `json:"provider"`
}

// Run does the command.
func (c *Verify) Run(ctx context.Context, stdout, _ io.Writer) error {
	w, err := c.read()
	if err != nil {
		return err
	}
	named := c.Model
	if named == "" {
		named = w.named
	}
	e, err := w.store.Find(named)
	if err != nil {
		return err
	}
	v, err := c.verify(ctx, w, e)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if used, err := w.store.Find(w.named); err == nil {
		v.InUse = same(used.Path, e.Path)
	}
	if c.JSON {
		return errors.Join(err, printJSON(stdout, v))
	}
	if err != nil {
		return err
	}
	return v.print(stdout)
}

func (v Verification) print(w io.Writer) error {
	classes := "all"
	if v.Classes != nil {
		classes = strings.Join(v.Classes, ", ")
	}
	recorded := fmt.Sprintf("%d files are as recorded in %s", v.Files, model.SumsFile)
	if v.Files == 0 {
		recorded = "none recorded (no " + model.SumsFile + ")"
	}
	from := "put there by hand"
	switch {
	case v.Source != nil:
		from = v.Source.String()
	case v.Origin == model.BuiltIn:
		from = "comes with the project"
	}
	for _, line := range [][2]string{
		{"model", v.Name}, {"path", v.Path}, {"from", from}, {"digest", v.Digest.String()}, {"files", recorded}, {"size", megabytes(v.Size)},
		{"family", v.Family}, {"input", v.Input.String()}, {"counts", classes},
		{"threshold", fmt.Sprint(v.Threshold)}, {"tile", fmt.Sprintf("%d px, overlap %g", v.Tile, v.Overlap)},
		{"runs", fmt.Sprintf("on %s, alone and in a batch of two: %.1f ms a tile, %d animals in a rendered picture", v.Provider, v.TileMS, v.Animals)},
	} {
		if _, err := fmt.Fprintf(w, "%-10s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

// verify does every check. The Verification holds what was found out until the
// first fault.
func (i inference) verify(ctx context.Context, w where, e model.Entry) (Verification, error) {
	v := Verification{Provider: string(i.Provider)}
	fail := func(err error) (Verification, error) {
		v.Name, v.Origin, v.Path, v.Error = e.Name, e.Origin, absolute(e.Path), err.Error()
		return v, err
	}
	var err error
	if v.Files, err = model.CheckSums(ctx, e.Dir()); err != nil {
		return fail(fmt.Errorf("model %s: %w", e.Path, err))
	}
	o := i.options(w, e.Path)
	o.Batch = 2
	net, err := detr.Open(o)
	if err != nil {
		return fail(err)
	}
	defer net.Close()
	v.Summary = summary(e, net.Info(), nil)
	source, ok, err := model.ReadSource(e.Dir())
	if err != nil {
		return fail(err)
	}
	if ok {
		v.Source = &source
	}
	v.Animals, v.TileMS, err = tryOut(ctx, net)
	if err != nil {
		return fail(err)
	}
	v.OK = true
	return v, nil
}

// rounds of the timed runs.
const rounds = 5

// tryOut has the network look at two tiles of a rendered herd, first one and
// then both together: exports that only seem to take any batch fail here.
func tryOut(ctx context.Context, net *detr.Model) (animals int, tileMS float64, err error) {
	info := net.Info()
	tile := min(max(info.Tile, 64), 2048)
	frame, err := picture(ctx, 2*tile, tile)
	if err != nil {
		return 0, 0, err
	}
	pair := []detect.Region{{Frame: frame, Width: tile, Height: tile}, {Frame: frame, X: tile, Width: tile, Height: tile}}
	const all = 1e-4 // every answer, so that there is something to compare
	alone, err := net.DetectRegions(ctx, nil, pair[:1], all)
	if err != nil {
		return 0, 0, err
	}
	both, err := net.DetectRegions(ctx, nil, pair, all)
	if err != nil {
		return 0, 0, fmt.Errorf("a batch of two: %w", err)
	}
	if len(alone) != 1 || len(both) != 2 {
		return 0, 0, fmt.Errorf("model %s: %d answers to a tile and %d to two: %w", info.File, len(alone), len(both), detr.ErrModel)
	}
	if a, b := best(alone[0]), best(both[0]); math.Abs(a-b) > sameScore {
		return 0, 0, fmt.Errorf("model %s: a tile scores %.3f alone and %.3f beside another; the export mixes pictures of a batch: %w", info.File, a, b, detr.ErrModel)
	}
	// A pipeline tiles and merges; its answer is what a count would see.
	tiler, err := detect.NewTiler(net, detect.Grid{Tile: info.Tile, Overlap: info.Overlap}, info.Threshold)
	if err != nil {
		return 0, 0, fmt.Errorf("model %s: %w: %w", info.File, err, detr.ErrModel)
	}
	found, err := tiler.Detect(ctx, []*video.Frame{frame})
	if err != nil {
		return 0, 0, err
	}
	spent, err := net.Rehearse(ctx, pair, rounds)
	if err != nil {
		return 0, 0, err
	}
	return len(found[0]), float64(spent) / float64(time.Millisecond) / float64(rounds*len(pair)), nil
}

// sameScore is how far rounding may move a score between batches.
const sameScore = 0.05

func best(boxes []detect.Box) float64 {
	top := float32(0)
	for _, b := range boxes {
		top = max(top, b.Score)
	}
	return float64(top)
}

// picture renders a herd from above.
func picture(ctx context.Context, width, height int) (*video.Frame, error) {
	even := func(n int) int { return n + n%2 }
	clip, err := synthetic.New(synthetic.Config{Seed: 7, Animals: 60, Seconds: 1, FPS: 1, Width: even(width), Height: even(height)})
	if err != nil {
		return nil, fmt.Errorf("render a picture: %w", err)
	}
	var f video.Frame
	if err := clip.Next(ctx, &f); err != nil {
		return nil, fmt.Errorf("render a picture: %w", err)
	}
	return &f, nil
}
