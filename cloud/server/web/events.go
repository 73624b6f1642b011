package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/server/progress"
	"cattlecounter/shared/wire"
)

const (
	heartbeat = 15 * time.Second
	retryMS   = 2000
	// resumable is how many changes a returning listener may have missed. With more,
	// loading the lists again is cheaper.
	resumable  = 5000
	resumePage = 500
)

// events streams the changes of the ledger as server-sent events (HTML Living Standard
// section 9.2): job, footage, count and flight have their Seq as id, upload and station have none. The event
// "ready" says that every later change will be sent. With Last-Event-ID the missed
// changes come first. When they are too many, or the id is not known, "reset" comes
// instead and the listener loads the lists again. The stream ends with "bye" and the
// reason when the listener is too slow or the server stops. With topics only these events are sent; an id without an
// event then tells how far the listener is, so that it resumes behind the changes of other topics.
func (s *Server) events(c *fiber.Ctx) error {
	leave, err := s.streams.enter(s.client(c), holderOf(c.UserContext()).Name)
	if err != nil {
		return err
	}
	sub, err := s.o.Hub.Subscribe()
	if err != nil {
		leave()
		if errors.Is(err, progress.ErrTooMany) {
			return problem.New(wire.SlugTooManyListeners, "Too many clients listen to events. Try again later.")
		}
		return problem.New(wire.SlugNotReady, "The service cannot send events now: %v.", err)
	}
	last := c.Get("Last-Event-ID")
	if last == "" {
		last = c.Query("after")
	}
	st := &stream{server: s, sub: sub, conn: c.Context().Conn(), last: text(last), topics: eventTopics(c.Query("topics"))}
	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if c.Method() == fiber.MethodHead {
		sub.Close()
		leave()
		return nil
	}
	ctx := c.UserContext()
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer leave()
		st.run(ctx, w)
	})
	return nil
}

// eventTopics are the names of the events that a listener wants; nil stands for all. checkQuery has refused others.
func eventTopics(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(text(list), ",")
}

// stream is one listener's connection.
type stream struct {
	server *Server
	sub    *progress.Subscription
	conn   net.Conn
	last   string   // Last-Event-ID as it came
	topics []string // names of the wanted events; nil stands for all
	upTo   int64    // changes up to here were sent, or are of other topics
	told   int64    // the id that the listener knows
	w      *bufio.Writer
}

func (st *stream) run(ctx context.Context, w *bufio.Writer) {
	defer st.sub.Close()
	access, release := st.server.gate.follow(context.WithoutCancel(ctx), holderOf(ctx), sessionOf(ctx))
	defer release()
	st.w = w
	if st.begin(ctx) != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case c, ok := <-st.sub.C:
			if !ok {
				st.sendBye(ctx)
				return
			}
			if err = st.sendChange(ctx, c); err == nil && len(st.sub.C) == 0 {
				err = st.flush()
			}
		case <-access.Done():
			if st.sendEvent("bye", 0, map[string]string{"reason": "your access ended"}) == nil {
				_ = st.flush() // fails only when the client has disconnected
			}
			return
		case <-beat.C:
			if err = st.sendBeat(); err == nil {
				err = st.flush()
			}
		}
		if err != nil {
			return // the client has disconnected
		}
	}
}

// begin waits until the hub is ready and sends the changes that the listener missed.
func (st *stream) begin(ctx context.Context) error {
	if _, err := fmt.Fprintf(st.w, "retry: %d\n\n", retryMS); err != nil {
		return err
	}
	if err := st.flush(); err != nil {
		return err
	}
	select {
	case <-st.sub.Ready:
	case <-stopping(ctx).Done():
		st.sendBye(ctx)
		return context.Cause(stopping(ctx))
	}
	if st.last != "" {
		if err := st.resume(ctx); err != nil {
			return err
		}
	}
	if err := st.sendEvent("ready", 0, struct{}{}); err != nil {
		return err
	}
	return st.flush()
}

