package modelcmd

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

// List is the command line of `worker model list`.
type List struct {
	JSON bool `name:"json" help:"Print a JSON list."`
	place
	Runtime string `env:"ONNXRUNTIME_LIB" placeholder:"FILE" help:"ONNX Runtime's shared library."`
}

// Run does the command. Models that cannot be used are in the list with the
// reason; what a worker would fail with goes to stderr.
func (c *List) Run(ctx context.Context, stdout, stderr io.Writer) error {
	w, err := c.read()
	if err != nil {
		return err
	}
	entries, err := w.store.List()
	if err != nil {
		return err
	}
	if e, ok := model.Own(); ok {
		entries = append([]model.Entry{e}, entries...)
	}
	used, fault := w.store.Find(w.named)
	if fault == nil && used.Origin == model.Path {
		entries = append(entries, used)
	}
	runtime := detr.LoadRuntime(inference{Runtime: c.Runtime}.library(w))
	list := make([]Summary, 0, len(entries))
	for _, e := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		info, err := detr.Describe(inference{Runtime: c.Runtime}.options(w, e.Path))
		s := summary(e, info, err)
		if errors.Is(err, detr.ErrRuntime) {
			s.Error = "" // no fault of the model
		}
		if e.Origin == model.Stored || e.Origin == model.BuiltIn { // a worker compares these before it takes them
			if _, err := model.CheckSums(ctx, e.Dir()); err != nil {
				s.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
			}
		}
		s.InUse = fault == nil && same(e.Path, used.Path)
		if source, ok, err := model.ReadSource(e.Dir()); err == nil && ok {
			s.Source = &source
		}
		list = append(list, s)
	}
	if c.JSON {
		err = printJSON(stdout, list)
	} else {
		err = c.print(stdout, list)
	}
	if runtime != nil {
		fmt.Fprintln(stderr, "Inputs are not known:", runtime)
	}
	if fault != nil {
		fmt.Fprintln(stderr, "A worker would not start:", fault)
	} else if w.named != "" {
		fmt.Fprintln(stderr, "worker.model names the model in use.")
	}
	return err
}

func same(a, b string) bool { return absolute(a) == absolute(b) }

// dash prints - for what is not known.
func dash[T int | float64](v T, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func (c *List) print(out io.Writer, list []Summary) error {
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
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, s.Name, short(s.Digest), megabytes(s.Size), s.Input,
			dash(s.Tile, "%d px"), dash(s.Threshold, "%g"), from)
	}
	return t.Flush()
}
