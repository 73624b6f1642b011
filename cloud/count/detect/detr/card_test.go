package detr

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"cattlecounter/shared/settings"
)

// recipeOf builds a recipe from the contents of the description files.
func recipeOf(t *testing.T, s signature, card, config, preprocessor string) recipe {
	t.Helper()
	var d description
	if err := settings.Parse([]byte(card), nil, "-", &d.card); err != nil {
		t.Fatal(err)
	}
	var err error
	if config != "" {
		if d.config, err = parseConfig([]byte(config)); err != nil {
			t.Fatal(err)
		}
	}
	if preprocessor != "" {
		if d.preprocessor, err = parsePreprocessor([]byte(preprocessor)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := newRecipe(s, d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBareCOCONetwork(t *testing.T) {
	r := recipeOf(t, signature{family: familyPost, width: 416, height: 416}, "", "", "")
	if r.tile != 416 || r.threshold != 0.25 || r.overlap != 0.2 || r.norm.scale != [3]float32{1.0 / 255, 1.0 / 255, 1.0 / 255} || r.norm.shift != [3]float32{} {
		t.Errorf("%+v", r)
	}
	for class, counts := range map[int]bool{0: false, 13: false, 14: true, 19: true, 23: true, 24: false, -1: false, 999: false} {
		if r.counted(class) != counts {
			t.Errorf("class %d (%s) counts: %v", class, r.label(class), !counts)
		}
	}
	if r.label(19) != "cow" || r.label(200) != "class 200" {
		t.Error(r.label(19), r.label(200))
	}
}

func TestClassMaps(t *testing.T) {
	raw := signature{family: familyRaw}
	for name, c := range map[string]struct {
		sig          signature
		card, config string
		cow          int
		labels       []string // classes that count, nil for all
	}{
		"91 numbers":    {signature{family: familyRaw, classes: 92}, "", "", 21, cocoAnimals},
		"80 numbers":    {signature{family: familyRaw, classes: 80}, "", "", 19, cocoAnimals},
		"own":           {raw, "", `{"id2label":{"0":"cow","1":"calf"}}`, 0, nil},
		"card on top":   {raw, "labels: [dog, cow]\ncattle: [cow]", `{"id2label":{"0":"x"}}`, 1, []string{"cow"}},
		"by number":     {raw, "cattle: [2]", "", -1, []string{"class 2"}},
		"unknown shape": {raw, "", "", -1, nil},
	} {
		r := recipeOf(t, c.sig, c.card, c.config, "")
		if c.cow >= 0 && r.label(c.cow) != "cow" {
			t.Errorf("%s: class %d is %s", name, c.cow, r.label(c.cow))
		}
		if got := r.cattleLabels(); !slices.Equal(got, c.labels) {
			t.Errorf("%s: %v count, want %v", name, got, c.labels)
		}
	}
}

// The classes of RF-DETR are COCO's numbers, or its own and "no object" at the end.
func TestClassesOfRFDETR(t *testing.T) {
	last := func(n int) []float32 {
		logits := make([]float32, n)
		logits[n-1] = 5
		return logits
	}
	for name, c := range map[string]struct {
		classes int
		card    string
		want    int // class of a query whose last logit is the highest
	}{
		"COCO":                    {91, "cattle: [toothbrush]", 90},
		"own, two and no object":  {3, "", 0},
		"own, named":              {3, "labels: [calf, cow]", 0},
		"own, each slot is named": {2, "labels: [calf, cow]", 1},
	} {
		r := recipeOf(t, signature{family: familyRF, classes: c.classes}, c.card, "", "")
		if got, _ := r.bestClass(last(c.classes)); got != c.want {
			t.Errorf("%s: class %d, want %d", name, got, c.want)
		}
		if r.scores != scoresSigmoid || !near(r.norm.shift[0], -0.485/0.229, 1e-5) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := recipeOf(t, signature{family: familyRF, classes: 91}, "", "", ""); r.label(21) != "cow" {
		t.Errorf("class 21 is %s", r.label(21))
	}
}

// Other animals are kept apart. Of two classes of one query the better one decides.
func TestOtherAnimals(t *testing.T) {
	r := recipeOf(t, signature{family: familyRaw}, "labels: [cattle, sheep, car]\ncattle: [cattle]\nother: [sheep]", "", "")
	for want, logits := range map[string][]float32{"cattle": {2, 1, 5}, "sheep": {1, 2, 5}} {
		class, _ := r.bestClass(logits)
		if r.label(class) != want || r.counted(class) == r.other(class) || r.other(class) != (want == "sheep") {
			t.Errorf("%v is class %d, want %s", logits, class, want)
		}
	}
	all := recipeOf(t, signature{family: familyRaw}, "labels: [cattle, sheep]\nother: [sheep]", "", "")
	if !all.counted(0) || all.counted(1) || !all.other(1) {
		t.Error("without the key cattle all classes but those of other animals count")
	}
	card := Card{Labels: []string{"cattle"}, Other: []string{"goat"}}
	if _, err := newRecipe(signature{family: familyRaw}, description{card: card}); !errors.Is(err, ErrCard) {
		t.Errorf("unknown class: %v", err)
	}
}

func TestScores(t *testing.T) {
	for name, c := range map[string]struct {
		mask         bool
		card, config string
		want         string
	}{
		"bare":        {false, "", "", scoresSigmoid},
		"bare, mask":  {true, "", "", scoresSoftmax},
		"detr":        {false, "", `{"model_type":"detr"}`, scoresSoftmax},
		"yolos":       {false, "", `{"model_type":"yolos"}`, scoresSoftmax},
		"rt_detr":     {true, "", `{"model_type":"rt_detr_v2"}`, scoresSigmoid},
		"d_fine":      {false, "", `{"architectures":["DFineForObjectDetection"]}`, scoresSigmoid},
		"deformable":  {true, "", `{"model_type":"deformable_detr"}`, scoresSigmoid},
		"conditional": {true, "", `{"model_type":"conditional_detr"}`, scoresSigmoid},
		"card wins":   {false, "scores: softmax", `{"model_type":"rt_detr"}`, scoresSoftmax},
	} {
		if r := recipeOf(t, signature{family: familyRaw, mask: c.mask}, c.card, c.config, ""); r.scores != c.want {
			t.Errorf("%s: %s, want %s", name, r.scores, c.want)
		}
	}
}

func TestNormalisation(t *testing.T) {
	imageNet := [3]float32{1 / 255.0 / 0.229, 1 / 255.0 / 0.224, 1 / 255.0 / 0.225}
	plain := [3]float32{1 / 255.0, 1 / 255.0, 1 / 255.0}
	for name, c := range map[string]struct {
		config, preprocessor string
		want                 [3]float32
	}{
		"bare sigmoid":        {"", "", plain},
		"bare softmax":        {`{"model_type":"detr"}`, "", imageNet},
		"not normalised":      {`{"model_type":"detr"}`, `{"do_normalize":false}`, plain},
		"default mean":        {"", `{"do_normalize":true}`, imageNet},
		"own":                 {"", `{"image_mean":[0,0,0],"image_std":[0.5,0.5,0.5]}`, [3]float32{2 / 255.0, 2 / 255.0, 2 / 255.0}},
		"not rescaled":        {"", `{"do_rescale":false}`, [3]float32{1, 1, 1}},
		"own rescale":         {"", `{"rescale_factor":0.5}`, [3]float32{0.5, 0.5, 0.5}},
		"mean but turned off": {"", `{"do_normalize":false,"image_mean":[1,1,1],"image_std":[9,9,9]}`, plain},
	} {
		r := recipeOf(t, signature{family: familyRaw}, "", c.config, c.preprocessor)
		for i := range 3 {
			if math.Abs(float64(r.norm.scale[i]-c.want[i])) > 1e-7 {
				t.Errorf("%s: scale %v, want %v", name, r.norm.scale, c.want)
			}
		}
	}
}

func TestInputSize(t *testing.T) {
	for name, c := range map[string]struct {
		sig                signature
		card, preprocessor string
		w, h               int
	}{
		"free":          {signature{}, "", "", 640, 640},
		"fixed":         {signature{width: 416, height: 320}, "input: 999", `{"size":{"height":9,"width":9}}`, 416, 320},
		"height, width": {signature{}, "", `{"size":{"height":480,"width":640}}`, 640, 480},
		"card":          {signature{}, "input: 512", `{"size":{"height":480,"width":640}}`, 512, 512},
		"shortest":      {signature{}, "", `{"size":{"shortest_edge":800,"longest_edge":1333}}`, 1333, 667},
		"number":        {signature{}, "", `{"size":800,"max_size":1333}`, 1333, 667},
		"no resize":     {signature{}, "", `{"do_resize":false,"size":{"height":480,"width":640}}`, 640, 640},
	} {
		c.sig.family = familyRaw
		r := recipeOf(t, c.sig, c.card, "", c.preprocessor)
		if w, h := r.inputSize(1920, 960); w != c.w || h != c.h {
			t.Errorf("%s: %dx%d, want %dx%d", name, w, h, c.w, c.h)
		}
	}
}

func TestCardReportsAllFaults(t *testing.T) {
	var c Card
	err := settings.Parse([]byte("tile: 5\noverlap: 2\nthreshold: -1\nscores: maybe\ninput: 3"), nil, "-", &c)
	if err == nil {
		t.Fatal("the card was accepted")
	}
	for _, key := range []string{"tile", "overlap", "threshold", "scores", "input"} {
		if !strings.Contains(err.Error(), key+":") {
			t.Errorf("%s is missing in %v", key, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(`{"model_type":"detr","id2label":{"0":"cow","7":"x"}}`)
	f.Add(`{"id2label":{"99999999999":"cow"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrCard) {
				t.Fatal(err)
			}
			return
		}
		if len(c.labels) > maxClasses {
			t.Fatal(len(c.labels))
		}
	})
}

func FuzzPreprocessor(f *testing.F) {
	f.Add(`{"size":{"shortest_edge":800,"longest_edge":1333},"image_mean":[0.4,0.4,0.4],"image_std":[0.2,0.2,0.2],"resample":2}`)
	f.Add(`{"size":800,"max_size":1333,"rescale_factor":1e-300}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePreprocessor([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrCard) {
				t.Fatal(err)
			}
			return
		}
		r, err := newRecipe(signature{family: familyRaw}, description{preprocessor: p})
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range [][2]int{{1, 1}, {1920, 1080}, {1, 8192}} {
			if w, h := r.inputSize(side[0], side[1]); w < 1 || h < 1 || w > maxSide || h > maxSide {
				t.Fatalf("%v becomes %dx%d", side, w, h)
			}
		}
	})
}

func FuzzCard(f *testing.F) {
	f.Add("name: a\ntile: 416\nlabels: [cow]\ncattle: [cow]\nscores: sigmoid")
	f.Fuzz(func(t *testing.T, text string) {
		var c Card
		if err := settings.Parse([]byte(text), nil, "-", &c); err != nil {
			return
		}
		if _, err := newRecipe(signature{family: familyRaw}, description{card: c}); err != nil && !errors.Is(err, ErrCard) {
			t.Fatal(err)
		}
	})
}
