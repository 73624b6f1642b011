package enrol

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"cattlecounter/shared/secret"
)

// agentGroup is the group of the service. Its members may read the configuration and the token.
const agentGroup = "cattlecounter"

// writer writes whole files into the folder of the configuration.
type writer struct {
	folder string
	gid    int // -1 for the own group
	mode   fs.FileMode
}

// newWriter returns a writer whose files root and the service may read, or without root the user alone.
func newWriter(folder string) *writer {
	w := &writer{folder: folder, gid: -1, mode: 0o600}
	if os.Geteuid() != 0 {
		return w
	}
	g, err := user.LookupGroup(agentGroup)
	if err != nil {
		return w // not installed as a service
	}
	if gid, err := strconv.Atoi(g.Gid); err == nil {
		w.gid, w.mode = gid, 0o640
	}
	return w
}

// write writes a file that is whole, or as before, after a crash.
func (w *writer) write(name string, text []byte) (err error) {
	f, err := os.CreateTemp(w.folder, "."+name+"-*")
	if err != nil {
		return fmt.Errorf("cannot write into %s: %w; run the command as root", w.folder, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", filepath.Join(w.folder, name), errors.Join(err, os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(text)
	if err == nil && w.gid >= 0 {
		err = f.Chown(-1, w.gid)
	}
	if err = errors.Join(err, f.Chmod(w.mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), filepath.Join(w.folder, name)); err != nil {
		return err
	}
	return w.sync()
}

// sync makes a rename durable.
func (w *writer) sync() error {
	d, err := os.Open(w.folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (w *writer) remove(name string) error {
	if err := os.Remove(filepath.Join(w.folder, name)); err != nil {
		return fmt.Errorf("the station is enrolled, but %w", err)
	}
	return w.sync()
}

// nextToken returns the token of an attempt that did not end, or a new one, which it stores.
func (w *writer) nextToken() (secret.String, error) {
	b, err := os.ReadFile(filepath.Join(w.folder, nextName))
	if err == nil && strings.HasPrefix(string(b), tokenPrefix) {
		return secret.New(strings.TrimSpace(string(b))), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return secret.String{}, fmt.Errorf("token: %w; run the command as root", err)
	}
	token := newToken()
	return token, w.write(nextName, []byte(token.Reveal()+"\n"))
}

// firstConfig is the content of a configuration file that does not exist yet, nil for one that does.
func firstConfig(o Options) ([]byte, error) {
	_, err := os.Stat(o.Config)
	switch {
	case err == nil && len(o.Watch) > 0:
		return nil, fmt.Errorf("%s exists: set watch.folders there, and leave --watch out", o.Config)
	case err == nil:
		return nil, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case len(o.Watch) == 0:
		return nil, fmt.Errorf("%s does not exist: name the folder of the drone's card with --watch, such as "+
			"--watch /media/drone", o.Config)
	}
	var folders []string
	for _, f := range o.Watch {
		abs, err := filepath.Abs(f)
		if err != nil {
			return nil, err
		}
		folders = append(folders, abs)
	}
	text, err := yaml.Marshal(map[string]any{"watch": map[string]any{"folders": folders}})
	if err != nil {
		return nil, err
	}
	const head = "# Configuration of the edge agent. edge-agent.sample.yaml explains every key. The identity of this\n" +
		"# station is in enrolled.yaml.\n"
	return append([]byte(head), text...), nil
}
