package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"cattlecounter/cloud/count/video/container"
	"cattlecounter/shared/filesum"
	"cattlecounter/shared/footage"
)

// plan says which clips of a folder are counted. Indices are those of the clips.
type plan struct {
	clips []clip
	// copyOf is the clip with the same content, -1 for the first one of each content.
	copyOf []int
	// flights hold the first clips of each content. The first clip of a flight is counted; the others take its place
	// when it cannot be read.
	flights [][]int
	// notes tell why a clip is counted although its name looks like that of a sibling, by clip.
	notes map[int]string
}

// makePlan finds copies by their digests and siblings by their names, starts and lengths. It reads only clips whose
// size another clip has too. A clip that cannot be read has no copy here; the count reports why. The error is the cause
// of ctx.
func makePlan(ctx context.Context, clips []clip, stderr io.Writer) (*plan, error) {
	p := &plan{clips: clips, copyOf: slices.Repeat([]int{-1}, len(clips)), notes: map[int]string{}}
	if err := p.findCopies(ctx, stderr); err != nil {
		return nil, err
	}
	p.findSiblings()
	return p, nil
}

// findCopies compares clips of the same size by their digests. Empty files are no copies of each other.
func (p *plan) findCopies(ctx context.Context, stderr io.Writer) error {
	bySize := map[int64][]int{}
	total := int64(0)
	for i, c := range p.clips {
		if c.size > 0 {
			bySize[c.size] = append(bySize[c.size], i)
		}
	}
	for size, same := range bySize {
		if len(same) > 1 {
			total += size * int64(len(same))
		}
	}
	m := newMeter(stderr, "looking for copies")
	defer m.clear()
	first := map[footage.Digest]int{}
	done := int64(0)
	for i := range p.clips {
		c := &p.clips[i]
		if len(bySize[c.size]) < 2 {
			continue
		}
		if err := p.readDigest(ctx, i, bySize[c.size]); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			continue
		}
		done += c.size
		m.show(float64(done)/1e6, float64(total)/1e6, "MB", "")
		if original, ok := first[c.digest]; ok {
			p.copyOf[i] = original
			continue
		}
		first[c.digest] = i
	}
	return nil
}

// readDigest reads a clip, or takes the digest of another name of the same file.
func (p *plan) readDigest(ctx context.Context, i int, same []int) error {
	c := &p.clips[i]
	for _, j := range same {
		if o := p.clips[j]; j < i && !o.digest.IsZero() && os.SameFile(o.info, c.info) {
			c.digest = o.digest
			return nil
		}
	}
	digest, size, err := filesum.Of(ctx, c.path)
	if err != nil {
		return err
	}
	c.digest, c.size = digest, size
	return nil
}

// findSiblings groups the clips. A copy belongs to the flight of its original, so a flight may be found by a copy that
// lies beside its siblings.
func (p *plan) findSiblings() {
	files := make([]footage.Recording, len(p.clips))
	for i, c := range p.clips {
		files[i] = readHeaders(c)
	}
	flights, doubts := footage.GroupSiblings(files)
	flightOf := make([]int, len(p.clips)) // a disjoint set, by the first clip of a flight
	for i := range flightOf {
		flightOf[i] = i
	}
	var root func(i int) int
	root = func(i int) int {
		if flightOf[i] != i {
			flightOf[i] = root(flightOf[i])
		}
		return flightOf[i]
	}
	for _, f := range flights {
		for _, i := range f[1:] {
			flightOf[root(i)] = root(f[0])
		}
	}
	for i, original := range p.copyOf {
		if original >= 0 {
			flightOf[root(i)] = root(original)
		}
	}
	members := map[int][]int{}
	for _, f := range flights { // in the order of preference
		for _, i := range f {
			if p.copyOf[i] < 0 {
				members[root(i)] = append(members[root(i)], i)
			}
		}
	}
	for _, m := range members {
		p.flights = append(p.flights, footage.PreferredOrder(files, m))
	}
	slices.SortFunc(p.flights, func(a, b []int) int { return slices.Min(a) - slices.Min(b) })
	for _, d := range doubts {
		if root(d.File) != root(d.Other) && p.copyOf[d.File] < 0 {
			p.notes[d.File] = fmt.Sprintf("named like a sibling of %s, but %s; it is counted apart", p.clips[d.Other].name(),
				d.Reason)
		}
	}
}

// readHeaders describes a clip by its headers. What they do not hold stays unknown.
func readHeaders(c clip) footage.Recording {
	rec := footage.Recording{Path: c.rel}
	if rep, err := container.CheckFile(c.path); err == nil {
		rec.Started, rec.Duration, rec.Width, rec.Height = rep.Started, rep.Duration, rep.Width, rep.Height
	}
	return rec
}
