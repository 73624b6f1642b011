package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

const (
	maxModelBody  = 4 << 10
	choicesShown  = 50
	comparedShown = 100
)

// modelRoutes registers what people do with the detectors of the workers.
func (s *Server) modelRoutes(api guarded) {
	api.Get("/models", s.listModels)
	api.Get("/models/compare", s.compareModels)
	api.Put("/models/choice", s.chooseModel)
	api.Post("/footage/:id/recount", s.recount)
}

// listModels answers with the models that living workers have, and which of them is chosen where.
func (s *Server) listModels(c *fiber.Ctx) error {
	v, err := s.models(c.UserContext())
	if err != nil {
		return err
	}
	return sendJSON(c, v)
}

// models reads what a request may see of the models: choices of other sites are left out.
func (s *Server) models(ctx context.Context) (wire.Models, error) {
	alive, err := s.o.Ledger.Workers.Alive(ctx)
	if err != nil {
		return wire.Models{}, err
	}
	chosen, err := s.o.Ledger.Models.Chosen(ctx)
	if err != nil {
		return wire.Models{}, err
	}
	before, err := s.o.Ledger.Models.Before(ctx)
	if err != nil {
		return wire.Models{}, err
	}
	history, err := s.o.Ledger.Models.History(ctx, append(ledger.SiteSet{}, holderOf(ctx).Sites...), choicesShown)
	if err != nil {
		return wire.Models{}, err
	}
	v := wire.Models{Workers: len(alive), Models: modelsOf(alive), Chosen: choiceViews(ctx, chosen), History: choiceViews(ctx, history)}
	for i := range v.Chosen {
		v.Chosen[i].Before = wayBack(v.Chosen[i], before)
	}
	return v, nil
}

// modelsOf returns the models of some workers by name, each once.
func modelsOf(alive []ledger.Worker) []wire.Model {
	all := []wire.Model{}
	for _, w := range alive {
		for _, m := range w.Models {
			i := slices.IndexFunc(all, func(o wire.Model) bool { return o.ModelRef == m.ModelRef })
			if i < 0 {
				i = len(all)
				all = append(all, wire.Model{ModelRef: m.ModelRef, Size: m.Size, Threshold: m.Threshold, Since: m.Since})
			}
			all[i] = withWorker(all[i], m)
		}
	}
	slices.SortFunc(all, func(a, b wire.Model) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), bytes.Compare(a.SHA256[:], b.SHA256[:]))
	})
	return all
}

// withWorker adds one worker that has the model.
func withWorker(v wire.Model, m wire.InstalledModel) wire.Model {
	if m.Fault != "" {
		v.Fault = m.Fault
		return v
	}
	v.Workers++
	if m.Loaded {
		v.Loaded++
	}
	if m.Own {
		v.Own++
	}
	if m.Since.Before(v.Since) {
		v.Since = m.Since
	}
	v.Caution = cmp.Or(v.Caution, m.Caution)
	if m.Comparison != nil && (v.Comparison == nil || m.Comparison.Compared.After(v.Comparison.Compared)) {
		v.Comparison = m.Comparison
	}
	return v
}

// wayBack returns what a roll-back of a choice would choose: the model of the newest earlier choice with another one. Before
// the first choice of a model was none. It is nil where no other model ever counted.
func wayBack(now wire.ModelChoice, before []ledger.ModelChoice) *wire.EarlierModel {
	i := slices.IndexFunc(before, func(c ledger.ModelChoice) bool { return c.Site == now.Site })
	switch {
	case i >= 0:
		return &wire.EarlierModel{Model: choiceView(before[i]).Model}
	case now.Model != nil:
		return &wire.EarlierModel{}
	}
	return nil
}

// choiceViews leaves out the choices of sites that the request may not read.
func choiceViews(ctx context.Context, all []ledger.ModelChoice) []wire.ModelChoice {
	out := []wire.ModelChoice{}
	for _, c := range all {
		if c.Site == "" || holderOf(ctx).Sites.Has(c.Site) {
			out = append(out, choiceView(c))
		}
	}
	return out
}

func choiceView(c ledger.ModelChoice) wire.ModelChoice {
	v := wire.ModelChoice{Site: c.Site, At: c.At, Who: c.Who}
	if !c.Model.IsZero() {
		v.Model = &c.Model
	}
	return v
}

// installed refuses a model that no living worker could count with.
func (s *Server) installed(ctx context.Context, m wire.ModelRef) (wire.Model, error) {
	if err := ledger.CheckModelRef(m); err != nil {
		return wire.Model{}, err
	}
	alive, err := s.o.Ledger.Workers.Alive(ctx)
	if err != nil {
		return wire.Model{}, err
	}
	all := modelsOf(alive)
	i := slices.IndexFunc(all, func(v wire.Model) bool { return v.ModelRef == m && v.Workers > 0 })
	if i < 0 {
		return wire.Model{}, problem.New(wire.SlugConflict,
			"No worker that runs now has the model %s. Install it there with worker model pull, and try again within a minute.", m)
	}
	return all[i], nil
}

