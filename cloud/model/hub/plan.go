package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
)

// item is one file to fetch.
type item struct {
	remote
	name     string // in the model folder
	from     string // URL, or path of this machine
	local    bool
	optional bool // may be missing at the source
	unlisted bool // must not exist: the source's digests do not list it
	max      int64
}

// maxText bounds every file except the network and its weights, in bytes.
const maxText = 4 << 20

// defaultNetworks are the paths of networks that are chosen without --file, in this order.
var defaultNetworks = []string{model.Network, "onnx/" + model.Network}

// planHub gets the commit and the files of the reference from the hub.
func (p *pull) planHub(ctx context.Context) ([]item, error) {
	r := p.o.Reference
	api := fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", r.Base, r.Repository, url.PathEscape(r.Revision))
	b, err := p.client.getDocument(ctx, api, maxListing)
	if errors.Is(err, ErrNotFound) {
		return p.planMirror(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	l, err := parseListing(b)
	if err != nil {
		return nil, err
	}
	network, err := chooseNetwork(l, r.File)
	if err != nil {
		return nil, err
	}
	p.source.Commit, p.source.Network = l.commit, network.path
	itemOf := func(f remote, name string, max int64) item {
		parts := strings.Split(f.path, "/")
		for i := range parts {
			parts[i] = url.PathEscape(parts[i])
		}
		return item{remote: f, name: name, max: max, from: fmt.Sprintf("%s/%s/resolve/%s/%s", r.Base, r.Repository,
			l.commit, strings.Join(parts, "/"))}
	}
	items := []item{itemOf(network, model.Network, p.o.MaxSize)}
	for _, f := range l.files {
		if isDataOf(network.path, f.path) {
			items = append(items, itemOf(f, path.Base(f.path), p.o.MaxSize))
		}
	}
	for _, name := range model.Descriptions { // a file beside the network has priority over one at the root
		f, ok := l.find(path.Join(path.Dir(network.path), name))
		if !ok {
			f, ok = l.find(name)
		}
		if ok {
			items = append(items, itemOf(f, name, maxText))
		}
	}
	for _, name := range companions {
		if f, ok := l.find(name); ok {
			items = append(items, itemOf(f, name, maxText))
		}
	}
	return items, nil
}

// companions are files for readers.
var companions = []string{"README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE"}

// isDataOf reports whether a file has weights of the network: it is in the same folder, and its name is that of the
// network with a suffix, such as model.onnx_data.
func isDataOf(network, file string) bool {
	rest, ok := strings.CutPrefix(file, network)
	return ok && model.IsData(model.Network+rest) && !strings.Contains(rest, "/")
}

// chooseNetwork chooses the network of a repository. The error wraps ErrChoice or ErrNotFound and lists the networks.
func chooseNetwork(l listing, wanted string) (remote, error) {
	var networks []remote
	for _, f := range l.files {
		if strings.HasSuffix(f.path, ".onnx") {
			networks = append(networks, f)
		}
	}
	if wanted != "" {
		if i := slices.IndexFunc(networks, func(f remote) bool { return f.path == wanted }); i >= 0 {
			return networks[i], nil
		}
		return remote{}, fmt.Errorf("the repository has no network %s; it has %s: %w", wanted, listNetworks(networks),
			ErrNotFound)
	}
	if len(networks) == 1 {
		return networks[0], nil
	}
	for _, p := range defaultNetworks {
		if f, ok := l.find(p); ok {
			return f, nil
		}
	}
	if len(networks) == 0 {
		return remote{}, fmt.Errorf("the repository has no .onnx file, so the worker cannot run it; export its model to ONNX "+
			"(Hugging Face: optimum-cli export onnx) and pull the folder: %w", ErrChoice)
	}
	return remote{}, fmt.Errorf("choose one with --file; the repository has %s: %w", listNetworks(networks), ErrChoice)
}

func listNetworks(files []remote) string {
	const most = 20
	var names []string
	for i, f := range files {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(files)-most))
			break
		}
		name := f.path
		if f.size >= 0 {
			name = fmt.Sprintf("%s (%.1f MB)", f.path, float64(f.size)/1e6)
		}
		names = append(names, name)
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

// planFolder lists the possible files of a folder over HTTP. A SHA256SUMS in the folder lists the existing files and
// their digests.
func (p *pull) planFolder(ctx context.Context) ([]item, error) {
	base := p.o.Reference.Base
	sums, err := p.sums(ctx, base)
	if err != nil {
		return nil, err
	}
	return p.planNames(p.network(), sums, func(name string) string { return base + "/" + url.PathEscape(name) })
}

// network is the requested network in a folder.
func (p *pull) network() string { return cmp.Or(p.o.Reference.File, model.Network) }

// sums reads the SHA256SUMS of a folder over HTTP, nil for a folder without it.
func (p *pull) sums(ctx context.Context, base string) ([]model.Sum, error) {
	b, err := p.client.getDocument(ctx, base+"/"+model.SumsFile, maxText)
	switch {
	case err == nil:
		sums, err := model.ParseSums(b)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", base, model.SumsFile, err)
		}
		return sums, nil
	case errors.Is(err, ErrDenied): // the answer of some stores for a missing file
		p.o.Note(fmt.Sprintf("%v; continuing without digests", err))
		return nil, nil
	case errors.Is(err, ErrNotFound):
		return nil, nil
	}
	return nil, err
}

