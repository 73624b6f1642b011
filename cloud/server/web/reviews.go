package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gofiber/fiber/v2"

	"cattlecounter/cloud/count/review"
	"cattlecounter/cloud/server/problem"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// reviews are the stored reviews; *ledger.Reviews implements them.
type reviews interface {
	Put(ctx context.Context, r ledger.Review) (ledger.Review, error)
	List(ctx context.Context, id footage.ID) ([]ledger.Review, error)
	Delete(ctx context.Context, id footage.ID, reviewer string) error
}

// maxReview is the largest body of a review in bytes: some thousand verdicts.
const maxReview = 2 << 20

// reviewRoutes registers what people decide about the animals of a count.
func (s *Server) reviewRoutes(api guarded) {
	api.Get("/footage/:id/reviews", s.getReviews)
	api.Put("/footage/:id/review", s.putReview)
	api.Delete("/footage/:id/review", s.deleteReview)
	api.Get("/footage/:id/review.json", s.sendReviewFile)
}

// reviewed returns the footage in the path with the count that a review of it is about. A duplicate has none of its own.
func (s *Server) reviewed(c *fiber.Ctx) (ledger.FootageView, error) {
	id, err := idArg(c, "id")
	if err != nil {
		return ledger.FootageView{}, err
	}
	v, err := s.resultOf(c.UserContext(), id)
	switch {
	case err != nil:
		return v, err
	case v.DuplicateOf != "":
		return v, problem.New(wire.SlugConflict, "The footage is a duplicate. Review its original, %s.", v.DuplicateOf)
	case v.Count == nil || v.Count.Footage != v.ID:
		return v, fmt.Errorf("count of footage %s: %w", id, ledger.ErrNotFound)
	}
	return v, nil
}

func (s *Server) getReviews(c *fiber.Ctx) error {
	v, err := s.reviewed(c)
	if err != nil {
		return err
	}
	return s.answerReviews(c, v)
}

func (s *Server) answerReviews(c *fiber.Ctx, v ledger.FootageView) error {
	stored, err := s.o.Ledger.Reviews.List(c.UserContext(), v.ID)
	if err != nil {
		return err
	}
	out := wire.Reviews{Counted: v.Count.At, Unique: v.Count.Unique, Low: v.Count.Low, High: v.Count.High,
		Reviews: make([]wire.Review, 0, len(stored))}
	for _, r := range stored {
		w := wire.Review{Reviewer: r.Reviewer, Updated: r.Updated, Counted: r.Counted, Current: r.Counted.Equal(v.Count.At),
			Unique: r.Animals, Judged: r.Judged, Tracks: r.Tracks}
		var doc wire.ReviewRequest
		if err := json.Unmarshal(r.Document, &doc); err != nil {
			return fmt.Errorf("review of footage %s by %s: %w", v.ID, r.Reviewer, err)
		}
		w.Rest, w.Animals = doc.Rest, doc.Animals
		out.Reviews = append(out.Reviews, w)
	}
	if out.Agreement, err = s.agreement(c.UserContext(), v, out.Reviews); err != nil {
		return err
	}
	return sendJSON(c, out)
}

// mostDiffering bounds the tracks that an agreement lists.
const mostDiffering = 1000

// agreement compares the first two complete reviews of the present count.
func (s *Server) agreement(ctx context.Context, v ledger.FootageView, all []wire.Review) (*wire.Agreement, error) {
	var two []wire.Review
	for _, r := range all {
		if r.Current && r.Judged == r.Tracks && len(two) < 2 {
			two = append(two, r)
		}
	}
	if len(two) < 2 {
		return nil, nil
	}
	counted, _, err := s.tracksOf(ctx, v.ID)
	if err != nil {
		return nil, err
	}
	a := &wire.Agreement{Reviewers: [2]string{two[0].Reviewer, two[1].Reviewer}, Tracks: len(counted), Differ: []int{}}
	first, second := decisions(two[0], v), decisions(two[1], v)
	for _, id := range counted {
		if first(id) == second(id) {
			a.Same++
		} else if len(a.Differ) < mostDiffering {
			a.Differ = append(a.Differ, id)
		}
	}
	return a, nil
}

// decisions returns what a review says of a counted track, as a text that is equal for equal decisions; "" for a track that is
// right. Tracks of one animal are pieces of its first one, whichever of them the reviewer named.
func decisions(r wire.Review, v ledger.FootageView) func(id int) string {
	f := reviewFootage(wire.ReviewRequest{Animals: r.Animals}, v)
	none := map[int]string{}
	for _, a := range f.Animals {
		if !a.IsCattle() {
			none[a.ID] = "no cattle " + a.Class
		}
	}
	same := f.Same()
	return func(id int) string {
		if what, ok := none[id]; ok {
			return what
		}
		if first := same.First(id); first != id {
			return fmt.Sprint("a piece of ", first)
		}
		return ""
	}
}

