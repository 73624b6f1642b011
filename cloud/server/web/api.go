package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/job"
	"cattlecounter/shared/wire"
)

const (
	maxPageSize  = 200
	uploadsShown = 200
)

// text copies a value out of fasthttp's buffers, which are reused.
func text(s string) string { return strings.Clone(s) }

// pageArgs reads the parameters that lists share. checkQuery has refused those that a list does not have.
func pageArgs(c *fiber.Ctx) (ledger.Page, error) {
	p, err := filterArgs(c)
	if err != nil {
		return p, err
	}
	if q := c.Query("limit"); q != "" {
		n, err := strconv.Atoi(q)
		if err != nil || n < 1 || n > maxPageSize {
			return p, badRequest("limit: want a number from 1 to %d.", maxPageSize)
		}
		p.Limit = n
	}
	return p, nil
}

// filterArgs is pageArgs without the length of the page.
func filterArgs(c *fiber.Ctx) (ledger.Page, error) {
	p := ledger.Page{After: text(c.Query("after")), Device: scopeOf(c.UserContext()), Site: text(c.Query("site")),
		Only: text(c.Query("device")), State: text(c.Query("state")), Paddock: text(c.Query("paddock")),
		Name: text(c.Query("name")), Sort: sortOf(c.Query("sort")), Sites: sitesOf(c.UserContext())}
	var err error
	if p.Window, err = windowArg(c); err != nil {
		return p, err
	}
	if p.From, err = moment(c, "from"); err == nil {
		p.To, err = moment(c, "to")
	}
	if err == nil && !p.From.IsZero() && !p.To.IsZero() && !p.From.Before(p.To) {
		err = badRequest("from: it is not before to.")
	}
	return p, err
}

// sortOf is the order that a parameter names. checkQuery has refused others.
func sortOf(name string) ledger.Sort {
	if name == "newest" {
		return ledger.SortNewest
	}
	return ledger.Sort(text(name))
}

func idArg(c *fiber.Ctx, name string) (footage.ID, error) {
	id, err := footage.ParseID(text(c.Params(name)))
	if err != nil {
		// An id that is not valid does not exist.
		return "", fmt.Errorf("%w: %w", ledger.ErrNotFound, err)
	}
	return id, nil
}

// byID answers with the view of what find returns for the id in the path.
func byID[V, Out any](param string, find func(context.Context, footage.ID) (V, error), view func(V) Out) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, err := idArg(c, param)
		if err != nil {
			return err
		}
		v, err := find(c.UserContext(), id)
		if err != nil {
			return err
		}
		return sendJSON(c, view(v))
	}
}

// asItIs is the view of what already has its form.
func asItIs[V any](v V) V { return v }

// pages answers with one page of a list.
func pages[V, Out any](list func(context.Context, ledger.Page) ([]V, string, error), view func(V) Out) fiber.Handler {
	return func(c *fiber.Ctx) error {
		p, err := pageArgs(c)
		if err != nil {
			return err
		}
		items, next, err := list(c.UserContext(), p)
		if err != nil {
			return err
		}
		return sendJSON(c, pageOf(items, next, view))
	}
}

func (s *Server) getFootage(c *fiber.Ctx) error {
	ctx := c.UserContext()
	return byID("id", s.footageFor, func(v ledger.FootageView) wire.Footage { return wholeViewFor(ctx, v) })(c)
}

func (s *Server) listFootage(c *fiber.Ctx) error {
	ctx, q := c.UserContext(), c.Query("sha256")
	view := func(v ledger.FootageView) wire.Footage { return wholeViewFor(ctx, v) }
	if q == "" {
		return tables(s.o.Ledger.Footage.List, view, "footage", footageColumns)(c)
	}
	if others := c.Queries(); len(others) > 2 || len(others) == 2 && c.Query("format") == "" {
		return badRequest("sha256: it goes with no other parameter but format; its list has one entry or none.")
	}
	sum, err := footage.ParseDigest(text(q))
	if err != nil {
		return fmt.Errorf("sha256: %w", err)
	}
	var v ledger.FootageView
	if sites := sitesOf(ctx); sites != nil {
		v, err = s.o.Ledger.Footage.GetBySHA256At(ctx, sum, sites)
	} else {
		v, err = s.o.Ledger.Footage.GetBySHA256(ctx, sum, scopeOf(ctx))
	}
	items := []ledger.FootageView{v}
	if errors.Is(err, ledger.ErrNotFound) {
		items, err = nil, nil
	}
	if err != nil {
		return err
	}
	return sendPage(c, pageOf(items, "", view), "footage", footageColumns)
}

func (s *Server) listJobs(c *fiber.Ctx) error {
	state := job.State(text(c.Query("state")))
	list := func(ctx context.Context, p ledger.Page) ([]ledger.JobView, string, error) {
		return s.o.Ledger.Jobs.List(ctx, state, p)
	}
	return tables(list, func(v ledger.JobView) wire.Job { return jobView(v.Job) }, "jobs", jobColumns)(c)
}

// ownJob finds the job that the holder of the token may change: an operator changes every
// job, a device those of its own footage. ctx carries the holder for the audit log.
func (s *Server) ownJob(c *fiber.Ctx) (ctx context.Context, j ledger.Job, err error) {
	d, err := s.authenticate(c)
	if err != nil {
		return nil, j, err
	}
	ctx = ledger.By(c.UserContext(), d.Name)
	id, err := idArg(c, "id")
	if err == nil {
		j, err = s.jobFor(ctx, id)
	}
	return ctx, j, err
}