// planMirror looks for a repository at a server with the hub's files but without lists, under the hub's URL of a file
// or directly below the repository's name. unlisted is the error of the request for the list.
func (p *pull) planMirror(ctx context.Context, unlisted error) ([]item, error) {
	r := p.o.Reference
	roots := []string{fmt.Sprintf("%s/%s/resolve/%s", r.Base, r.Repository, url.PathEscape(r.Revision))}
	if r.Revision == mainBranch { // a server without revisions has only one
		roots = append(roots, r.Base+"/"+r.Repository)
	}
	networks := defaultNetworks
	if r.File != "" {
		networks = []string{r.File}
	}
	p.client.hub = false
	for _, root := range roots {
		for _, at := range networks {
			dir, name := path.Split(at)
			ok, err := p.client.exists(ctx, root+"/"+dir+url.PathEscape(name))
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			return p.planMirrorFiles(ctx, root, dir, name)
		}
	}
	return nil, fmt.Errorf("%w; and there is no %s below %s", unlisted, strings.Join(networks, " or "),
		strings.Join(roots, " or "))
}

// planMirrorFiles lists the files of a mirror's repository at root. The network is name in dir, with its weights; the
// other files are at root.
func (p *pull) planMirrorFiles(ctx context.Context, root, dir, name string) (items []item, err error) {
	var sums []model.Sum
	if dir == "" {
		if sums, err = p.sums(ctx, root); err != nil {
			return nil, err
		}
	}
	items, err = p.planNames(name, sums, func(file string) string {
		if file == name || model.IsData(file) {
			return root + "/" + dir + url.PathEscape(file)
		}
		return root + "/" + url.PathEscape(file)
	})
	p.source = model.Source{Base: root, Network: dir + name} // the commit is unknown, so the source is a folder
	return items, err
}

// planLocal is planFolder for a folder of this machine.
func (p *pull) planLocal(context.Context) ([]item, error) {
	dir := p.o.Reference.Folder
	if st, err := os.Stat(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", err, ErrNotFound)
		}
		return nil, err
	} else if !st.IsDir() {
		return nil, fmt.Errorf("%s is neither a folder nor an .onnx file: %w", dir, ErrReference)
	}
	sums, err := model.ReadSums(dir)
	if err != nil {
		return nil, err
	}
	items, err := p.planNames(p.network(), sums, func(name string) string { return filepath.Join(dir, name) })
	for i := range items {
		items[i].local = true
	}
	if s, ok, fault := model.ReadSource(dir); fault == nil && ok && sums != nil && p.o.Reference.File == "" {
		p.source = s // a copy from another store with its digests: its source is still valid
	}
	return items, err
}

// planNames lists the files of a model folder that cannot be listed: all possible files, or with sums the existing
// ones.
func (p *pull) planNames(network string, sums []model.Sum, from func(string) string) ([]item, error) {
	p.source.Network = network
	digest := func(name string) (footage.Digest, bool) {
		i := slices.IndexFunc(sums, func(s model.Sum) bool { return s.File == name })
		if i < 0 {
			return footage.Digest{}, false
		}
		return sums[i].SHA256, true
	}
	var items []item
	add := func(file, name string, max int64, optional bool) {
		d, listed := digest(file)
		unlisted := optional && sums != nil && !listed
		if unlisted && !slices.Contains(model.Descriptions, file) {
			return
		}
		items = append(items, item{
			remote: remote{path: file, size: -1, sha256: d}, name: name, from: from(file), optional: optional && !listed, unlisted: unlisted, max: max,
		})
	}
	if _, listed := digest(network); sums != nil && !listed {
		return nil, fmt.Errorf("%s in the folder has no digest of %s: %w", model.SumsFile, network, model.ErrDigest)
	}
	add(network, model.Network, p.o.MaxSize, false)
	data := []string{network + "_data", network + ".data"}
	for _, s := range sums { // a network that was renamed to model.onnx still has the old names of its weights
		ofAnother := slices.ContainsFunc(sums, func(o model.Sum) bool {
			return o.File != network && isDataOf(o.File,
				s.File)
		})
		if model.IsData(s.File) && !strings.Contains(s.File, "/") && !ofAnother && !slices.Contains(data, s.File) {
			data = append(data, s.File)
		}
	}
	for _, name := range data {
		add(name, name, p.o.MaxSize, true)
	}
	for _, name := range append(slices.Clone(model.Descriptions), companions...) {
		add(name, name, maxText, true)
	}
	return items, nil
}
