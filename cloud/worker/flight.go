package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cattlecounter/cloud/count"
	"cattlecounter/cloud/count/flight"
	"cattlecounter/cloud/count/track/motion"
	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// flights is the part of the ledger that joins footage to flights. ledger.Flights implements it.
type flights interface {
	FlightOf(ctx context.Context, id footage.ID) (string, ledger.Hand, error)
	Neighbors(ctx context.Context, device string, p ledger.Part) ([]ledger.Part, error)
	Finish(ctx context.Context, jobID string, fence int64, c ledger.Count, resultKey string, j ledger.Joining) (ledger.Job,
		error)
	ListStale(ctx context.Context, limit int) ([]ledger.FlightView, error)
	Rejoin(ctx context.Context, v ledger.FlightView, groups []ledger.Group) error
	UnnamedResults(ctx context.Context, keys []string) ([]string, error)
}

const (
	// joinTries bounds the race with other parts of the flight that are counted at the same time.
	joinTries = 20
	staleEach = 30 * time.Second // between two looks for stale flights of an idle worker
	staleMost = 5                // of one look
)

// storeTrace writes what the count of the flight needs, and returns the part. An encoding that fails costs the
// flight this part, not the count.
func (a *attempt) storeTrace(ctx context.Context, out count.Outcome) (ledger.Part, error) {
	v, started := out.Result.Video, a.footage.Captured
	if started.IsZero() {
		started = out.Result.Reading.Recorded
	}
	p := ledger.Part{
		Footage: a.footage.ID, Name: a.footage.Name, SHA256: a.footage.SHA256, Started: started,
		Duration: time.Duration(v.Duration * float64(time.Second)), Width: v.Width, Height: v.Height, FPS: v.FPS,
		Codec: v.Codec, Unique: out.Result.Count.Unique, Low: out.Result.Count.Low, High: out.Result.Count.High,
	}
	trace, err := out.Trace.Encode()
	if err != nil {
		a.log.Warn("cannot encode the trace; the flight will lack the tracks of this part", "err", err)
		return p, nil
	}
	p.TraceKey = wire.TraceKey(a.footage.ID, out.Result.Model.Digest, a.job.Fence)
	return p, a.persist(ctx, func() error {
		_, err := a.w.o.Blobs.Put(ctx, p.TraceKey, bytes.NewReader(trace))
		return err
	})
}

// finishPart records the count together with the flights that it changes. The traces of other parts are read before;
// when one of these parts changes meanwhile, the flights are joined again.
func (a *attempt) finishPart(ctx context.Context, out count.Outcome, p ledger.Part, c ledger.Count, key string) (j ledger.Job,
	err error) {
	known := map[string]*flight.Trace{p.TraceKey: out.Trace}
	for range joinTries {
		var near []ledger.Part
		// Other parts may have joined it to their flight since the job began.
		if p.Flight, p.Hand, err = a.w.o.Flights.FlightOf(ctx, p.Footage); err != nil {
			return j, err
		}
		if near, err = a.w.o.Flights.Neighbors(ctx, a.footage.Device, p); err != nil {
			return j, err
		}
		groups, err := a.w.joinParts(ctx, a.footage.Device, related(p, near), known)
		a.addFlightResults(groups)
		if err != nil {
			return j, err
		}
		joining := ledger.Joining{Part: p, Neighbors: near, Groups: groups}
		j, err = a.w.o.Flights.Finish(ctx, a.job.ID, a.job.Fence, c, key, joining)
		if !errors.Is(err, ledger.ErrJoinedMeanwhile) {
			return j, err
		}
	}
	return j, fmt.Errorf("join the flight of footage %s: %w", p.Footage, ledger.ErrJoinedMeanwhile)
}

// related returns p with the parts that may be of its flight by names and times, those that may be of their flights,
// and so on. Only these need their traces.
func related(p ledger.Part, near []ledger.Part) []ledger.Part {
	list := []ledger.Part{p}
	left := slices.Clone(near)
	for i := 0; i < len(list); i++ {
		left = slices.DeleteFunc(left, func(o ledger.Part) bool {
			bound := bond(list[i], o) >= footage.BondLikely || bond(o, list[i]) >= footage.BondLikely ||
				o.Flight != "" && o.Flight == list[i].Flight
			if bound {
				list = append(list, o)
			}
			return bound
		})
	}
	return list
}

func bond(a, b ledger.Part) footage.Bond { return footage.Succeeds(aboutPart(a), aboutPart(b)).Bond }

