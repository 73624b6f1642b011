package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"cattlecounter/cloud/count/video"
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

// probe reads the start, the length and the size of a clip of any container.
type probe func(ctx context.Context, path string) (video.Info, error)

// makePlan finds copies by their digests and siblings by their names, starts and lengths. It reads only clips whose
// size another clip has too, and probes only clips whose name may be that of a sibling. A clip that cannot be read has
// no copy and no sibling; the count reports why. The error is the cause of ctx.
func makePlan(ctx context.Context, clips []clip, ask probe, stderr io.Writer) (*plan, error) {
	p := &plan{clips: clips, copyOf: slices.Repeat([]int{-1}, len(clips)), notes: map[int]string{}}
	if err := p.findCopies(ctx, stderr); err != nil {
		return nil, err
	}
	if err := p.findSiblings(ctx, ask); err != nil {
		return nil, err
	}
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

// findSiblings groups the clips. Flights whose best files have the same content are one flight, so a flight may be found
// by a copy that lies beside its siblings.
func (p *plan) findSiblings(ctx context.Context, ask probe) error {
	files, err := p.readHeaders(ctx, ask)
	if err != nil {
		return err
	}
	flights, doubts := footage.GroupSiblings(files)
	flightOf := make([]int, len(p.clips)) // the first file of the content of the best one
	members := map[int][]int{}
	for _, f := range flights {
		best := p.original(f[0])
		for _, i := range f {
			flightOf[i] = best
			if p.copyOf[i] < 0 {
				members[best] = append(members[best], i)
			}
		}
	}
	for _, m := range members {
		p.flights = append(p.flights, footage.PreferredOrder(files, m))
	}
	slices.SortFunc(p.flights, func(a, b []int) int { return slices.Min(a) - slices.Min(b) })
	for _, d := range doubts {
		if flightOf[d.File] != flightOf[d.Other] && p.copyOf[d.File] < 0 && p.copyOf[d.Other] < 0 {
			p.notes[d.File] = fmt.Sprintf("named like a sibling of %s, but %s; it is counted apart", p.clips[d.Other].name(),
				d.Reason)
		}
	}
	return nil
}

// original is the first clip with the content of a clip.
func (p *plan) original(i int) int {
	if p.copyOf[i] >= 0 {
		return p.copyOf[i]
	}
	return i
}

// readHeaders describes the clips that another clip may belong to, by their headers. What they do not hold stays
// unknown.
func (p *plan) readHeaders(ctx context.Context, ask probe) ([]footage.Recording, error) {
	files := make([]footage.Recording, len(p.clips))
	named := map[string]int{}
	for i, c := range p.clips {
		files[i].Path = c.rel
		named[footage.ReadName(c.rel).Key]++
	}
	for i, c := range p.clips {
		if named[footage.ReadName(c.rel).Key] < 2 {
			continue
		}
		f := &files[i]
		rep, err := container.CheckFile(c.path)
		if err != nil {
			continue
		}
		f.Started, f.Duration, f.Width, f.Height = rep.Started, rep.Duration, rep.Width, rep.Height
		if f.Duration > 0 && f.Width > 0 {
			continue
		}
		info, err := ask(ctx, c.path)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil {
			f.Started, f.Duration, f.Width, f.Height = info.Created, info.Duration, info.Width, info.Height
		}
	}
	return files, nil
}
