package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
	"cattlecounter/shared/faulttext"
	"cattlecounter/shared/wire"
)

const (
	// rescan is how often a shelf looks for models that came or went.
	rescan = 30 * time.Second
	// spareFor is how long a model that could not be loaded is not tried again while its files stay the same.
	spareFor = 5 * time.Minute
)

// errChanged says that the files of the own model are no longer those that were loaded at the start.
var errChanged = errors.New("its files have changed since the worker started; restart the worker to use them")

// Shelf has the models of a machine, one of them loaded. Its methods are safe for concurrent use, but a Counter ends when
// another model is loaded. Close it after use.
type Shelf struct {
	set Settings
	log *slog.Logger
	now func() time.Time

	load   sync.Mutex // one model is loaded at a time
	scan   sync.Mutex // and one scan runs at a time
	mu     sync.Mutex // of what follows
	own    book       // as loaded at the start
	loaded *Engine    // nil after a failed change of the model
	ref    wire.ModelRef
	books  []book                     // all models, also those with a fault, the own model first
	spared map[model.Entry]failedLoad // models that are not tried again for now
}

// failedLoad is why a model could not be loaded.
type failedLoad struct {
	fault string
	mark  string // of the files then
	until time.Time
}

// book is one model on a shelf.
type book struct {
	entry model.Entry
	mark  string // of its files, without their content
	wire.InstalledModel
}

// OpenShelf loads the model that the settings name, and reads which others there are. Errors are those of Open.
func OpenShelf(ctx context.Context, set Settings, log *slog.Logger) (*Shelf, error) {
	found, err := set.Store.Find(set.Model)
	if err != nil {
		return nil, err
	}
	e, err := set.open(found)
	if err != nil {
		return nil, err
	}
	s := &Shelf{set: set, log: log, now: time.Now, loaded: e, ref: wire.ModelRef{Name: e.Model.Name, SHA256: e.Model.Digest},
		spared: map[model.Entry]failedLoad{}}
	s.own = s.describe(ctx, found, fingerprint(found), e.net.Info(), nil)
	s.own.ModelRef = s.ref
	s.books = []book{s.own}
	s.Rescan(ctx)
	return s, nil
}

// Engine returns the engine that is loaded, nil after a failed change.
func (s *Shelf) Engine() *Engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded
}

// Run looks for models that came or went until ctx ends.
func (s *Shelf) Run(ctx context.Context) {
	tick := time.NewTicker(rescan)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.Rescan(ctx)
		}
	}
}

// Rescan looks for models that came or went. It reads those that are new, have changed or had a fault.
func (s *Shelf) Rescan(ctx context.Context) {
	s.scan.Lock()
	defer s.scan.Unlock()
	entries, err := s.set.Store.List()
	if err != nil {
		s.log.Warn("cannot list the installed models; keeping the list of before", "store", s.set.Store.String(), "err", err)
		return
	}
	if e, ok := model.Own(); ok {
		entries = append([]model.Entry{e}, entries...)
	}
	s.mu.Lock()
	before, own := s.books, s.own
	s.mu.Unlock()
	books := []book{s.lookAtOwn(ctx, before[0])}
	for _, e := range entries {
		if !samePlace(e, own.entry) {
			books = append(books, s.look(ctx, e, before))
		}
		if ctx.Err() != nil {
			return // what was read last may have its end as a fault
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books = books
	for e, f := range s.spared {
		same := func(b book) bool { return b.entry == e && b.mark == f.mark }
		if !s.now().Before(f.until) || !slices.ContainsFunc(books, same) {
			delete(s.spared, e)
		}
	}
}

// look returns the report of a model, that of before while its files stay the same. A fault may end without a change of
// the files in the fingerprint, so a model with a fault is read each time.
func (s *Shelf) look(ctx context.Context, e model.Entry, before []book) book {
	mark, last := fingerprint(e), book{}
	if i := slices.IndexFunc(before, func(b book) bool { return b.entry == e }); i >= 0 {
		last = before[i]
	}
	if last.mark == mark && last.Fault == "" {
		return last
	}
	info, fault := detr.Describe(detr.Options{Path: e.Path, Library: s.set.Library})
	b := s.describe(ctx, e, mark, info, fault)
	s.logFault(b, last.Fault)
	return b
}

// lookAtOwn is look for the own model. What was loaded at the start counts until the worker restarts, so other files in
// its place are a fault.
func (s *Shelf) lookAtOwn(ctx context.Context, last book) book {
	b := s.look(ctx, s.own.entry, []book{last})
	if s.own.entry.Origin != model.Stored && b.SHA256 == s.own.SHA256 {
		b.Name = s.own.Name
	}
	if b.Fault == "" && (b.ModelRef != s.own.ModelRef || b.Threshold != s.own.Threshold) {
		b.Fault = oneLine(errChanged)
		s.logFault(b, last.Fault)
	}
	return b
}

// logFault logs a fault once.
func (s *Shelf) logFault(b book, before string) {
	if b.Fault != "" && b.Fault != before {
		s.log.Warn("model cannot be used", "model", b.entry.Name, "path", b.entry.Path, "err", b.Fault)
	}
}

func samePlace(a, b model.Entry) bool {
	one, err := filepath.Abs(a.Dir())
	if err != nil {
		return false
	}
	other, err := filepath.Abs(b.Dir())
	return err == nil && one == other
}

// fingerprint changes when a file of a model that matters here does.
func fingerprint(e model.Entry) string {
	var b strings.Builder
	for _, name := range append([]string{model.Network, model.SumsFile, model.SourceFile, model.ComparisonFile}, model.Descriptions...) {
		if st, err := os.Stat(filepath.Join(e.Dir(), name)); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", name, st.Size(), st.ModTime().UnixNano())
		}
	}
	return b.String()
}

// describe makes the report of a model. fault is why its files could not be read; mark is their fingerprint before that.
func (s *Shelf) describe(ctx context.Context, e model.Entry, mark string, info detr.Info, fault error) book {
	b := book{entry: e, mark: mark}
	b.Name, b.SHA256, b.Size, b.Threshold = e.Name, info.Digest, info.Size, info.Threshold
	if e.Origin != model.Stored && info.Name != "" {
		b.Name = info.Name // as in results
	}
	if fault == nil {
		fault = checkFiles(ctx, e)
	}
	if fault != nil {
		b.Fault = oneLine(fault)
	}
	if err := model.CheckCompared(e, info.Digest, info.FinetunedFrom); err != nil {
		b.Caution = oneLine(err)
	}
	if st, err := os.Stat(filepath.Join(e.Dir(), model.Network)); err == nil {
		b.Since = st.ModTime().UTC().Truncate(time.Second)
	}
	if source, ok, err := model.ReadSource(e.Dir()); err == nil && ok {
		b.Since = source.Pulled.UTC()
	}
	if c, ok, err := model.ReadComparison(e.Dir()); err == nil && ok {
		b.Comparison = &wire.ModelComparison{Old: figures(c.Old), New: figures(c.New), Verdict: c.Verdict, Reasons: c.Reasons,
			Compared: c.Compared.UTC()}
	}
	return b
}

func figures(m model.ComparedModel) wire.ModelFigures {
	return wire.ModelFigures{ModelRef: wire.ModelRef{Name: m.Name, SHA256: m.SHA256}, Pictures: m.Pictures, Animals: m.Animals,
		Precision: m.Precision, Recall: m.Recall, F1: m.F1, CountError: m.CountError, False: m.False}
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// Installed returns the models of this machine, the one that is used while no other is chosen first.
func (s *Shelf) Installed() []wire.InstalledModel {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]wire.InstalledModel, len(s.books))
	for i, b := range s.books {
		out[i] = b.InstalledModel
		out[i].Loaded, out[i].Own = s.loaded != nil && b.ModelRef == s.ref, i == 0
		out[i].Fault = faulttext.WithoutFolders(cmp.Or(b.Fault, s.spared[b.entry].fault), b.entry.Dir(), filepath.Dir(b.entry.Dir()))
		out[i].Caution = faulttext.WithoutFolders(b.Caution, b.entry.Dir(), filepath.Dir(b.entry.Dir()))
	}
	return out
}

