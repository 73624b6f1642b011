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
)

// footageView is what this program reads of the API's footage.
type footageView struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Size        int64  `json:"size"`
	DuplicateOf string `json:"duplicate_of"`
	Job         *struct {
		State   job.State `json:"state"`
		Stage   string    `json:"stage"`
		Percent float64   `json:"percent"`
		ETA     *float64  `json:"eta_seconds"`
		Count   int       `json:"count"`
		Reason  string    `json:"reason"`
	} `json:"job"`
	Count *struct {
		Unique int    `json:"unique"`
		Low    int    `json:"low"`
		High   int    `json:"high"`
		Model  string `json:"model"`
	} `json:"count"`
}

type uploadView struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Offset int64  `json:"offset"`
}

type list[T any] struct {
	Items []T `json:"items"`
}

const pollEvery = 250 * time.Millisecond

// follow shows the clip's way until its job has ended.
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
		var footage list[footageView]
		if err := get(ctx, client, s.address()+"/api/v1/footage?limit=20", &footage); err != nil {
			screen.status("the API does not answer: %v", err)
			continue
		}
		if f := named(footage.Items, name); f != nil {
			if done, err := s.show(*f, screen); done {
				return err
			}
			continue
		}
		var uploads list[uploadView]
		if err := get(ctx, client, s.address()+"/api/v1/uploads", &uploads); err == nil && len(uploads.Items) > 0 {
			u := uploads.Items[0]
			screen.status("uploading  %3.0f %%  %.1f of %.1f MB", 100*float64(u.Offset)/float64(max(u.Size, 1)), mega(u.Offset), mega(u.Size))
			continue
		}
		screen.status("the station waits until the file is finished, then spools it")
	}
}

func named(items []footageView, name string) *footageView {
	for i := range items {
		if items[i].Name == name {
			return &items[i]
		}
	}
	return nil
}

// show prints one state and tells whether it is the last one.
func (s *station) show(f footageView, screen *screen) (bool, error) {
	j := f.Job
	if j == nil {
		screen.status("uploaded, waiting for its job")
		return false, nil
	}
	switch {
	case j.State == job.Done && f.Count != nil:
		if f.DuplicateOf != "" {
			screen.line("the same footage was counted before, as %s", f.DuplicateOf)
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
		if j.ETA != nil {
			left = fmt.Sprintf("  %.0f s left", *j.ETA)
		}
		screen.status("counting  %3.0f %%  %d animals so far%s", j.Percent, j.Count, left)
	default:
		screen.status("job is %s", j.State)
	}
	return false, nil
}

func mega(n int64) float64 { return float64(n) / 1e6 }

func get(ctx context.Context, c *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	const most = 4 << 20
	return json.NewDecoder(io.LimitReader(resp.Body, most)).Decode(into)
}

// screen shows lines that stay and, below them, one that changes. Where output
// is no terminal, a changed status is a line of its own.
type screen struct {
	out      io.Writer
	terminal bool
	last     string
	told     time.Time
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
	if text == s.last || !s.terminal && time.Since(s.told) < logPace {
		return
	}
	s.last, s.told = text, time.Now()
	if s.terminal {
		fmt.Fprint(s.out, clearLine, text)
		return
	}
	fmt.Fprintln(s.out, text)
}