// chooseModel says with which model footage is counted from now on. A roll-back chooses the one before.
func (s *Server) chooseModel(c *fiber.Ctx) error {
	var in wire.ChooseModel
	if err := s.readModelBody(c, &in); err != nil {
		return err
	}
	if in.Model == nil {
		return badRequest(`"model" is missing. null takes the choice back.`)
	}
	var model *wire.ModelRef
	if err := decodeModelBody(in.Model, &model); err != nil {
		return err
	}
	ctx, who := c.UserContext(), holderOf(c.UserContext()).Name
	if err := s.checkChoiceSite(ctx, in.Site, model == nil); err != nil {
		return err
	}
	var m wire.ModelRef
	if model != nil {
		m = *model
		found, err := s.installed(ctx, m)
		if err != nil {
			return err
		}
		if found.Caution != "" && !in.Force {
			return problem.New(wire.SlugConflict, "%s. Send \"force\": true to choose it all the same.", found.Caution)
		}
	}
	if _, err := s.o.Ledger.Models.Choose(ledger.By(ctx, who), in.Site, m); err != nil {
		return err
	}
	s.log.Info("model chosen by request", "model", m.String(), "site", in.Site, "who", who, "force", in.Force)
	v, err := s.models(ctx)
	if err != nil {
		return err
	}
	return sendJSON(c, v)
}

// checkChoiceSite refuses a choice for a site that the ledger does not know. One that it has can be taken back.
func (s *Server) checkChoiceSite(ctx context.Context, site string, back bool) error {
	if site == "" {
		return nil
	}
	unknown, err := s.o.Ledger.Sites.Unknown(ctx, []string{site})
	if err != nil || len(unknown) == 0 {
		return err
	}
	if back {
		chosen, err := s.o.Ledger.Models.Chosen(ctx)
		if err != nil || slices.ContainsFunc(chosen, func(c ledger.ModelChoice) bool { return c.Site == site }) {
			return err
		}
	}
	return badRequest("site: no footage, no token and no paddocks are of the site %.80q. Check its name.", site)
}

// readModelBody reads a short JSON document. A missing body is an error that wraps io.EOF.
func (s *Server) readModelBody(c *fiber.Ctx, into any) error {
	text, err := s.readBody(c, maxModelBody)
	if err != nil {
		return err
	}
	return decodeModelBody(text, into)
}

func decodeModelBody(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", badRequest("The body is no document of this request: %v. /api/v1/openapi.yaml describes it.", err), err)
	}
	return nil
}

// recount has footage with a count counted again, with a model of the body or else with the chosen one.
func (s *Server) recount(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	o, _, err := s.lineOwner(c, ledger.FootageLines)
	if err != nil {
		return err
	}
	var in wire.Recount
	if bodyUnread(c) {
		if err := s.readModelBody(c, &in); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	var m wire.ModelRef
	if in.Model != nil {
		m = *in.Model
		if _, err := s.installed(c.UserContext(), m); err != nil {
			return err
		}
	}
	j, err := s.o.Ledger.Recounts.RecountWith(ledger.By(c.UserContext(), d.Name), footage.ID(o.ID), m)
	if err != nil {
		return err
	}
	s.log.Info("recount by request", "job", j.ID, "footage", j.Footage, "model", m.String())
	s.enqueue(c.UserContext(), j)
	return s.answerJob(c, j.ID)
}

// compareModels answers with the figures of two models: on the same labeled pictures, and in the same footage.
func (s *Server) compareModels(c *fiber.Ctx) error {
	ctx := c.UserContext()
	v := wire.ModelsCompared{Counts: []wire.ComparedCount{}}
	var err error
	if v.Old, err = modelArg(c, "old"); err != nil {
		return err
	}
	if v.New, err = modelArg(c, "new"); err != nil {
		return err
	}
	alive, err := s.o.Ledger.Workers.Alive(ctx)
	if err != nil {
		return err
	}
	for _, w := range alive {
		for _, m := range w.Models {
			p := m.Comparison
			if p != nil && p.Old.SHA256 == v.Old.SHA256 && p.New.SHA256 == v.New.SHA256 && (v.Pictures == nil || p.Compared.After(v.Pictures.Compared)) {
				v.Pictures = p
			}
		}
	}
	both, err := s.o.Ledger.Models.Compare(ctx, v.Old, v.New, readScope(ctx), comparedShown)
	if err != nil {
		return err
	}
	for _, b := range both {
		v.Counts = append(v.Counts, wire.ComparedCount{Footage: b.Footage.ID, Name: b.Footage.Name, Old: b.Old, New: b.New})
	}
	return sendJSON(c, v)
}

// modelArg reads a parameter NAME@SHA256.
func modelArg(c *fiber.Ctx, name string) (wire.ModelRef, error) {
	value := text(c.Query(name))
	i := strings.LastIndexByte(value, '@')
	if i < 0 {
		return wire.ModelRef{}, badRequest("%s: want NAME@SHA256 of a model.", name)
	}
	m := wire.ModelRef{Name: value[:i]}
	err := m.SHA256.UnmarshalText([]byte(value[i+1:]))
	if err == nil {
		err = ledger.CheckModelRef(m)
	}
	if err != nil {
		return wire.ModelRef{}, badRequest("%s: want NAME@SHA256 of a model: %v.", name, err)
	}
	return m, nil
}
