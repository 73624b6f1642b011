package gather

import (
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strings"
	"testing"

	"cattlecounter/cloud/store/blob"
	"cattlecounter/cloud/store/ledger"
	"cattlecounter/deploy/testkit/must"
	"cattlecounter/shared/footage"
	"cattlecounter/shared/wire"
)

// shelf has blobs by their keys, and footage whose result is named by its id.
type shelf map[string]string

func (s shelf) Open(_ context.Context, key string, _, _ int64) (io.ReadCloser, error) {
	text, ok := s[key]
	if !ok {
		return nil, blob.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (s shelf) Stat(_ context.Context, key string) (blob.Info, error) {
	if _, ok := s[key]; !ok {
		return blob.Info{}, blob.ErrNotFound
	}
	return blob.Info{Size: int64(len(s[key]))}, nil
}

func (s shelf) Get(_ context.Context, id footage.ID) (ledger.FootageView, error) {
	return ledger.FootageView{Job: &ledger.Job{ResultKey: string(id) + ".json"}}, nil
}

func part(id footage.ID, animals int) ledger.SurveyPart {
	p := ledger.SurveyPart{CountView: ledger.CountView{Count: ledger.Count{Unique: animals}}}
	p.CountView.Footage.ID = id
	return p
}

// The sample is the same for the same digests, another one for others, has no animal twice and none without a picture.
func TestDraw(t *testing.T) {
	s := shelf{"a.contact-1.jpg": "", "a.contact-2.jpg": "", "b.contact-1.jpg": ""}
	g := &Gatherer{Footage: s, Blobs: s}
	counts := []ledger.SurveyPart{part("a", 100), part("none", 40), part("b", 30), part("empty", 0)}
	draw := func(seed string) []wire.ReportAnimal {
		h := sha256.New()
		h.Write([]byte(seed))
		return must.Get(g.draw(t.Context(), counts, h))(t)
	}
	one := draw("one")
	if len(one) != SampleSize || !slices.Equal(one, draw("one")) || slices.Equal(one, draw("two")) {
		t.Errorf("sample %v", one)
	}
	seen := map[wire.ReportAnimal]bool{}
	for _, a := range one {
		if seen[a] || a.Footage == "none" || a.Cell < 1 || a.Cell > sheetCells || a.Footage == "b" && a.Cell > 30 {
			t.Errorf("sample has %+v", a)
		}
		seen[a] = true
	}
	counts = []ledger.SurveyPart{part("none", 3), part("negative", -4)}
	if got := draw("one"); len(got) != 0 {
		t.Errorf("sample without pictures %v", got)
	}
}

// Over many seeds each animal is drawn about as often as any other.
func TestDrawIsFair(t *testing.T) {
	s := shelf{"a.contact-1.jpg": ""}
	g := &Gatherer{Footage: s, Blobs: s}
	times := map[int]int{}
	const seeds = 400
	for i := range seeds {
		h := sha256.New()
		h.Write([]byte{byte(i), byte(i >> 8)})
		for _, a := range must.Get(g.draw(t.Context(), []ledger.SurveyPart{part("a", 80)}, h))(t) {
			times[a.Cell]++
		}
	}
	const mean = seeds * SampleSize / 80
	for cell := 1; cell <= 80; cell++ {
		if n := times[cell]; n < mean/2 || n > 2*mean {
			t.Errorf("animal %d was drawn %d times, others about %d", cell, n, mean)
		}
	}
}

// A result document is read once: its key names its content.
func TestDigestIsRemembered(t *testing.T) {
	s := shelf{"a.json": "result"}
	g := &Gatherer{Footage: s, Blobs: s}
	first := must.Get(g.digest(t.Context(), "a.json"))(t)
	delete(s, "a.json")
	if again := must.Get(g.digest(t.Context(), "a.json"))(t); again != first || first != footage.Sum([]byte("result")) {
		t.Errorf("digest %s, then %s", first, again)
	}
	_, err := g.digest(t.Context(), "b.json")
	must.FailWith(t, err, blob.ErrNotFound)
}
