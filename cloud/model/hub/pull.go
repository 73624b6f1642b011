package hub

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/model"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/secret"
)

// Options describe a pull. Check, Bad, Progress and Note are required.
type Options struct {
	Reference Reference
	Store     model.Store
	Name      string         // in the store; empty for that of the repository or folder
	SHA256    footage.Digest // required of the network, unless zero
	MaxSize   int64          // bytes of the network, and of each file of weights
	Token     secret.String
	TokenBase string // the hub that may get the token; no other server gets it
	// Check checks the finished folder. After an error the model gets no name.
	Check func(ctx context.Context, dir string) error
	// Bad reports whether an error of Check is a fault of the content. Then the downloaded files are removed, else they
	// stay for the next try.
	Bad      func(error) bool
	Progress func(file string, done, total int64) // total is -1 when unknown
	Note     func(text string)                    // messages for people during the pull
}

// Outcome is the result of a pull.
type Outcome struct {
	model.Entry
	Source  model.Source
	Already bool // the model was in the store before
}

type pull struct {
	o      Options
	client *client
	source model.Source
	folder string // of this machine, absolute; empty for other sources
	adding *model.Adding
}

// Pull pulls one model into the store. The error wraps a class of this package or of cloud/model, or the error of
// Check.
func Pull(ctx context.Context, o Options) (Outcome, error) {
	c := newClient(o.TokenBase, o.Token)
	defer c.http.CloseIdleConnections()
	return run(ctx, o, c)
}

func run(ctx context.Context, o Options, c *client) (Outcome, error) {
	r := o.Reference
	if o.Name != "" {
		if err := model.CheckName(o.Name); err != nil {
			return Outcome{}, err
		}
	}
	if f := r.File; f != "" && (!strings.HasSuffix(f,
		".onnx") || !safePath(f) || r.Repository == "" && strings.Contains(f, "/")) {
		return Outcome{}, fmt.Errorf("%q: want an .onnx file of the repository or directly in the folder: %w", f,
			ErrReference)
	}
	c.hub, c.note = r.Repository != "", o.Note
	p := &pull{o: o, client: c, source: model.Source{Base: r.Base, Repository: r.Repository, Revision: r.Revision}}
	if model.IsCommit(r.Revision) && r.File != "" { // a commit never changes
		p.source.Commit, p.source.Network = r.Revision, r.File
		if out, ok, err := p.findStored(); ok || err != nil {
			return out, err
		}
	}
	var err error
	if p.adding, err = o.Store.Add(); err != nil {
		return Outcome{}, err
	}
	defer p.adding.Close()
	out, err := p.run(ctx)
	if err != nil {
		err = fmt.Errorf("pull %s: %w", r, err)
		if errors.Is(err, ErrOffline) {
			err = fmt.Errorf("%w\n%s", err, o.advice())
		}
	}
	return out, err
}

// advice returns the remedies for a missing network.
func (o Options) advice() string {
	return fmt.Sprintf("Behind a proxy set HTTPS_PROXY. For a mirror set HF_ENDPOINT or --base. Without internet pull the model on another machine, "+
		"copy its folder to this one, and run: worker model pull ./FOLDER (the store is %s)", o.Store)
}

func (p *pull) run(ctx context.Context) (Outcome, error) {
	plan := p.planFolder
	switch {
	case p.o.Reference.Folder != "":
		plan = p.planLocal
		abs, err := filepath.Abs(p.o.Reference.Folder)
		if err != nil {
			return Outcome{}, err
		}
		p.source.Base, p.folder = abs, abs
	case p.client.hub:
		plan = p.planHub
	}
	items, err := plan(ctx)
	if err != nil {
		return Outcome{}, err
	}
	if out, ok, err := p.findStored(); ok || err != nil {
		return out, err
	}
	if err := pin(&items[0], p.o.SHA256); err != nil {
		return Outcome{}, err
	}
	stage, err := p.adding.Stage(p.key())
	if err != nil {
		return Outcome{}, err
	}
	files, err := p.fetch(ctx, items, stage)
	if err != nil {
		return Outcome{}, err
	}
	if p.source.Commit == "" || p.o.Reference.Folder != "" { // only the content shows whether the store has it
		if out, ok := p.findSameFiles(files); ok {
			return out, os.RemoveAll(stage)
		}
		p.dropChangedSource()
	}
	return p.name(ctx, stage, items[0].path, files)
}

// pin requires the wanted digest of the network.
func pin(network *item, wanted footage.Digest) error {
	if wanted.IsZero() {
		return nil
	}
	if !network.sha256.IsZero() && network.sha256 != wanted {
		return fmt.Errorf("%s has SHA-256 %s, want %s: %w", network.path, network.sha256, wanted, model.ErrDigest)
	}
	network.sha256 = wanted
	return nil
}

// key is the key of the stage. The same pull has the same key.
func (p *pull) key() string {
	s := p.source
	sum := footage.Sum([]byte(s.Base + "\n" + s.Repository + "\n" + s.Commit + "\n" + s.Network))
	return hex.EncodeToString(sum[:8])
}

