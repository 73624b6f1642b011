// Package allinone runs the whole product on one machine without any cloud:
// cloud-api with its own MQTT broker and the page, one worker, and the edge
// agent of one station, as child processes on loopback.
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
	"time"

	"cattlecounter/cloud/model"
)

// Options come from the command line.
type Options struct {
	Bin     string `help:"Folder with the programs." default:"build/bin" type:"path"`
	Data    string `help:"Folder for everything that is kept." default:"data" type:"path"`
	Fresh   bool   `help:"Empty the data folder first. It must be one that this program made."`
	Footage string `help:"Clip to put on the station's card. Default: a sample clip." type:"path"`
	Model   string `help:"Detector: ONNX file, its folder, or the name of a pulled model. Default: the project's own model."`
	Models  string `env:"CATTLE_MODELS" help:"Folder of the pulled models. Default: models in the data folder." type:"path"`
	Once    bool   `help:"End when the count is there."`
	Port    int    `help:"Port of the page; another one is taken when it is in use." default:"8080"`
}

// ErrUsage marks options that cannot work, with what to do about it.
var ErrUsage = errors.New("cannot start")

// errFailed is the end of a job without a count.
var errFailed = errors.New("the footage was not counted")

// marker tells a folder of ours, so that --fresh never empties another one.
const marker = ".cattlecounter"

// store is where the worker looks for models too.
func (o Options) store() model.Store {
	return model.Store{Dir: cmp.Or(o.Models, filepath.Join(o.Data, "cloud", model.StoreFolder))}
}

// Run works until ctx ends, or with Once until the clip is counted.
func Run(ctx context.Context, o Options, out io.Writer) error {
	found, err := o.store().Find(o.Model)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	detector := o.Model // the worker finds it anew, by the same rules
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
	if err := st.drop(clip); err != nil {
		return err
	}
	failed := make(chan error, 1)
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go tree.supervise(watching, func(err error) { failed <- err; cancel(err) })
	err = st.follow(watching, filepath.Base(clip), screen)
	select {
	case treeErr := <-failed:
		return treeErr
	default:
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil && (o.Once || !errors.Is(err, errFailed)) {
		return err
	}
	if o.Once {
		return nil
	}
	screen.line("all stays up: open %s, or copy more clips into %s; Ctrl-C ends it", st.link(), st.cardDir())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

func prepareData(o Options) error {
	_, err := os.Stat(filepath.Join(o.Data, marker))
	ours := err == nil
	if o.Fresh {
		left, err := os.ReadDir(o.Data)
		if err == nil && len(left) > 0 && !ours {
			return fmt.Errorf("%w: %s is not empty and was not made by this program; choose another --data", ErrUsage, o.Data)
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

// emptyData removes all but pulled models, which came over a network, and the
// mark that the folder is ours.
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

// findFootage takes the named clip, else the sample handed out for
// development, else renders one.
func findFootage(ctx context.Context, o Options, out io.Writer) (string, error) {
	if o.Footage != "" {
		info, err := os.Stat(o.Footage)
		if err != nil {
			return "", fmt.Errorf("%w: no footage there: %w", ErrUsage, err)
		}
		if info.IsDir() {
			return "", fmt.Errorf("%w: %s is a folder, name one clip", ErrUsage, o.Footage)
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

// drop copies the clip onto the card as a drone writes it: under a temporary
// name first, so that half a file is never mistaken for a whole one.
func (s *station) drop(clip string) error {
	src, err := os.Open(clip)
	if err != nil {
		return fmt.Errorf("put footage on the card: %w", err)
	}
	defer src.Close()
	target := filepath.Join(s.cardDir(), filepath.Base(clip))
	part := target + ".part"
	dst, err := os.Create(part)
	if err != nil {
		return fmt.Errorf("put footage on the card: %w", err)
	}
	_, err = io.Copy(dst, src)
	if err := errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("put footage on the card: %w", err)
	}
	return os.Rename(part, target)
}

const (
	stopLimit  = 20 * time.Second
	readyLimit = time.Minute
)
