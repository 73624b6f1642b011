package allinone

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cattlecounter/deploy/process"
)

// program is one child process and how to start it.
type program struct {
	name  string
	start func() (*process.Child, error)
	child *process.Child
}

// tree is the running product: its programs in the order of their start.
type tree struct {
	programs []*program
	screen   *screen
}

// add starts a program.
func (t *tree) add(p *program) (err error) {
	if p.child, err = p.start(); err != nil {
		return err
	}
	t.programs = append(t.programs, p)
	return nil
}

// stop ends the programs, the last one first.
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

// supervise restarts programs that end by themselves. It returns an error for a program that cannot be started, or that
// ends mostInARow times in a row within livedLong; else nil when ctx ends.
func (t *tree) supervise(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan *program)
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer cancel()
	watch := func(p *program) {
		done := p.child.Done()
		watchers.Go(func() {
			select {
			case <-done:
			case <-ctx.Done():
				return
			}
			select {
			case ended <- p:
			case <-ctx.Done():
			}
		})
	}
	began, tries := map[*program]time.Time{}, map[*program]int{}
	for _, p := range t.programs {
		began[p] = time.Now()
		watch(p)
	}
	for {
		var p *program
		select {
		case <-ctx.Done():
			return nil
		case p = <-ended:
		}
		if time.Since(began[p]) > livedLong {
			tries[p] = 0
		}
		if tries[p]++; tries[p] >= mostInARow {
			return fmt.Errorf("%s ended %d times in a row (%w); end of its log %s:\n%s", p.name, mostInARow, exitOf(p.child), p.child.Log,
				p.child.Tail(tailForErrors))
		}
		t.screen.line("%s ended (%v); restarting it", p.name, exitOf(p.child))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(restartPause):
		}
		child, err := p.start()
		if err != nil {
			return err
		}
		p.child, began[p] = child, time.Now()
		watch(p)
	}
}

var errClean = errors.New("exit code 0")

// exitOf is how a program ended, never nil.
func exitOf(c *process.Child) error {
	if err := c.Err(); err != nil {
		return err
	}
	return errClean
}
