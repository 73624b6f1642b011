package allinone

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/term"

	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const pollEvery = 250 * time.Millisecond

// follow shows the progress of the clip until its job has ended.
func (s *station) follow(ctx context.Context, name string, screen *screen) error {
	client := &http.Client{Timeout: 5 * time.Second}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		var footage wire.Page[wire.Footage]
		if err := s.get(ctx, client, s.address()+"/api/v1/footage?limit=20", &footage); err != nil {
			screen.status("the API does not answer: %v", err)
			continue
		}
		if f := findByName(footage.Items, name); f != nil {
			if done, err := s.show(*f, screen); done {
				return err
			}
			continue
		}
		var uploads wire.Page[wire.Upload]
		if err := s.get(ctx, client, s.address()+"/api/v1/uploads", &uploads); err == nil && len(uploads.Items) > 0 {
			u := uploads.Items[0]
			screen.status("uploading  %3.0f %%  %.1f of %.1f MB", 100*float64(u.Offset)/float64(max(u.Size, 1)), mega(u.Offset), mega(u.Size))
			continue
		}
		screen.status("the station waits for the end of the file, then spools it")
	}
}

func findByName(items []wire.Footage, name string) *wire.Footage {
	for i := range items {
		if items[i].Name == name {
			return &items[i]
		}
	}
	return nil
}

// show prints the state of the footage and returns true when it is the last one.
func (s *station) show(f wire.Footage, screen *screen) (bool, error) {
	j := f.Job
	if j == nil {
		screen.status("uploaded, waiting for its job")
		return false, nil
	}
	switch {
	case j.State == job.Done && f.Count != nil:
		if f.DuplicateOf != "" {
			screen.line("duplicate of %s, which was counted before", f.DuplicateOf)
		}
		screen.line("COUNT     %d animals (95 %%: %d to %d), counted by %s", f.Count.Unique, f.Count.Low, f.Count.High, f.Count.Model)
		screen.line("result    %s/api/v1/footage/%s/result", s.address(), f.ID)
		screen.line("still     %s/api/v1/footage/%s/still", s.address(), f.ID)
		return true, nil
	case j.State.Ended() && j.State != job.Done:
		screen.line("%s: %s", j.State, j.Reason)
		return true, fmt.Errorf("%w: %s: %s", errFailed, j.State, j.Reason)
	case j.State == job.Processing:
		left := ""
		if j.ETASeconds != nil {
			left = fmt.Sprintf("  %.0f s left", *j.ETASeconds)
		}
		screen.status("counting  %3.0f %%  %d animals so far%s", j.Percent, j.Progress.Count, left)
	default:
		screen.status("job is %s", j.State)
	}
	return false, nil
}

func mega(n int64) float64 { return float64(n) / 1e6 }

func (s *station) get(ctx context.Context, c *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.operator)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	const most = 4 << 20 // bytes of an answer
	return json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(into)
}

// screen prints lines and, below them, one status that changes in place. Without a terminal a changed status is a new
// line, at most one per second.
type screen struct {
	out      io.Writer
	terminal bool
	last     string
	printed  time.Time // the status
}

func newScreen(out io.Writer) *screen {
	f, ok := out.(*os.File)
	return &screen{out: out, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

const (
	clearLine = "\r\x1b[K"
	logPace   = time.Second
)

func (s *screen) line(format string, args ...any) {
	if s.terminal {
		fmt.Fprint(s.out, clearLine)
	}
	fmt.Fprintf(s.out, format+"\n", args...)
}

func (s *screen) status(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text == s.last || !s.terminal && time.Since(s.printed) < logPace {
		return
	}
	s.last, s.printed = text, time.Now()
	if s.terminal {
		fmt.Fprint(s.out, clearLine, text)
		return
	}
	fmt.Fprintln(s.out, text)
}