func (st *stream) resume(ctx context.Context) error {
	after, err := strconv.ParseInt(st.last, 10, 64)
	if err != nil || after < 0 {
		return st.sendEvent("reset", 0, struct{}{})
	}
	if exists, err := st.seqExists(ctx, after); err != nil || !exists {
		return st.sendEvent("reset", 0, struct{}{})
	}
	var missed []progress.Change
	for at := after; ; {
		changes, complete, err := progress.Changes(ctx, st.server.o.Ledger.Changes, at, resumePage)
		if err != nil {
			st.server.log.Warn("cannot read the changes that a listener missed; it loads the lists again", "err", err)
		}
		for _, c := range changes {
			at = c.Seq
			if st.wants(c) {
				missed = append(missed, c)
			}
		}
		if err != nil || len(missed) > resumable {
			return st.sendEvent("reset", 0, struct{}{})
		}
		if complete {
			after = at
			break
		}
	}
	for _, c := range missed {
		if err := st.sendChange(ctx, c); err != nil {
			return err
		}
	}
	st.upTo = max(st.upTo, after)
	return st.sendPosition()
}

// wants reports whether the listener wants events of this kind.
func (st *stream) wants(c progress.Change) bool {
	return st.topics == nil || slices.Contains(st.topics, eventName(c))
}

// eventName is the name of the event of a change.
func eventName(c progress.Change) string {
	switch {
	case c.Job != nil:
		return "job"
	case c.Count != nil:
		return "count"
	case c.Footage != nil:
		return "footage"
	case c.Flight != nil:
		return "flight"
	case c.Upload != nil:
		return "upload"
	}
	return "station"
}

// seqExists reports whether a change of this seq, or a later one, is in the ledger. There is
// none after a ledger was restored or replaced: the listener would take its new changes
// for old ones.
func (st *stream) seqExists(ctx context.Context, seq int64) (bool, error) {
	if seq == 0 {
		return true, nil
	}
	changes, _, err := progress.Changes(ctx, st.server.o.Ledger.Changes, seq-1, 1)
	if err != nil {
		st.server.log.Warn("cannot read the position of a listener; it loads the lists again", "err", err)
	}
	return len(changes) > 0, err
}

func (st *stream) sendChange(ctx context.Context, c progress.Change) error {
	if c.Seq != 0 && c.Seq <= st.upTo {
		return nil // sent when the listener came back
	}
	st.upTo = max(st.upTo, c.Seq)
	if !st.wants(c) || !mayReadChange(ctx, c) {
		return nil
	}
	name := eventName(c)
	switch {
	case c.Job != nil:
		return st.sendEvent(name, c.Seq, jobView(c.Job.Job))
	case c.Count != nil:
		return st.sendEvent(name, c.Seq, countView(c.Count.Count, c.Count.Footage))
	case c.Footage != nil:
		return st.sendEvent(name, c.Seq, st.server.footageViewFor(ctx, *c.Footage))
	case c.Flight != nil:
		return st.sendEvent(name, c.Seq, flightView(*c.Flight))
	case c.Upload != nil:
		return st.sendEvent(name, 0, wire.UploadEvent{Upload: uploadView(c.Upload.Upload), Gone: c.Upload.Gone})
	case c.Station != nil:
		return st.sendEvent(name, 0, c.Station)
	}
	return nil
}

// sendBeat keeps the connection open while nothing changes.
func (st *stream) sendBeat() error {
	if err := st.sendPosition(); err != nil {
		return err
	}
	_, err := fmt.Fprint(st.w, ": heartbeat\n\n")
	return err
}

// sendPosition tells the listener the id of the last change that was not for it. A block of an id without data is no
// event for the client, but the id is the Last-Event-ID of its next request.
func (st *stream) sendPosition() error {
	if st.upTo <= st.told {
		return nil
	}
	st.told = st.upTo
	_, err := fmt.Fprintf(st.w, "id: %d\n\n", st.upTo)
	return err
}

func (st *stream) sendBye(ctx context.Context) {
	reason := "closed"
	switch err := st.sub.Err(); {
	case errors.Is(err, progress.ErrSlow):
		reason = "too slow: reconnect with the last event id"
	case errors.Is(err, progress.ErrStopped), stopping(ctx).Err() != nil:
		reason = "the server stops"
	}
	if st.sendEvent("bye", 0, map[string]string{"reason": reason}) == nil {
		_ = st.flush() // fails only when the client has disconnected
	}
}

func (st *stream) sendEvent(name string, id int64, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	if id != 0 {
		st.told = id
		if _, err := fmt.Fprintf(st.w, "id: %d\n", id); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(st.w, "event: %s\ndata: %s\n\n", name, data)
	return err
}

// flush sends the written events; it fails when the client does not read them in time.
func (st *stream) flush() error {
	if err := st.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	return st.w.Flush()
}