// findStored finds the commit in the store, under the requested name or, without one, under any name. The error wraps
// model.ErrDigest when its network does not have the wanted digest. The source.json of a folder is not trusted: only
// the content shows whether the store has the model.
func (p *pull) findStored() (Outcome, bool, error) {
	if p.source.Commit == "" || p.o.Reference.Folder != "" {
		return Outcome{}, false, nil
	}
	list, err := p.o.Store.List()
	if err != nil {
		return Outcome{}, false, nil
	}
	for _, e := range list {
		s, ok, err := model.ReadSource(e.Path)
		if err != nil || !ok || !s.Same(p.source) || p.o.Name != "" && p.o.Name != e.Name {
			continue
		}
		if sums, err := model.ReadSums(e.Path); err == nil && !p.o.SHA256.IsZero() && !slices.Contains(sums,
			model.Sum{File: model.Network, SHA256: p.o.SHA256}) {
			return Outcome{}, false, fmt.Errorf("%s is in the store as %s, but its network does not have the wanted SHA-256 %s: %w", p.o.Reference, e.Name, p.o.SHA256, model.ErrDigest)
		}
		return Outcome{Entry: e, Source: s, Already: true}, true, nil
	}
	return Outcome{}, false, nil
}

// dropChangedSource replaces the source of a copied folder by its path when the store has other files of the same
// source: one of the two was changed by hand.
func (p *pull) dropChangedSource() {
	list, err := p.o.Store.List()
	if err != nil || p.source.Commit == "" {
		return
	}
	for _, e := range list {
		if s, ok, err := model.ReadSource(e.Path); err == nil && ok && s.Same(p.source) {
			p.source = model.Source{Base: p.folder, Network: p.source.Network}
			return
		}
	}
}

// findSameFiles finds a stored model with the same files.
func (p *pull) findSameFiles(files []model.Sum) (Outcome, bool) {
	list, err := p.o.Store.List()
	if err != nil {
		return Outcome{}, false
	}
	for _, e := range list {
		sums, err := model.ReadSums(e.Path)
		if err != nil || len(sums) != len(files) || p.o.Name != "" && p.o.Name != e.Name {
			continue
		}
		if !slices.ContainsFunc(files, func(f model.Sum) bool { return !slices.Contains(sums, f) }) {
			s, _, err := model.ReadSource(e.Path)
			return Outcome{Entry: e, Source: s, Already: true}, err == nil
		}
	}
	return Outcome{}, false
}

func (p *pull) fetch(ctx context.Context, items []item, stage string) ([]model.Sum, error) {
	var files []model.Sum
	for _, it := range items {
		get := p.client.fetch
		if it.local {
			get = copyLocal
		}
		d, err := get(ctx, it, stage, func(done, total int64) { p.o.Progress(it.path, done, total) })
		switch {
		case err == nil && it.unlisted:
			return nil, fmt.Errorf("%s exists, but %s does not list it: %w", it.path, model.SumsFile, model.ErrDigest)
		case err == nil:
			files = append(files, model.Sum{File: it.name, SHA256: d})
		case it.optional && errors.Is(err, ErrNotFound), it.unlisted && errors.Is(err, ErrAnswer):
		case it.optional && !p.client.hub && errors.Is(err, ErrDenied):
			p.o.Note(fmt.Sprintf("%v; continuing without the file", err))
		default:
			return nil, err
		}
	}
	return files, nil
}

// copyLocal is fetch for a file of this machine.
func copyLocal(ctx context.Context, it item, dir string,
	progress func(done, total int64)) (d footage.Digest, err error) {
	st, err := os.Stat(it.from) // opening a pipe would wait for a writer
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file: %w", it.from, ErrReference)
	}
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: %w", err, ErrNotFound)
	}
	if err != nil {
		return d, err
	}
	in, err := os.Open(it.from)
	if err != nil {
		return d, err
	}
	defer in.Close()
	t := &transfer{item: it, path: filepath.Join(dir, it.name), oneAnswer: true}
	if st.Size() > it.max {
		return d, fmt.Errorf("%s: %w", it.from, t.tooLarge(st.Size()))
	}
	out, err := os.OpenFile(t.part(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	n, err := io.Copy(out, io.LimitReader(in, it.max))
	if err != nil {
		return d, classifyFull(err)
	}
	progress(n, st.Size())
	if d, err = t.finish(ctx, out); err != nil {
		return d, fmt.Errorf("%s: %w", it.from, err)
	}
	return d, nil
}

// name names the model: by the option, else by the source. When another commit of the same repository has that name,
// the commit is added.
func (p *pull) name(ctx context.Context, stage, network string, files []model.Sum) (Outcome, error) {
	name := p.o.Name
	if name == "" {
		name = p.o.Reference.name(network)
		if e, err := p.o.Store.Get(name); err == nil {
			if s, ok, err := model.ReadSource(e.Path); err == nil && ok && s.Repository != "" && s.Base == p.source.Base && s.Repository == p.source.Repository {
				name += "-" + p.source.Commit[:7]
			}
		}
	}
	p.source.Pulled = time.Now().UTC().Truncate(time.Second)
	e, err := p.adding.Name(ctx, stage, name, files, p.source, p.o.Check)
	if errors.Is(err, model.ErrTaken) {
		return Outcome{}, fmt.Errorf("%w by another model of %s; choose another name with --name", err, p.o.Store)
	}
	if err != nil {
		if p.o.Bad(err) { // the next pull would get the same content
			err = errors.Join(err, os.RemoveAll(stage))
		}
		return Outcome{}, err
	}
	return Outcome{Entry: e, Source: p.source}, nil
}