// tracksOf returns the ids of the counted tracks of footage, and of the others.
func (s *Server) tracksOf(ctx context.Context, id footage.ID) (counted, notCounted []int, err error) {
	f, err := s.result("json")(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	b, err := s.readBlob(ctx, f.key, maxResult)
	if err != nil {
		return nil, nil, err
	}
	var doc struct {
		Tracks []struct {
			ID int `json:"id"`
		} `json:"tracks"`
		NotCounted []struct {
			ID int `json:"id"`
		} `json:"not_counted"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, nil, fmt.Errorf("result of footage %s: %w", id, err)
	}
	for _, t := range doc.Tracks {
		counted = append(counted, t.ID)
	}
	for _, t := range doc.NotCounted {
		notCounted = append(notCounted, t.ID)
	}
	return counted, notCounted, nil
}

// putReview stores the review of the holder of the token.
func (s *Server) putReview(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	v, err := s.reviewed(c)
	if err != nil {
		return err
	}
	body, err := s.readBody(c, maxReview)
	if err != nil {
		return err
	}
	req, f, err := parseReview(body, v)
	if err != nil {
		return err
	}
	if !req.Counted.Equal(v.Count.At) {
		return problem.New(wire.SlugConflict, "The footage was counted again at %s. Load the new count and review that.",
			v.Count.At.Format("2006-01-02 15:04:05 MST"))
	}
	counted, notCounted, err := s.tracksOf(c.UserContext(), v.ID)
	if err != nil {
		return err
	}
	tally, err := f.Tally(counted, notCounted)
	if err != nil {
		return badRequest("%v.", err)
	}
	document, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("review of footage %s: %w", v.ID, err)
	}
	if _, err = s.o.Ledger.Reviews.Put(ledger.By(c.UserContext(), d.Name), ledger.Review{Footage: v.ID, Reviewer: d.Name,
		Counted: v.Count.At, Document: document, Animals: tally.Animals, Judged: tally.Judged, Tracks: tally.Counted}); err != nil {
		return err
	}
	s.log.Info("review stored", "footage", v.ID, "reviewer", d.Name, "animals", tally.Animals, "counted", v.Count.Unique,
		"judged", tally.Judged)
	return s.answerReviews(c, v)
}

// parseReview reads the body of a review and its form for cloud/count/review. The error is a problem.
func parseReview(body []byte, v ledger.FootageView) (wire.ReviewRequest, review.Footage, error) {
	var req wire.ReviewRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&req)
	if _, more := d.Token(); err == nil && !errors.Is(more, io.EOF) {
		err = errors.New("there is more than one document")
	}
	if err != nil {
		return req, review.Footage{}, badRequest("The review cannot be read: %v.", err)
	}
	if req.Animals == nil {
		req.Animals = []wire.Verdict{}
	}
	f := reviewFootage(req, v)
	if err := f.Check(); err != nil {
		return req, f, badRequest("%v.", err)
	}
	return req, f, nil
}

// reviewFootage is a stored review in the form of a review file.
func reviewFootage(req wire.ReviewRequest, v ledger.FootageView) review.Footage {
	f := review.Footage{Name: v.Name, SHA256: v.SHA256, Rest: review.Verdict(req.Rest), Animals: make([]review.Animal, 0, len(req.Animals))}
	for i, x := range req.Animals {
		f.Animals = append(f.Animals, review.Animal{Verdict: review.Verdict(x.Verdict), ID: x.ID, Class: x.Class, SameAs: x.SameAs,
			Frame: x.Frame, Seconds: x.Seconds, Box: x.Box, At: fmt.Sprintf("animal %d", i+1)})
	}
	return f
}

// deleteReview removes the review of the holder of the token.
func (s *Server) deleteReview(c *fiber.Ctx) error {
	d, err := s.authenticate(c)
	if err != nil {
		return err
	}
	v, err := s.reviewed(c)
	if err != nil {
		return err
	}
	if err := s.o.Ledger.Reviews.Delete(ledger.By(c.UserContext(), d.Name), v.ID, d.Name); err != nil {
		return err
	}
	return s.answerReviews(c, v)
}

// sendReviewFile answers with a review of the present count as a file for worker dataset: that of the parameter reviewer,
// or the newest one.
func (s *Server) sendReviewFile(c *fiber.Ctx) error {
	v, err := s.reviewed(c)
	if err != nil {
		return err
	}
	all, err := s.o.Ledger.Reviews.List(c.UserContext(), v.ID)
	if err != nil {
		return err
	}
	who := text(c.Query("reviewer"))
	all = slices.DeleteFunc(all, func(r ledger.Review) bool { return !r.Counted.Equal(v.Count.At) || who != "" && r.Reviewer != who })
	if len(all) == 0 {
		return fmt.Errorf("review of the present count of footage %s: %w", v.ID, ledger.ErrNotFound)
	}
	var req wire.ReviewRequest
	if err := json.Unmarshal(all[len(all)-1].Document, &req); err != nil {
		return fmt.Errorf("review of footage %s: %w", v.ID, err)
	}
	var out bytes.Buffer
	if err := (review.Review{Footage: []review.Footage{reviewFootage(req, v)}}).WriteJSON(&out); err != nil {
		return fmt.Errorf("review of footage %s: %w", v.ID, err)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+string(v.ID)+`.review.json"`)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Send(out.Bytes())
}
