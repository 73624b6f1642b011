package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cattlecounter/cloud/count/coco"
	"cattlecounter/cloud/count/compare"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
	"cattlecounter/cloud/worker/engine"
	"cattlecounter/shared/filesum"
)

// modelCompare is `worker model compare`.
type modelCompare struct {
	Old   string   `arg:"" placeholder:"OLD" help:"The model until now: a name in the store, default, or a path."`
	New   string   `arg:"" placeholder:"NEW" help:"The model that may replace it. The record of the comparison goes into its folder."`
	Data  []string `required:"" sep:"none" type:"existingdir" placeholder:"FOLDER" help:"COCO folder of flights that the new model was not trained with. May be repeated."`
	Clips string   `placeholder:"NAME,NAME" help:"Only these flights. Default: all. @FILE reads the names from a file, one a line, such as held-back.txt of make finetune."`
	JSON  bool     `name:"json" help:"Print a JSON document."`
	modelFlags
	deviceFlags
	Threads int `default:"0" placeholder:"N" help:"Cores to use. 0: all."`
}

// errWorse marks a model that is worse than the one before.
var errWorse = errors.New("the new model is worse")

// comparedPair is what compare prints with --json.
type comparedPair struct {
	model.Comparison
	ByClip []clipPair `json:"by_clip"` // the total is the last one
}

type clipPair struct {
	Old compare.Tally `json:"old"`
	New compare.Tally `json:"new"`
}

// run compares two models and records the result. A worse new model is an error.
func (c *modelCompare) run(ctx context.Context, stdout, stderr io.Writer) error {
	m, err := c.load()
	if err != nil {
		return err
	}
	pictures, data, err := c.readData(ctx)
	if err != nil {
		return err
	}
	result := model.Comparison{Data: data, Compared: time.Now().UTC().Truncate(time.Second)}
	var tallies [2][]compare.Tally
	var dir string
	for i, name := range []string{c.Old, c.New} {
		e, err := m.store.Find(name)
		if err != nil {
			return err
		}
		var about model.ComparedModel
		if tallies[i], about, err = c.measure(ctx, m, e, pictures, stderr); err != nil {
			return err
		}
		if i == 0 {
			result.Old = about
		} else {
			result.New, dir = about, e.Dir()
		}
	}
	if result.Old.SHA256 == result.New.SHA256 {
		return fmt.Errorf("%s and %s are the same network: %w", c.Old, c.New, model.ErrName)
	}
	before, now := tallies[0][len(tallies[0])-1], tallies[1][len(tallies[1])-1]
	result.Verdict, result.Reasons = compare.Judge(before, now)
	if err := model.WriteComparison(dir, result); err != nil {
		return fmt.Errorf("record the comparison: %w", err)
	}
	if err := c.print(stdout, result, tallies); err != nil {
		return err
	}
	if result.Verdict == compare.Worse {
		return fmt.Errorf("%w than %s: %s", errWorse, result.Old.Name, strings.Join(result.Reasons, "; "))
	}
	return nil
}

// readData lists the pictures of all folders and describes the folders.
func (c *modelCompare) readData(ctx context.Context) ([]compare.Picture, []model.ComparedData, error) {
	clips, err := clipNames(c.Clips)
	if err != nil {
		return nil, nil, err
	}
	var pictures []compare.Picture
	var data []model.ComparedData
	for _, dir := range c.Data {
		list, err := compare.Load(dir, clips)
		if err != nil {
			return nil, nil, err
		}
		digest, _, err := filesum.Of(ctx, filepath.Join(dir, coco.File))
		if err != nil {
			return nil, nil, err
		}
		d := model.ComparedData{Name: filepath.Base(dir), SHA256: digest}
		for _, p := range list {
			if !slices.Contains(d.Clips, p.Clip) {
				d.Clips = append(d.Clips, p.Clip)
			}
		}
		slices.Sort(d.Clips)
		pictures, data = append(pictures, list...), append(data, d)
	}
	return pictures, data, nil
}

