package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"cattlecounter/cloud/count/detect/detr"
	"cattlecounter/cloud/model"
)

// modelList is `worker model list`.
type modelList struct {
	JSON bool `name:"json" help:"Print a JSON list."`
	modelFlags
}

// run lists the models. A model that cannot be used is in the list with the reason. What would keep a worker from
// starting goes to stderr.
func (c *modelList) run(ctx context.Context, stdout, stderr io.Writer) error {
	m, err := c.load()
	if err != nil {
		return err
	}
	entries, err := m.store.List()
	if err != nil {
		return err
	}
	if e, ok := model.Own(); ok {
		entries = append([]model.Entry{e}, entries...)
	}
	inUse, startErr := m.store.Find(m.configured)
	if startErr == nil && inUse.Origin == model.Path {
		entries = append(entries, inUse)
	}
	runtimeErr := detr.LoadRuntime(m.library)
	list := make([]modelSummary, 0, len(entries))
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s := m.describe(ctx, e)
		s.InUse = startErr == nil && samePath(e.Path, inUse.Path)
		list = append(list, s)
	}
	if c.JSON {
		err = printJSON(stdout, list)
	} else {
		err = c.print(stdout, list)
	}
	if runtimeErr != nil {
		fmt.Fprintln(stderr, "The shapes of the inputs are unknown:", runtimeErr)
	}
	if startErr != nil {
		fmt.Fprintln(stderr, "A worker cannot start:", startErr)
	} else if m.configured != "" {
		fmt.Fprintln(stderr, "worker.model names the model in use.")
	}
	return err
}

// describe summarizes an entry of the list with its files' digests compared.
func (m modelContext) describe(ctx context.Context, e model.Entry) modelSummary {
	info, err := detr.Describe(detr.Options{Path: e.Path, Library: m.library})
	s := summarize(e, info, err)
	if errors.Is(err, detr.ErrRuntime) {
		s.Error = "" // not a fault of the model
	}
	if e.Origin == model.Stored || e.Origin == model.BuiltIn { // a worker compares these digests at its start
		if _, err := model.CheckSums(ctx, e.Dir()); err != nil {
			s.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
	}
	if source, ok, err := model.ReadSource(e.Dir()); err == nil && ok {
		s.Source = &source
	}
	return s
}

func samePath(a, b string) bool { return absolutePath(a) == absolutePath(b) }

// orDash formats v, or returns "-" for an unknown value.
func orDash[T int | float64](v T, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func (c *modelList) print(out io.Writer, list []modelSummary) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, " \tNAME\tDIGEST\tSIZE\tINPUT\tTILE\tTHRESHOLD\tFROM")
	for _, s := range list {
		mark := " "
		if s.InUse {
			mark = "*"
		}
		if s.Error != "" {
			fmt.Fprintf(t, "%s\t%s\tcannot be used: %s\n", mark, s.Name, s.Error)
			continue
		}
		from := s.Path
		if s.Source != nil {
			from = s.Source.String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, s.Name, shortDigest(s.Digest), megabytes(s.Size),
			s.Input,
			orDash(s.Tile, "%d px"), orDash(s.Threshold, "%g"), from)
	}
	return t.Flush()
}