func aboutPart(p ledger.Part) footage.Part {
	return footage.Part{Path: p.Name, Started: p.Started, Duration: p.Duration, Width: p.Width, Height: p.Height,
		FPS: p.FPS, Codec: p.Codec}
}

// joinParts divides parts into flights and writes the documents of flights of several parts. known holds traces by
// their keys, and gets those that were read.
func (w *Worker) joinParts(ctx context.Context, device string, parts []ledger.Part,
	known map[string]*flight.Trace) ([]ledger.Group, error) {
	slices.SortFunc(parts, func(a, b ledger.Part) int { return strings.Compare(string(a.Footage), string(b.Footage)) })
	list := make([]flight.Part, len(parts))
	for i, p := range parts {
		trace, err := w.readTrace(ctx, p, known)
		if err != nil {
			return nil, err
		}
		list[i] = flight.Part{Key: string(p.Footage), About: aboutPart(p), Unique: p.Unique, Low: p.Low, High: p.High,
			Trace: trace, GroundKey: p.TraceKey,
			Hand: p.Hand.Decided, After: string(p.Hand.After)}
	}
	grounds, err := w.readGrounds(ctx, parts)
	if err != nil {
		return nil, err
	}
	align := func(a, b motion.Map) []motion.Alignment { // a long flight takes minutes
		if ctx.Err() != nil {
			return nil
		}
		return motion.Align(a, b)
	}
	flights := flight.Join(list, align, grounds...)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var groups []ledger.Group
	for _, f := range flights {
		g, err := w.group(ctx, device, f, parts)
		groups = append(groups, g)
		if err != nil {
			return groups, err
		}
	}
	return groups, nil
}

// group judges a flight of several parts and writes its documents. parts are those that were joined.
func (w *Worker) group(ctx context.Context, device string, f flight.Flight, parts []ledger.Part) (g ledger.Group,
	err error) {
	g.JointCount = ledger.JointCount{Unique: f.Unique, Low: f.Low, High: f.High, ByClass: f.ByClass}
	var own []ledger.Part
	for _, i := range f.Parts {
		g.Parts = append(g.Parts, parts[i].Footage)
		own = append(own, parts[i])
	}
	if len(own) > 1 {
		var d flight.Drawing
		if d, g.Judged, err = w.drawing(ctx, device, own); err != nil {
			return g, fmt.Errorf("find the lines of a flight: %w", err)
		}
		f.Judge(d)
		g.Boundaries = f.Totals()
		if g.ResultKey, err = w.storeFlight(ctx, f, parts); err != nil {
			return g, err
		}
		if err = w.storeFlightSheet(ctx, f, parts, g.ResultKey); err != nil {
			return g, err
		}
	}
	for _, warn := range f.Warnings {
		g.Warnings = append(g.Warnings, warn.Text)
	}
	return g, nil
}

// readTrace reads the trace of a part. A trace that is missing or damaged is nil: the flight then says so.
func (w *Worker) readTrace(ctx context.Context, p ledger.Part, known map[string]*flight.Trace) (*flight.Trace, error) {
	if p.TraceKey == "" {
		return nil, nil
	}
	if t, ok := known[p.TraceKey]; ok {
		return t, nil
	}
	r, err := w.o.Blobs.Open(ctx, p.TraceKey, 0, -1)
	if errors.Is(err, blob.ErrNotFound) {
		w.o.Log.Warn("trace of a part is missing; its flight lacks its tracks", "footage", p.Footage, "key", p.TraceKey)
		known[p.TraceKey] = nil
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the trace of footage %s: %w", p.Footage, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, flight.MaxTrace+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read the trace of footage %s: %w", p.Footage, err)
	}
	t, err := flight.DecodeTrace(b)
	if err != nil {
		w.o.Log.Warn("trace of a part cannot be read; its flight lacks its tracks", "footage", p.Footage, "err", err)
		known[p.TraceKey] = nil
		return nil, nil
	}
	known[p.TraceKey] = &t
	return &t, nil
}

// maxDocument bounds the document of a flight in bytes.
const maxDocument = 64 << 20

// readGrounds reads how the grounds of the parts lie to each other from the documents of their flights. A document that
// is missing or cannot be read costs time only: its grounds are compared again.
func (w *Worker) readGrounds(ctx context.Context, parts []ledger.Part) (grounds []flight.Ground, err error) {
	seen := map[string]bool{"": true}
	for _, p := range parts {
		if seen[p.FlightResult] {
			continue
		}
		seen[p.FlightResult] = true
		r, err := w.o.Blobs.Open(ctx, p.FlightResult, 0, -1)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the result of flight %s: %w", p.Flight, err)
		}
		var doc struct {
			Grounds []flight.Ground `json:"grounds"`
		}
		err = json.NewDecoder(io.LimitReader(r, maxDocument)).Decode(&doc)
		if err := errors.Join(err, r.Close()); err != nil {
			w.o.Log.Warn("result of a flight cannot be read; its grounds are compared again", "flight", p.Flight, "err", err)
			continue
		}
		grounds = append(grounds, doc.Grounds...)
	}
	return grounds, nil
}

