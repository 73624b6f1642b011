package allinone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cattlecounter/deploy/process"
)

// program is one child and how to start it again.
type program struct {
	name  string
	start func() (*process.Child, error)
	child *process.Child
}

// tree is the running product, in the order of starting.
type tree struct {
	programs []*program
	screen   *screen
}

func (t *tree) add(p *program) (err error) {
	if p.child, err = p.start(); err != nil {
		return err
	}
	t.programs = append(t.programs, p)
	return nil
}

// stop ends the programs, the last started first.
func (t *tree) stop() {
	for i := len(t.programs) - 1; i >= 0; i-- {
		if err := t.programs[i].child.Stop(stopLimit); err != nil {
			t.screen.line("%v", err)
		}
	}
}

const (
	restartPause  = time.Second
	livedLong     = time.Minute
	mostInARow    = 5
	tailForErrors = 2000
)

// supervise starts programs again that end by themselves. One that ends five
// times in a row soon after its start is broken: failed is told.
func (t *tree) supervise(ctx context.Context, failed func(error)) {
	ended := make(chan *program)
	watch := func(p *program) {
		select {
		case <-p.child.Done():
		case <-ctx.Done():
			return
		}
		select {
		case ended <- p:
		case <-ctx.Done():
		}
	}
	began, tries := map[*program]time.Time{}, map[*program]int{}
	for _, p := range t.programs {
		began[p] = time.Now()
		go watch(p)
	}
	for {
		var p *program
		select {
		case <-ctx.Done():
			return
		case p = <-ended:
		}
		if time.Since(began[p]) > livedLong {
			tries[p] = 0
		}
		if tries[p]++; tries[p] >= mostInARow {
			failed(fmt.Errorf("%s ends again and again (%w); the end of %s:\n%s", p.name, exitOf(p.child), p.child.Log, p.child.Tail(tailForErrors)))
			return
		}
		t.screen.line("%s ended (%v), starting it again", p.name, exitOf(p.child))
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartPause):
		}
		child, err := p.start()
		if err != nil {
			failed(err)
			return
		}
		p.child, began[p] = child, time.Now()
		go watch(p)
	}
}

var errClean = errors.New("exit code 0")

func exitOf(c *process.Child) error {
	if err := c.Err(); err != nil {
		return err
	}
	return errClean
}
