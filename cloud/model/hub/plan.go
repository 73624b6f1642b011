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
	from     string // address, or path of this machine
	local    bool
	optional bool // may be absent at the source
	unlisted bool // a fault where it is there: the source's digests leave it out
	most     int64
}

// maxText bounds every file but the network and its weights.
const maxText = 4 << 20

// networkAt are the networks that are taken without asking, in this order.
var networkAt = []string{model.Network, "onnx/" + model.Network}

// planHub asks the hub for the commit and the files of the reference.
func (p *pull) planHub(ctx context.Context) ([]item, error) {
	r := p.o.Reference
	api := fmt.Sprintf("%s/api/models/%s/revision/%s?blobs=true", r.Base, r.Repository, url.PathEscape(r.Revision))
	b, err := p.client.get(ctx, api, maxListing)
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
	take := func(f remote, name string, most int64) item {
		parts := strings.Split(f.path, "/")
		for i := range parts {
			parts[i] = url.PathEscape(parts[i])
		}
		return item{remote: f, name: name, most: most, from: fmt.Sprintf("%s/%s/resolve/%s/%s", r.Base, r.Repository, l.commit, strings.Join(parts, "/"))}
	}
	items := []item{take(network, model.Network, p.o.MaxSize)}
	for _, f := range l.files {
		if isDataOf(network.path, f.path) {
			items = append(items, take(f, path.Base(f.path), p.o.MaxSize))
		}
	}
	for _, name := range model.Descriptions { // those beside the network go before those of the repository
		f, ok := l.find(path.Join(path.Dir(network.path), name))
		if !ok {
			f, ok = l.find(name)
		}
		if ok {
			items = append(items, take(f, name, maxText))
		}
	}
	for _, name := range companions {
		if f, ok := l.find(name); ok {
			items = append(items, take(f, name, maxText))
		}
	}
	return items, nil
}

// companions are files for people.
var companions = []string{"README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE"}

// isDataOf reports whether a file holds weights of the network: it stands
// beside it and has its name with an ending, such as model.onnx_data.
func isDataOf(network, file string) bool {
	rest, ok := strings.CutPrefix(file, network)
	return ok && model.IsData(model.Network+rest) && !strings.Contains(rest, "/")
}

// chooseNetwork finds the one network of a repository. The error wraps
// ErrChoice or ErrNotFound and lists what there is.
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
		return remote{}, fmt.Errorf("no network %s; the repository has %s: %w", wanted, show(networks), ErrNotFound)
	}
	if len(networks) == 1 {
		return networks[0], nil
	}
	for _, p := range networkAt {
		if f, ok := l.find(p); ok {
			return f, nil
		}
	}
	if len(networks) == 0 {
		return remote{}, fmt.Errorf("the repository has no .onnx file, so the worker cannot run it; export its model to ONNX "+
			"(Hugging Face: optimum-cli export onnx) and pull the folder: %w", ErrChoice)
	}
	return remote{}, fmt.Errorf("name one with --file; the repository has %s: %w", show(networks), ErrChoice)
}

func show(files []remote) string {
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

// planFolder lists the names that a folder over HTTP may have. Where it has a
// SHA256SUMS, that says which files there are and their digests.
func (p *pull) planFolder(ctx context.Context) ([]item, error) {
	base := p.o.Reference.Base
	sums, err := p.sums(ctx, base)
	if err != nil {
		return nil, err
	}
	return p.planNames(p.network(), sums, func(name string) string { return base + "/" + url.PathEscape(name) })
}

// network is the wanted file of a folder.
func (p *pull) network() string { return cmp.Or(p.o.Reference.File, model.Network) }

// sums reads the SHA256SUMS of a folder over HTTP, nil when it has none.
func (p *pull) sums(ctx context.Context, base string) ([]model.Sum, error) {
	b, err := p.client.get(ctx, base+"/"+model.SumsFile, maxText)
	switch {
	case err == nil:
		sums, err := model.ParseSums(b)
		if err != nil {
			return nil, fmt.Errorf("%s/%s: %w", base, model.SumsFile, err)
		}
		return sums, nil
	case errors.Is(err, ErrDenied): // so answer some stores for what is not there
		p.o.Note(fmt.Sprintf("%v; going on without digests", err))
		return nil, nil
	case errors.Is(err, ErrNotFound):
		return nil, nil
	}
	return nil, err
}

// planMirror looks for a repository at a server that has the hub's files but
// cannot list them, under the hub's address of a file or right below the
// repository's name. unlisted is what it said when asked for the list.
func (p *pull) planMirror(ctx context.Context, unlisted error) ([]item, error) {
	r := p.o.Reference
	roots := []string{fmt.Sprintf("%s/%s/resolve/%s", r.Base, r.Repository, url.PathEscape(r.Revision))}
	if r.Revision == mainBranch { // without revisions there is no other
		roots = append(roots, r.Base+"/"+r.Repository)
	}
	networks := networkAt
	if r.File != "" {
		networks = []string{r.File}
	}
	p.client.hub = false
	for _, root := range roots {
		for _, at := range networks {
			dir, name := path.Split(at)
			there, err := p.client.has(ctx, root+"/"+dir+url.PathEscape(name))
			if err != nil {
				return nil, err
			}
			if !there {
				continue
			}
			return p.planFound(ctx, root, dir, name)
		}
	}
	return nil, fmt.Errorf("%w; nor is there %s below %s", unlisted, strings.Join(networks, " or "), strings.Join(roots, " or "))
}

// planFound lists the files of a mirror's repository at root whose network is
// dir and name; its weights are beside it, the rest is at root.
func (p *pull) planFound(ctx context.Context, root, dir, name string) (items []item, err error) {
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
	p.source = model.Source{Base: root, Network: dir + name} // no commit is known, so it is a folder's
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
		p.source = s // carried here from another store, with its digests: it is still what it was
	}
	return items, err
}

// planNames lists the files of a model folder that cannot be listed: all that
// may be there, or with sums those that are.
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
	add := func(file, name string, most int64, optional bool) {
		d, listed := digest(file)
		unlisted := optional && sums != nil && !listed
		if unlisted && !slices.Contains(model.Descriptions, file) {
			return
		}
		items = append(items, item{
			remote: remote{path: file, size: -1, sha256: d}, name: name, from: from(file), optional: optional && !listed, unlisted: unlisted, most: most,
		})
	}
	if _, listed := digest(network); sums != nil && !listed {
		return nil, fmt.Errorf("%s of the folder has no digest of %s: %w", model.SumsFile, network, model.ErrDigest)
	}
	add(network, model.Network, p.o.MaxSize, false)
	data := []string{network + "_data", network + ".data"}
	for _, s := range sums { // a network that was renamed to model.onnx still names its weights as before
		ofAnother := slices.ContainsFunc(sums, func(o model.Sum) bool { return o.File != network && isDataOf(o.File, s.File) })
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