// storeFlight writes the result document of a flight and its crossings, and returns the key. Each call has a key of its
// own, so a document that the ledger does not name can be deleted.
func (w *Worker) storeFlight(ctx context.Context, f flight.Flight, parts []ledger.Part) (string, error) {
	doc := flight.DocumentOf(f, func(i int) flight.DocumentPart {
		p := parts[i]
		return flight.DocumentPart{Footage: p.Footage, Name: p.Name, SHA256: p.SHA256, Unique: p.Unique, Low: p.Low,
			High: p.High, Seconds: p.Duration.Seconds()}
	})
	var text bytes.Buffer
	if err := doc.WriteJSON(&text); err != nil {
		return "", err
	}
	key := wire.FlightKey(footage.Sum([]byte(footage.NewID(time.Now()))))
	if _, err := w.o.Blobs.Put(ctx, key, &text); err != nil {
		return key, fmt.Errorf("write the result of a flight: %w", err)
	}
	if !doc.HasBoundaries() {
		return key, nil
	}
	var table bytes.Buffer
	if err := doc.WriteCrossingsCSV(&table); err != nil {
		return key, err
	}
	if _, err := w.o.Blobs.Put(ctx, wire.FlightCrossingsKey(key), &table); err != nil {
		return key, fmt.Errorf("write the crossings of a flight: %w", err)
	}
	return key, nil
}

// addFlightResults notes the documents of groups, which the ledger may never name.
func (a *attempt) addFlightResults(groups []ledger.Group) {
	for _, g := range groups {
		a.flightResults = append(a.flightResults, g.ResultKey)
	}
}

// removeUnnamed deletes those of the written documents of flights that the ledger does not name. Links to documents that it
// named before may live for some time; cloud-api deletes those, and what a crash or a fault leaves.
func (w *Worker) removeUnnamed(ctx context.Context, keys []string) {
	keys = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(keys))), func(k string) bool { return k == "" })
	unnamed, err := w.o.Flights.UnnamedResults(ctx, keys)
	for _, key := range unnamed {
		for _, k := range []string{key, wire.FlightCrossingsKey(key), wire.FlightSheetKey(key)} {
			if e := w.o.Blobs.Delete(ctx, k); !errors.Is(e, blob.ErrNotFound) {
				err = errors.Join(err, e)
			}
		}
	}
	if err != nil {
		w.o.Log.Warn("cannot remove documents of flights that no flight names; cloud-api does in an hour", "err", err)
	}
}

// joinStale joins flights again whose parts have changed without a count, at most every staleEach.
func (w *Worker) joinStale(ctx context.Context) {
	if w.o.Flights == nil || time.Since(w.swept) < staleEach {
		return
	}
	w.swept = time.Now()
	if err := w.rejoin(ctx); err != nil && ctx.Err() == nil {
		w.o.Log.Warn("cannot join stale flights; trying again", "err", err, "retry_in", staleEach)
	}
}

// rejoin joins the stale flights. One that fails stays stale and does not hold up the others.
func (w *Worker) rejoin(ctx context.Context) error {
	stale, err := w.o.Flights.ListStale(ctx, staleMost)
	if err != nil {
		return err
	}
	var faults []error
	for _, v := range stale {
		groups, err := w.joinParts(ctx, v.Device, slices.Clone(v.Parts), map[string]*flight.Trace{})
		stored := err == nil
		if stored {
			err = w.o.Flights.Rejoin(ctx, v, groups)
		}
		// After other errors of the ledger the documents may be named.
		if err == nil || !stored && ctx.Err() == nil || errors.Is(err, ledger.ErrJoinedMeanwhile) {
			var written []string
			for _, g := range groups {
				written = append(written, g.ResultKey)
			}
			w.removeUnnamed(ctx, written)
		}
		switch {
		case err == nil:
			w.o.Log.Info("flight joined again", "flight", v.ID, "parts", len(v.Parts), "flights", len(groups))
		case ctx.Err() != nil:
			return err
		case !errors.Is(err, ledger.ErrJoinedMeanwhile):
			faults = append(faults, fmt.Errorf("flight %s: %w", v.ID, err))
		}
	}
	return errors.Join(faults...)
}