func (s *Server) retryJob(c *fiber.Ctx) error {
	ctx, j, err := s.ownJob(c)
	if err != nil {
		return err
	}
	if j, err = s.o.Ledger.Jobs.Retry(ctx, j.ID); err != nil {
		return err
	}
	s.log.Info("job retried by request", "job", j.ID, "footage", j.Footage)
	s.enqueue(c.UserContext(), j)
	return s.answerJob(c, j.ID)
}

// enqueue queues a job that is ready in the ledger. The job cannot be lost: the reconciler repeats what fails here.
func (s *Server) enqueue(ctx context.Context, j ledger.Job) {
	if err := s.o.Queue.Enqueue(ctx, j.ID); err != nil {
		s.log.Warn("job not queued; the reconciler will queue it", "job", j.ID, "err", err)
	} else if err := s.o.Ledger.Jobs.MarkQueued(ctx, j.ID); err != nil {
		s.log.Warn("job queued, but the ledger could not be updated", "job", j.ID, "err", err)
	}
}

// countSibling has footage counted although another file of its flight is counted for it.
func (s *Server) countSibling(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	id, err := idArg(c, "id")
	if err != nil {
		return err
	}
	ctx := ledger.By(c.UserContext(), d.Name)
	if _, err := s.footageFor(ctx, id); err != nil {
		return err
	}
	j, err := s.o.Ledger.Jobs.CountSibling(ctx, id)
	if err != nil {
		return err
	}
	s.log.Info("sibling counted by request", "job", j.ID, "footage", id)
	s.enqueue(c.UserContext(), j)
	return s.answerJob(c, j.ID)
}

func (s *Server) cancelJob(c *fiber.Ctx) error {
	ctx, j, err := s.ownJob(c)
	if err != nil {
		return err
	}
	if err := s.o.Ledger.Jobs.Cancel(ctx, j.ID); err != nil {
		return err
	}
	s.log.Info("job canceled by request", "job", j.ID, "footage", j.Footage)
	return s.answerJob(c, j.ID)
}

// maxPriorityBody is the largest body of a priority in bytes.
const maxPriorityBody = 1 << 10

// prioritiseJob sets which of the waiting jobs are counted first.
func (s *Server) prioritiseJob(c *fiber.Ctx) error {
	ctx, j, err := s.ownJob(c)
	if err != nil {
		return err
	}
	text, err := s.readBody(c, maxPriorityBody)
	if err != nil {
		return err
	}
	var body wire.JobPriority
	r := json.NewDecoder(bytes.NewReader(text))
	r.DisallowUnknownFields()
	if err := r.Decode(&body); err != nil || body.Priority == nil || *body.Priority < -ledger.MaxPriority || *body.Priority > ledger.MaxPriority {
		return badRequest("Send {\"priority\": 5}, with a whole number from %d to %d.", -ledger.MaxPriority, ledger.MaxPriority)
	}
	if j, err = s.o.Ledger.Priorities.Prioritise(ctx, j.ID, *body.Priority); err != nil {
		return err
	}
	s.log.Info("job prioritised by request", "job", j.ID, "footage", j.Footage, "priority", j.Priority)
	return sendJSON(c, jobView(j))
}

func (s *Server) listAttempts(c *fiber.Ctx) error {
	id, err := idArg(c, "id")
	if err != nil {
		return err
	}
	j, err := s.jobFor(c.UserContext(), id)
	if err != nil {
		return err
	}
	as, err := s.o.Ledger.Attempts.List(c.UserContext(), j.ID, attemptsShown)
	if err != nil {
		return err
	}
	return sendJSON(c, pageOf(as, "", attemptView))
}

// attemptsShown is more than a job has without a person who retries it.
const attemptsShown = 100

func (s *Server) answerJob(c *fiber.Ctx, id string) error {
	j, err := s.o.Ledger.Jobs.Get(c.UserContext(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, jobView(j))
}

func (s *Server) listDevices(c *fiber.Ctx) error {
	ds, err := s.o.Ledger.Devices.List(c.UserContext())
	if err != nil {
		return err
	}
	ds = slices.DeleteFunc(ds, func(d ledger.Device) bool { return !mayReadDevice(c.UserContext(), d) })
	return sendJSON(c, pageOf(ds, "", deviceView))
}

// revokeDevice ends the access of the holder of a token. A second request changes nothing more.
func (s *Server) revokeDevice(c *fiber.Ctx) error {
	id, err := idArg(c, "device")
	if err != nil {
		return err
	}
	who := holderOf(c.UserContext()).Name
	if err := s.o.Ledger.Devices.Revoke(ledger.By(c.UserContext(), who), string(id)); err != nil {
		return err
	}
	s.log.Info("access revoked by request", "device", string(id), "by", who)
	ds, err := s.o.Ledger.Devices.List(c.UserContext())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(ds, func(d ledger.Device) bool { return d.Name == string(id) })
	if i < 0 {
		return fmt.Errorf("device %s: %w", id, ledger.ErrNotFound)
	}
	return sendJSON(c, deviceView(ds[i]))
}

func (s *Server) listUploads(c *fiber.Ctx) error {
	us, err := s.o.Ledger.Uploads.ListUnfinishedAt(c.UserContext(), sitesOf(c.UserContext()),
		scopeOf(c.UserContext()), uploadsShown)
	if err != nil {
		return err
	}
	return sendJSON(c, pageOf(us, "", uploadView))
}

func (s *Server) getStats(c *fiber.Ctx) error {
	v, err := s.o.Ledger.Totals.StatsAt(c.UserContext(), readScope(c.UserContext()))
	if err != nil {
		return err
	}
	return sendJSON(c, wire.Stats{Footage: v.Footage, Duplicates: v.Duplicates, Bytes: v.Bytes, Animals: v.Animals,
		Counts: v.Counts, Uploads: v.Uploads, Jobs: v.Jobs})
}
