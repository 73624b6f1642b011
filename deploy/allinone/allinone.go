// Package allinone runs the whole product on one machine: cloud-api with its own MQTT broker and the page, one worker,
// and the edge agent of one station, as child processes on loopback.
package allinone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"cattlecounter/cloud/model"
)

// Options come from the command line.
type Options struct {
	Bin     string `help:"Folder with the programs." default:"build/bin" type:"path"`
	Data    string `help:"Folder of all data: configurations, footage, results, logs." default:"data" type:"path"`
	Fresh   bool   `help:"Empty the data folder first. Only a folder that allinone created is emptied."`
	Footage string `help:"Clip to put on the station's card. Default: a sample clip." type:"path"`
	Model   string `help:"Detector: ONNX file, its folder, or the name of a pulled model. Default: the project's own model."`
	Models  string `env:"CATTLE_MODELS" help:"Folder of the pulled models. Default: models in the data folder." type:"path"`
	Once    bool   `help:"Exit after the first count."`
	Port    int    `help:"Port of the page; allinone picks another one when it is in use." default:"8080"`
}

// ErrUsage is the class of options that cannot work. The message says what to change.
var ErrUsage = errors.New("cannot start")

// errFailed is the class of jobs that ended without a count.
var errFailed = errors.New("the footage was not counted")

// marker is the file by which --fresh recognises a data folder of allinone.
const marker = ".cattlecounter"

// store is the same folder of models that the worker uses.
func (o Options) store() model.Store {
	return model.Store{Dir: cmp.Or(o.Models, filepath.Join(o.Data, "cloud", model.StoreFolder))}
}

// Run starts the programs and follows the clip. It returns when ctx ends, with Once when the clip is counted, or when a
// program cannot be kept running. All programs have ended by then. Progress goes to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	found, err := o.store().Find(o.Model)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	detector := o.Model // the worker resolves the name by the same rules
	if found.Origin == model.Path {
		if detector, err = filepath.Abs(found.Path); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	}
	if err := prepareData(o); err != nil {
		return err
	}
	clip, err := findFootage(ctx, o, out)
	if err != nil {
		return err
	}
	st, err := newStation(ctx, o, detector)
	if err != nil {
		return err
	}
	screen := newScreen(out)
	tree, err := st.start(ctx, screen)
	if err != nil {
		return err
	}
	defer tree.stop()
	screen.line("page      %s", st.link())
	screen.line("station   %s watches %s", deviceName, st.cardDir())
	screen.line("model     %s (%s)", found.Name, found.Path)
	screen.line("footage   %s", clip)
	if err := st.copyToCard(clip); err != nil {
		return err
	}
	return st.serve(ctx, tree, filepath.Base(clip), screen)
}

// serve follows the clip while the programs are supervised.
func (s *station) serve(ctx context.Context, tree *tree, clip string, screen *screen) error {
	supervised, cancel := context.WithCancelCause(ctx)
	var supervisor sync.WaitGroup
	defer supervisor.Wait()
	defer cancel(nil)
	failed := make(chan error, 1)
	supervisor.Go(func() {
		if err := tree.supervise(supervised); err != nil {
			failed <- err
			cancel(err)
		}
	})
	err := s.follow(supervised, clip, screen)
	select {
	case treeErr := <-failed:
		return treeErr
	default:
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && (s.o.Once || !errors.Is(err, errFailed)) {
		return err
	}
	if s.o.Once {
		return nil
	}
	if code, err := s.logInCode(ctx); err == nil { // the one before may be used or old; the page may also be open
		s.code = code
	}
	screen.line("running: open %s, or copy more clips into %s; Ctrl-C stops", s.link(), s.cardDir())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// prepareData creates the folders of the data folder. With Fresh it empties them first.
func prepareData(o Options) error {
	_, err := os.Stat(filepath.Join(o.Data, marker))
	ours := err == nil
	if o.Fresh {
		left, err := os.ReadDir(o.Data)
		if err == nil && len(left) > 0 && !ours {
			return fmt.Errorf("%w: %s is not empty and was not created by allinone; choose another --data", ErrUsage, o.Data)
		}
		if err := emptyData(o.Data); err != nil {
			return fmt.Errorf("empty the data folder: %w", err)
		}
	}
	for _, d := range []string{"", "card/DCIM/100MEDIA", "logs", "cloud", "edge"} {
		if err := os.MkdirAll(filepath.Join(o.Data, d), 0o750); err != nil {
			return fmt.Errorf("make the data folder: %w", err)
		}
	}
	return os.WriteFile(filepath.Join(o.Data, marker), []byte("made by allinone\n"), 0o640)
}

// emptyData removes everything except the marker and the pulled models, which came over a network.
func emptyData(dir string) error {
	cloud := filepath.Join(dir, "cloud")
	keep := []string{filepath.Join(dir, marker), cloud, filepath.Join(cloud, model.StoreFolder)}
	var errs []error
	for _, d := range []string{dir, cloud} {
		entries, err := os.ReadDir(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if path := filepath.Join(d, e.Name()); !slices.Contains(keep, path) {
				errs = append(errs, os.RemoveAll(path))
			}
		}
	}
	return errors.Join(errs...)
}

// findFootage returns the clip of the options, else the sample clip of a development machine, else a rendered clip.
func findFootage(ctx context.Context, o Options, out io.Writer) (string, error) {
	if o.Footage != "" {
		info, err := os.Stat(o.Footage)
		if err != nil {
			return "", fmt.Errorf("%w: --footage: %w", ErrUsage, err)
		}
		if info.IsDir() {
			return "", fmt.Errorf("%w: --footage %s is a folder; name one clip", ErrUsage, o.Footage)
		}
		return o.Footage, nil
	}
	const sample = "../shared/data/drone-pans/yak1_single_pass.mp4"
	if _, err := os.Stat(sample); err == nil {
		return sample, nil
	}
	fmt.Fprintln(out, "rendering a clip of a simulated herd")
	return render(ctx, o)
}

// copyToCard copies the clip onto the card under a temporary name and renames it, so that the station never reads half a
// file.
func (s *station) copyToCard(clip string) error {
	src, err := os.Open(clip)
	if err != nil {
		return fmt.Errorf("copy the clip to the card: %w", err)
	}
	defer src.Close()
	target := filepath.Join(s.cardDir(), filepath.Base(clip))
	part := target + ".part"
	dst, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("copy the clip to the card: %w", err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("copy the clip to the card: %w", err)
	}
	return os.Rename(part, target)
}

const (
	stopLimit  = 20 * time.Second
	readyLimit = time.Minute
)
