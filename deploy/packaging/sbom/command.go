package sbom

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `Writes and checks lists of what programs and images consist of (CycloneDX 1.6).

  sbom image --name NAME --version VERSION --root FOLDER [--npm LOCKFILE=NAME,NAME]... [--wheels FILE]... PROGRAM...
  sbom check FILE...
`

// ErrUsage marks arguments that are wrong.
var ErrUsage = errors.New("wrong arguments")

// Main runs the command with the arguments behind its name.
func Main(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) > 1 && args[0] == "image":
		return writeImage(args[1:], out)
	case len(args) > 1 && args[0] == "check":
		return check(ctx, args[1:], out)
	}
	return fmt.Errorf("%w\n%s", ErrUsage, usage)
}

func writeImage(args []string, out io.Writer) error {
	var i Image
	set := flag.NewFlagSet("image", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&i.Name, "name", "", "")
	set.StringVar(&i.Version, "version", "", "")
	set.StringVar(&i.Root, "root", "", "")
	set.Func("npm", "", func(s string) error {
		l, err := ParseLock(s)
		i.NPM = append(i.NPM, l)
		return err
	})
	set.Func("wheels", "", func(s string) error {
		i.Wheels = append(i.Wheels, s)
		return nil
	})
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("%w: %w\n%s", ErrUsage, err, usage)
	}
	i.Programs = set.Args()
	if i.Name == "" || i.Root == "" || len(i.Programs) == 0 {
		return fmt.Errorf("%w: name, root and programs must be given\n%s", ErrUsage, usage)
	}
	return Write(out, i)
}

func check(ctx context.Context, files []string, out io.Writer) error {
	schema, err := LoadSchema(ctx)
	if err != nil {
		return err
	}
	var all error
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil {
			err = schema.Check(b)
		}
		if err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", f, err))
			continue
		}
		if _, err := fmt.Fprintf(out, "%s: valid CycloneDX 1.6\n", f); err != nil {
			return err
		}
	}
	return all
}