// clipNames reads the names of --clips.
func clipNames(text string) ([]string, error) {
	var names []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			names = append(names, s)
		}
	}
	file, ok := strings.CutPrefix(text, "@")
	if !ok {
		for s := range strings.SplitSeq(text, ",") {
			add(s)
		}
		return names, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--clips: %w: %w", err, coco.ErrFolder)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		add(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--clips: %s: %w: %w", file, err, coco.ErrFolder)
	}
	if names == nil {
		return nil, fmt.Errorf("--clips: %s names no flight: %w", file, coco.ErrFolder)
	}
	return names, nil
}

// measure runs one model over the pictures, with the tile and the threshold that it recommends.
func (c *modelCompare) measure(ctx context.Context, m modelContext, e model.Entry, list []compare.Picture, stderr io.Writer) ([]compare.Tally, model.ComparedModel, error) {
	s := engine.Settings{Model: e.Path, Store: m.store, Library: m.library, Provider: c.Provider, GPU: detr.GPU{Device: c.Device}, Threads: c.Threads}
	net, tiler, err := engine.Detector(s)
	if err != nil {
		return nil, model.ComparedModel{}, err
	}
	defer net.Close()
	about := model.ComparedModel{Name: net.Info().Name, SHA256: net.Info().Digest}
	if e.Origin == model.BuiltIn || e.Origin == model.Stored {
		about.Name = e.Name
	}
	meter := newMeter(stderr, about.Name)
	tallies, err := compare.Measure(ctx, list, tiler, s.Workers(), func(done, all int) {
		meter.show(float64(done), float64(all), "pictures", "")
	})
	meter.clear()
	if err != nil {
		return nil, about, fmt.Errorf("model %s: %w", about.Name, err)
	}
	t := tallies[len(tallies)-1]
	about.Pictures, about.Animals, about.Precision, about.Recall = t.Pictures, t.Animals, t.Precision(), t.Recall()
	about.F1, about.CountError, about.False = t.F1(), t.CountError(), t.False()
	return tallies, about, nil
}

// fewAnimals is the number below which chance decides.
const fewAnimals = 50

func (c *modelCompare) print(w io.Writer, r model.Comparison, tallies [2][]compare.Tally) error {
	if c.JSON {
		p := comparedPair{Comparison: r}
		for i := range tallies[0] {
			p.ByClip = append(p.ByClip, clipPair{tallies[0][i], tallies[1][i]})
		}
		return printJSON(w, p)
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FLIGHT\tMODEL\tPICTURES\tANIMALS\tPRECISION\tRECALL\tF1\tCOUNT ERROR\tFALSE A PICTURE")
	for i := range tallies[0] {
		for k, name := range []string{r.Old.Name, r.New.Name} {
			s := tallies[k][i]
			fmt.Fprintf(t, "%s\t%s\t%d\t%d\t", s.Clip, name, s.Pictures, s.Animals)
			if s.Animals == 0 {
				fmt.Fprintf(t, "-\t-\t-\t-\t%.2f\n", s.False())
				continue
			}
			fmt.Fprintf(t, "%.3f\t%.3f\t%.3f\t%+.1f %%\t%.2f\n", s.Precision(), s.Recall(), s.F1(), 100*s.CountError(), s.False())
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	why := "no clear difference"
	if len(r.Reasons) > 0 {
		why = strings.Join(r.Reasons, "; ")
	}
	relation := map[string]string{compare.Equal: "equal to"}[r.Verdict]
	if relation == "" {
		relation = r.Verdict + " than"
	}
	_, err := fmt.Fprintf(w, "Verdict: %s is %s %s: %s.\n", r.New.Name, relation, r.Old.Name, why)
	if err == nil && r.New.Animals < fewAnimals {
		_, err = fmt.Fprintf(w, "Only %d animals: with so few a difference may be chance.\n", r.New.Animals)
	}
	return err
}