// find returns a model without a fault.
func (s *Shelf) find(m wire.ModelRef) (book, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.IsZero() {
		return s.own, true
	}
	i := slices.IndexFunc(s.books, func(b book) bool { return b.ModelRef == m && b.Fault == "" && s.spared[b.entry].fault == "" })
	if i < 0 {
		return book{}, false
	}
	return s.books[i], true
}

// Usable returns the models of this machine without a fault.
func (s *Shelf) Usable() []wire.ModelRef {
	var all []wire.ModelRef
	for _, m := range s.Installed() {
		if m.Fault == "" {
			all = append(all, m.ModelRef)
		}
	}
	return all
}

// Has reports whether a model is installed and usable. The zero reference is the own model.
func (s *Shelf) Has(m wire.ModelRef) bool {
	_, ok := s.find(m)
	return ok
}

// Counter returns a counter with a model, and loads it in place of the loaded one. Counters of before end: no other call
// may use one. The error of a model that went since Has wraps model.ErrNoModel, others are those of Open. A model that
// cannot be loaded has this as its fault until its files change or some minutes have passed.
func (s *Shelf) Counter(m wire.ModelRef) (*count.Counter, error) {
	s.load.Lock()
	defer s.load.Unlock()
	b, ok := s.find(m)
	if !ok {
		return nil, fmt.Errorf("%s is not installed: %w", m, model.ErrNoModel)
	}
	s.mu.Lock()
	loaded, ref := s.loaded, s.ref
	s.mu.Unlock()
	if loaded != nil && ref == b.ModelRef {
		return loaded.Counter, nil
	}
	began := time.Now()
	if loaded != nil { // first, because the memory may not hold two
		s.keep(nil, wire.ModelRef{})
		if err := loaded.Close(); err != nil {
			s.log.Warn("cannot free the model of before", "model", ref.String(), "err", err)
		}
	}
	e, err := s.openAs(b)
	if err != nil {
		s.spare(b, err)
		return nil, err
	}
	s.keep(e, b.ModelRef)
	s.log.Info("model changed", "from", ref.String(), "to", b.ModelRef.String(), "took", time.Since(began).Round(time.Millisecond))
	return e.Counter, nil
}

// openAs loads a model, and refuses one that is another than reported.
func (s *Shelf) openAs(b book) (*Engine, error) {
	e, err := s.set.open(b.entry)
	if err != nil {
		return nil, err
	}
	if got := (wire.ModelRef{Name: e.Model.Name, SHA256: e.Model.Digest}); got != b.ModelRef {
		return nil, errors.Join(fmt.Errorf("%s has become %s: %w", b.ModelRef, got, model.ErrDigest), e.Close())
	}
	return e, nil
}

// spare keeps others from a model that cannot be loaded.
func (s *Shelf) spare(b book, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spared[b.entry] = failedLoad{fault: "cannot be loaded: " + oneLine(fault), mark: b.mark, until: s.now().Add(spareFor)}
}

func (s *Shelf) keep(e *Engine, ref wire.ModelRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded, s.ref = e, ref
}

// Close frees the loaded model.
func (s *Shelf) Close() error {
	s.load.Lock()
	defer s.load.Unlock()
	e := s.Engine()
	s.keep(nil, wire.ModelRef{})
	if e == nil {
		return nil
	}
	return e.Close()
}
