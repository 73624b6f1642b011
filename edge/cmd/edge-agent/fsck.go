package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"cattlecounter/edge/agent"
	"cattlecounter/edge/config"
	"cattlecounter/edge/spool"
)

type fsckCmd struct {
	source
	Repair bool `help:"Save the readable content of a broken spool, and read damaged footage from the card again."`
	JSON   bool `help:"Print the report as JSON."`
}

var errDamaged = errors.New("the spool is damaged")

func (c *fsckCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.load(s.environ)
	if err != nil {
		return err
	}
	log, _ := config.Logger(cfg.Log, s.err)
	o := agent.SpoolOptions(cfg.Spool, log)
	r, err := spool.Fsck(ctx, o)
	switch {
	case errors.Is(err, spool.ErrInUse):
		return fmt.Errorf("%w; let the running agent check it: edge-agent ctl fsck", err)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the spool does not exist yet: %w", err)
	case err != nil:
		return err
	}
	whole := r.OK()
	if !whole && c.Repair {
		if err := spool.RepairStore(ctx, o, &r); err != nil {
			return err
		}
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = writeReport(s.out, r)
	}
	if err == nil && !whole && !c.Repair {
		err = fmt.Errorf("%w; repair it with --repair, or start the agent, which repairs it too", errDamaged)
	}
	return err
}

func writeReport(w io.Writer, r spool.Report) error {
	fmt.Fprintf(w, "spool    %s\nstore    %s\n", r.Dir, r.Store)
	if r.Pending {
		fmt.Fprintln(w, "salvage  interrupted; the repair or the next start continues it")
	}
	fmt.Fprintf(w, "content  %d pieces of footage, %d chunks compared\n", r.Footage, r.Chunks)
	if r.Damaged > 0 {
		fmt.Fprintf(w, "damage   %d parts of the log files, %d bytes, are not readable; they may have held deleted content\n",
			r.Damaged, r.Lost)
	}
	for _, f := range r.Faults {
		fmt.Fprintf(w, "fault    %s %s (%s): %d of %d chunks: %s\n", f.Footage, f.Name, f.State, f.Damaged, f.Chunks,
			f.Detail)
	}
	switch rep := r.Repair; {
	case rep == nil && r.OK():
		fmt.Fprintln(w, "result   whole")
	case rep != nil:
		if rep.Salvaged != nil {
			fmt.Fprintf(w, "repair   %d entries, %d bytes saved into a new store\n", rep.Salvaged.Entries, rep.Salvaged.Bytes)
		}
		fmt.Fprintf(w, "repair   %d pieces of footage are read from the card again at the next start\n", rep.Reread)
	}
	return nil
}
